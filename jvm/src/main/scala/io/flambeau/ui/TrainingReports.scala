package io.flambeau.ui

import java.util.UUID

import scala.collection.mutable.ArrayBuffer

import org.apache.spark.SparkContext

/**
 * Tells the listener bus about one fit. On the driver: `epochs` is called on a thread of Spark's RPC, the rest on the thread that called `fit`.
 */
private[flambeau] final class TrainingReports private (context: SparkContext, started: TrainingStarted, now: () => Long) extends AutoCloseable {
  private val waiting = ArrayBuffer.empty[RunEpoch]
  private var postedMillis = started.timeMillis
  private var failure = Option.empty[String]
  private var ended = false

  /** These epochs ended. Short epochs wait for others, so that there are few events. */
  def epochs(more: Seq[RunEpoch]): Unit = synchronized {
    waiting ++= more
    if (!ended && now() - postedMillis >= TrainingReports.PauseMillis) post()
  }

  /** The fit fails for this reason. */
  def failed(cause: Throwable): Unit = synchronized { failure = Some(Option(cause.getMessage).getOrElse(cause.toString).takeWhile(_ != '\n').take(1000)) }

  /** The fit is over. */
  override def close(): Unit = synchronized {
    post()
    ended = true
    DriverReports.post(context, TrainingEnded(started.id, failure, now()))
  }

  private def post(): Unit = if (waiting.nonEmpty) {
    DriverReports.post(context, TrainingEpochs(started.id, waiting.toList))
    waiting.clear()
    postedMillis = now()
  }
}

private[flambeau] object TrainingReports {
  private val PauseMillis = 500L

  /** Runs a fit and reports its begin, its epochs and its end. See [[TrainingStarted]] for the parameters. */
  def of[T](context: SparkContext, owner: String, runs: Int, workers: Int, epochs: Int)(fit: TrainingReports => T): T = {
    val now = () => System.currentTimeMillis()
    val started = TrainingStarted(UUID.randomUUID().toString, owner, runs, workers, epochs, now())
    DriverReports.post(context, started)
    val reports = new TrainingReports(context, started, now)
    try fit(reports)
    catch { case cause: Throwable => reports.failed(cause); throw cause }
    finally reports.close()
  }
}
