package io.flambeau.train

import scala.collection.mutable

import io.flambeau.bridge.Json

/**
 * How far the trainings of this application are, for the progress bars of a notebook. Each has the number in
 * which it began, and its last report, which stays when it has ended. The oldest are forgotten.
 *
 * `report` is called on threads of Spark's RPC, `json` on any.
 */
private[flambeau] object RecentTrainings {
  private val Kept = 32

  final case class Entry(number: Long, owner: String, report: Report)

  private val entries = mutable.LinkedHashMap.empty[Long, Entry]
  private var begun = 0L

  /** The number of a training that begins. */
  def begin(): Long = synchronized {
    begun += 1
    begun
  }

  def report(number: Long, owner: String, report: Report): Unit = synchronized {
    entries(number) = Entry(number, owner, report)
    if (entries.size > Kept) entries -= entries.head._1
  }

  /** How many trainings have begun. */
  def count: Long = synchronized(begun)

  /** The trainings that began after the one with this number, the oldest first, as a JSON array. */
  def json(after: Long): String = Json.write(synchronized(entries.values.filter(_.number > after).toList))
}
