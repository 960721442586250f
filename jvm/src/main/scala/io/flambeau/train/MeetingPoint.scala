package io.flambeau.train

import scala.collection.mutable

/**
 * What the driver keeps while a job's workers look for each other: the port of rank 0's store, by the stage's attempt, so that no
 * worker of a second attempt goes to a store of the first. Questions come one at a time, from the job's [[DriverChannel]].
 */
private[train] final class MeetingPoint {
  private val ports = mutable.Map.empty[Int, Int]

  /** "ATTEMPT PORT" is rank 0's, "ATTEMPT" any other's question. The answer is the port, or nothing where it is not known yet. */
  def answer(question: String): String = {
    val numbers = question.split(' ').map(_.toInt)
    numbers.lift(1).foreach(port => ports(numbers.head) = port)
    ports.get(numbers.head).fold("")(_.toString)
  }
}

private[train] object MeetingPoint {

  /** Rank 0 says where it listens. */
  def tell(driver: DriverChannel.Caller, attempt: Int, port: Int): Unit = driver.ask(s"$attempt $port")

  /** Where rank 0 listens, once it does. */
  def ask(driver: DriverChannel.Caller, attempt: Int): Option[Int] = Some(driver.ask(attempt.toString)).filter(_.nonEmpty).map(_.toInt)
}
