package io.flambeau.train

import java.io.{ByteArrayOutputStream, PrintStream}

import org.scalatest.funsuite.AnyFunSuite

import io.flambeau.bridge.EpochRow
import io.flambeau.ui.RunEpoch

/** The line on the console. */
class ProgressSuite extends AnyFunSuite {

  private def report(step: Long, epoch: Int = 0, run: Int = 0, finished: Boolean = false) =
    Report(run, 1, 2, epoch, 3, step, 100, 0.5, 1234.0, finished, Nil)

  test("one line, written over, at the most five times a second, gone at the end") {
    val bytes = new ByteArrayOutputStream
    var millis = 0L
    val bar = new ProgressBar("uid", new PrintStream(bytes), 80, () => millis)
    bar.report(report(0))
    millis = 100
    bar.report(report(1))
    millis = 1000
    bar.report(report(10))
    millis = 2000
    bar.report(report(150, epoch = 1))
    millis = 3000
    bar.report(report(200, epoch = 2).copy(together = 2))
    bar.close()
    bar.report(report(160, epoch = 1))
    val lines = bytes.toString.split('\r').filter(_.nonEmpty)
    assert(lines.length == 5 && lines.forall(_.length <= 80) && !bytes.toString.contains("\n"))
    assert(lines(0).startsWith("[uid 1/2: epoch 1/3 ") && lines(0).contains("0/100, loss 0.5000, 1234 samples/s]"))
    assert(lines(1).contains(" 10/100, ") && lines(1).contains(", 29 s]"))
    assert(lines(2).contains("epoch 2/3 ") && lines(2).contains(" 50/100, "))
    assert(lines(3).startsWith("[uid 2 of 2 at once: epoch 3/3 "))
    assert(lines(4).trim.isEmpty)
  }

  test("reports survive the way to the driver") {
    val epochs =
      Seq(RunEpoch(1, EpochRow(1, 0.5, None, Map.empty, 0.1, 320, 2.5, 0.5)), RunEpoch(0, EpochRow(1, 0.25, Some(0.75), Map("f1" -> 0.5), 0.1, 320, 2.5, 0.5)))
    val one = report(7, epoch = 2, run = 1, finished = true).copy(ended = epochs)
    assert(Report.parse(one.json) == one)
    assert(Report.parse(one.copy(loss = Double.NaN).json).loss.isNaN)
  }

  test("statistics of workers add up") {
    val a = DatasetStats(Sizes.of(2), Sizes.of(1), 10, 3, 1, Map(0 -> ClassCount(4, 4.5), 2 -> ClassCount(6, 6.0)), None, Some("row 1 of partition 0: why"))
    val b = DatasetStats(Sizes.none, Sizes.none, 5, 0, 0, Map(0 -> ClassCount(5, 0.5)), Some(Failure("FLAMBEAU_BAD_INPUT", "why \"so\"", Map("model" -> "m"))))
    assert(DatasetStats.parse(a.json) == a && DatasetStats.parse(b.json) == b)
    val all = a.merge(b)
    assert(all.rows == 15 && all.features == 2 && all.classes == Map(0 -> ClassCount(9, 5.0), 2 -> ClassCount(6, 6.0)))
    assert(all.skippedText == "handleInvalid left 1 of 19 rows out, for example row 1 of partition 0: why")
    val c = a.copy(featureSizes = Sizes(Map(3 -> 2L, 4 -> 1L)))
    assert(a.merge(c).features == 3 && a.merge(a).merge(a).merge(c).features == 2, "what most rows have")
    assert(all.failure == b.failure && all.failure.get.exception.getCondition == "FLAMBEAU_BAD_INPUT")
  }
}
