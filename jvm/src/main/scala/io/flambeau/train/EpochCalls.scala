package io.flambeau.train

import java.util.concurrent.{ExecutorService, Executors, TimeUnit}

import scala.collection.mutable
import scala.util.{Failure => Thrown, Success, Try}

import io.flambeau.bridge.EpochRow
import io.flambeau.ui.RunEpoch

/**
 * Calls the caller's function after each epoch of a job's trainings, on the driver, on a thread of its own: the threads of Spark's RPC that
 * bring epochs must not wait. The workers wait until it has returned, and then continue or stop.
 *
 * Each epoch of a training is decided once: an attempt that repeats it after a failure gets the same answer. If the function fails,
 * all trainings stop after their epoch, and [[finish]] throws its error.
 *
 * @param function
 *   takes a run of the job and its epoch, and returns whether that run ends
 */
private[flambeau] final class EpochCalls(function: (Int, EpochRow) => Boolean) extends AutoCloseable {
  private val thread: ExecutorService = Executors.newSingleThreadExecutor { (task: Runnable) =>
    val thread = new Thread(task, "flambeau-after-epochs")
    thread.setDaemon(true)
    thread
  }
  private val answers = mutable.Map.empty[(Int, Int), Option[String]]
  private var failure = Option.empty[Throwable]

  /** Whether the training of this epoch continues; nothing if that is not decided yet. The first question begins the call. */
  def answer(epoch: RunEpoch): String = synchronized {
    val key = (epoch.run, epoch.row.epoch)
    if (!answers.contains(key)) {
      answers(key) = None
      thread.execute(() => decide(key, epoch))
    }
    answers(key).getOrElse("")
  }

  private def decide(key: (Int, Int), epoch: RunEpoch): Unit = {
    // Not asked again after it failed.
    val decided = if (synchronized(failure.isDefined)) Success(true) else Try(function(epoch.run, epoch.row))
    synchronized {
      answers(key) = Some(if (decided.getOrElse(true)) EpochCalls.Stop else EpochCalls.GoOn)
      decided match {
        case Thrown(cause) => failure = failure.orElse(Some(cause))
        case Success(_) => ()
      }
    }
  }

  /** Throws the function's error, if it had one. */
  def finish(): Unit = synchronized(failure).foreach(throw _)

  override def close(): Unit = {
    thread.shutdown()
    thread.awaitTermination(EpochCalls.LongestEndMillis, TimeUnit.MILLISECONDS)
    ()
  }
}

private[flambeau] object EpochCalls {
  private[train] val GoOn = "go on"
  private[train] val Stop = "stop"

  /** For a call of a job that failed or was killed meanwhile. */
  private val LongestEndMillis = 1000L
}
