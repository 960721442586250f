package io.flambeau.ui

import scala.util.control.NonFatal

import org.apache.spark.{SparkContext, SparkEnv}
import org.apache.spark.internal.Logging
import org.apache.spark.scheduler.SparkListenerEvent

import io.flambeau.bridge.Json
import io.flambeau.spark.{DriverChannel, SparkAccess}

/**
 * Events from executors to the driver's listener bus, as JSON. Sending never waits for the driver and never fails: an event that is lost
 * is missing on the Models tab, and nowhere else.
 */
private[flambeau] object DriverReports extends Logging {
  private val Name = "flambeau-reports"

  private var listening = Option.empty[SparkEnv]

  /** An application, and its driver if that listens. */
  private var reached = Option.empty[(SparkEnv, Option[DriverChannel.Caller])]

  /** Makes the driver listen, once for each application. Returns whether this was the first time. */
  def listen(context: SparkContext): Boolean = synchronized {
    val env = Option(SparkEnv.get)
    val isFirst = env.isDefined && env != listening
    if (isFirst) {
      val _ = new DriverChannel(Name, take(context, _), _ => "", _ => ())
      listening = env
    }
    isFirst
  }

  /** On an executor. */
  def send(event: ModelUse): Unit =
    try Option(SparkEnv.get).flatMap(driver).foreach(_.send(Json.write(event)))
    catch {
      case killed: InterruptedException =>
        Thread.currentThread.interrupt()
        logDebug("a report of a model's use was not sent", killed)
      case NonFatal(cause) => logDebug("a report of a model's use was not sent", cause)
    }

  private def driver(env: SparkEnv): Option[DriverChannel.Caller] = synchronized {
    reached.filter(_._1 eq env).map(_._2).getOrElse {
      val found =
        try Some(DriverChannel.caller(Name))
        catch {
          case NonFatal(cause) =>
            logDebug("the driver takes no reports", cause)
            None
        }
      reached = Some((env, found))
      found
    }
  }

  private def take(context: SparkContext, message: String): Unit =
    try post(context, Json.as[ModelUse](message))
    catch { case NonFatal(cause) => logDebug("a report cannot be read", cause) }

  /** Puts an event on the listener bus, on the driver. */
  def post(context: SparkContext, event: SparkListenerEvent): Unit = SparkAccess.post(context, event)
}
