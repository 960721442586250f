package io.flambeau.train

import java.security.SecureRandom
import java.util.{Base64, HexFormat}

import scala.collection.mutable
import scala.jdk.CollectionConverters._

import io.flambeau.bridge.{Board, Json}
import io.flambeau.spark.DriverChannel
import io.flambeau.ui.RunEpoch

/**
 * The driver's data for the workers of one job. It has a board of keys and texts for each attempt of the stage, so that workers
 * of different attempts never meet. It also has the job's secret. Questions come one at a time from the job's [[DriverChannel]],
 * over Spark's own RPC, with Spark's authentication and encryption if configured.
 *
 * @param calls
 *   decides after epochs whether a training continues, if there is something to decide
 */
private[train] final class DriverBoard(calls: Option[EpochCalls] = None) {
  private val secret = {
    val bytes = new Array[Byte](DriverBoard.SecretBytes)
    new SecureRandom().nextBytes(bytes)
    HexFormat.of().formatHex(bytes)
  }
  private val boards = mutable.Map.empty[Int, mutable.Map[String, String]]

  /** The answer to a [[DriverBoard.Question]]: a JSON array of the values of all keys, or nothing if one is not there yet. */
  def answer(question: String): String = {
    val asked = Json.as[DriverBoard.Question](question)
    asked.ended.fold(fromBoard(asked))(epoch => calls.fold(EpochCalls.GoOn)(_.answer(epoch)))
  }

  private def fromBoard(asked: DriverBoard.Question): String = {
    boards --= boards.keys.filter(_ < asked.attempt).toList
    val board = boards.getOrElseUpdate(asked.attempt, mutable.Map(DriverBoard.Secret -> secret))
    asked.put.foreach { case (key, value) => board.getOrElseUpdate(key, value) }
    val found = asked.look.map(board.get)
    if (found.nonEmpty && found.forall(_.isDefined)) Json.write(found.flatten) else ""
  }
}

private[train] object DriverBoard {
  private val SecretBytes = 32
  private val Secret = "secret"
  private val LostPeer = "failure"

  /**
   * A worker's question to its attempt's board.
   *
   * @param put
   *   texts to put under keys that have no value yet
   * @param look
   *   keys to read
   * @param ended
   *   an epoch that ended, in place of all that: whether its training continues, or nothing if that is not decided yet
   */
  final case class Question(attempt: Int, put: Map[String, String], look: Seq[String], ended: Option[RunEpoch] = None) {
    def json: String = Json.write(this)
  }

  /** A worker's view of its attempt's board. Used by the task thread only. */
  final class Client(driver: DriverChannel.Caller, attempt: Int) extends Board {

    /** The secret that only workers of this job know. */
    lazy val secret: String = look(Seq(Secret)).map(_.head).getOrElse(throw new IllegalStateException("the driver keeps no secret"))

    /** Puts a text under a key that has no value yet. */
    def put(key: String, value: String): Unit = {
      driver.ask(Question(attempt, Map(key -> value), Nil).json)
      ()
    }

    /** The values of these keys, once all are there. Does not wait. */
    def look(keys: Seq[String]): Option[Seq[String]] =
      Some(driver.ask(Question(attempt, Map.empty, keys).json)).filter(_.nonEmpty)
        .map(Json.read(_).elements.asScala.map(_.asText).toSeq)

    override def put(key: String, value: Array[Byte]): Unit = put(Addresses + key, Base64.getEncoder.encodeToString(value))

    override def look(key: String): Array[Byte] =
      look(Seq(Addresses + key)).map(found => Base64.getDecoder.decode(found.head)).getOrElse {
        stopIfOneFailed()
        null
      }

    /** Ends a wait for others with the failure of the missing one. */
    def stopIfOneFailed(): Unit = failure.foreach(failure => throw failure.exception)

    /** Reports why this worker fails, for the others; an earlier report of another one stays. */
    def fail(failure: Failure): Unit = put(LostPeer, DatasetStats.failed(failure).json)

    /** Why the first worker failed, if it reported that. */
    def failure: Option[Failure] = look(Seq(LostPeer)).flatMap(found => DatasetStats.parse(found.head).failure)
  }

  private val Addresses = "address/"

  /** Whether a training ends after this epoch, once that is decided. Does not wait. */
  def stopsAfter(driver: DriverChannel.Caller, epoch: RunEpoch): Option[Boolean] =
    Some(driver.ask(Question(0, Map.empty, Nil, Some(epoch)).json)).filter(_.nonEmpty).map(_ == EpochCalls.Stop)
}
