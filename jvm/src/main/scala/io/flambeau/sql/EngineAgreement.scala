package io.flambeau.sql

import java.util.concurrent.ConcurrentHashMap

import scala.util.control.NonFatal

import org.apache.spark.SparkEnv
import org.apache.spark.internal.Logging

import io.flambeau.spark.DriverChannel

/**
 * Which engine the executors of one application use for a model. Executors choose by measuring. The driver keeps the first choice
 * for each model and all executors follow it, so that a task that is retried elsewhere gives the same bits. Each executor asks
 * once per model.
 */
private[flambeau] object EngineAgreement extends Logging {
  private val Name = "flambeau-engines"

  private var listening: Option[SparkEnv] = None

  /** The driver's end; it answers as long as the application runs. */
  private[sql] var channel: Option[DriverChannel] = None

  private var asking: Option[SparkEnv] = None
  private val answers = new ConcurrentHashMap[String, String]

  /** Makes the driver answer, once for each application. Called where a query is planned. */
  def listen(): Unit = synchronized {
    val env = Option(SparkEnv.get)
    if (env != listening) {
      answer()
      listening = env
    }
  }

  /** Sets up the driver's end, without any choices yet. */
  private[sql] def answer(): Unit = {
    val choices = new ConcurrentHashMap[String, String]
    def choose(question: String): String = {
      val asked = question.split("\n", 2)
      choices.computeIfAbsent(asked(0), _ => asked(1))
    }
    channel = Some(new DriverChannel(Name, _ => (), choose(_), _ => ()))
  }

  /**
   * The engine that the application uses for this model: `mine` if this executor is the first to ask, or the driver cannot be reached.
   *
   * @param model
   *   names content and precision
   */
  def agreed(model: String, mine: String): String =
    Option(SparkEnv.get).fold(mine) { env =>
      synchronized {
        if (!asking.contains(env)) {
          answers.clear()
          asking = Some(env)
        }
      }
      Option(answers.computeIfAbsent(model, key => ask(key, mine).orNull)).getOrElse(mine)
    }

  /** None if there is no answer; the next task asks again. */
  private[sql] def ask(model: String, mine: String): Option[String] =
    try Some(DriverChannel.caller(Name).ask(s"$model\n$mine"))
    catch {
      case killed: InterruptedException =>
        Thread.currentThread.interrupt()
        unanswered(mine, killed)
      case NonFatal(cause) => unanswered(mine, cause)
    }

  private def unanswered(mine: String, cause: Throwable): Option[String] = {
    logWarning(s"the driver did not say which engine to use, so this executor uses its own choice, $mine: $cause")
    None
  }
}
