package io.flambeau.train

import java.io.PrintStream

import scala.util.Try

/**
 * One line on the console that is rewritten while a training runs, like Spark's own progress bar. It is shown if
 * `spark.ui.showConsoleProgress` is on, on stderr, at most five times a second, and cleared at the end.
 *
 * `report` is called on a thread of Spark's RPC, `close` on the driver's thread.
 *
 * @param title
 *   the estimator's uid
 */
private[train] final class ProgressBar(title: String, out: PrintStream, width: Int, now: () => Long) extends AutoCloseable {
  private var lastMillis = Long.MinValue
  private var begun = Option.empty[(Int, Long, Long)]
  private var shown = 0
  private var closed = false

  def report(report: Report): Unit = synchronized {
    val millis = now()
    if (!begun.exists(_._1 == report.run)) begun = Some((report.run, millis, report.step))
    if (!closed && (lastMillis == Long.MinValue || millis - lastMillis >= ProgressBar.PauseMillis || report.finished)) {
      lastMillis = millis
      show(line(report, millis))
    }
  }

  override def close(): Unit = synchronized {
    closed = true
    if (shown > 0) {
      out.print(s"\r${" " * shown}\r")
      out.flush()
    }
  }

  private def show(text: String): Unit = {
    out.print(s"\r${text.padTo(shown, ' ')}")
    out.flush()
    shown = text.length
  }

  /** `[uid 2/8: epoch 3/20 =====>      120/400, loss 0.1234, 5300 samples/s, 12 s]` */
  private def line(report: Report, millis: Long): String = {
    val which = if (report.together > 1) s" ${report.together} of ${report.runs} at once"
    else if (report.runs > 1) s" ${report.run + 1}/${report.runs}"
    else ""
    val inEpoch = if (report.epoch >= report.epochs) report.stepsPerEpoch else math.max(0, report.step - report.epoch.toLong * report.stepsPerEpoch)
    val head = s"[$title$which: epoch ${math.min(report.epoch + 1, report.epochs)}/${report.epochs} "
    val tail = f" $inEpoch/${report.stepsPerEpoch}, loss ${report.loss}%.4g, ${report.samplesPerSecond}%.0f samples/s${eta(report, millis)}]"
    val room = width - head.length - tail.length
    val total = report.epochs.toLong * report.stepsPerEpoch
    val bar = if (room < 4 || total == 0) ""
    else {
      val done = (math.min(report.step, total) * (room - 1) / total).toInt
      "=" * done + ">" + " " * (room - 1 - done)
    }
    (head + bar + tail).take(width)
  }

  /** Estimated remaining seconds, from the steps since this training's first report. */
  private def eta(report: Report, millis: Long): String = begun match {
    case Some((_, start, firstStep)) if report.step > firstStep && millis > start =>
      val left = report.epochs.toLong * report.stepsPerEpoch - report.step
      s", ${math.max(0, left) * (millis - start) / (report.step - firstStep) / 1000} s"
    case _ => ""
  }
}

private[train] object ProgressBar {
  private val PauseMillis = 200L
  private val DefaultWidth = 80

  def onConsole(title: String): ProgressBar = new ProgressBar(
    title, System.err, sys.env.get("COLUMNS").flatMap(width => Try(width.toInt).toOption).getOrElse(DefaultWidth), () => System.nanoTime() / 1000000)
}
