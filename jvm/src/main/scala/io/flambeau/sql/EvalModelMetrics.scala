package io.flambeau.sql

import org.apache.spark.SparkContext
import org.apache.spark.sql.execution.metric.{SQLMetric, SQLMetrics}

import io.flambeau.bridge.Counters

/**
 * What the SQL page of the Spark UI shows for the operator. Declared once: key, label, kind.
 *
 * A task publishes after every batch, so a task that fails or is cut short by a limit is counted too.
 */
private[sql] object EvalModelMetrics {
  private sealed trait Kind
  private case object Count extends Kind
  private case object Size extends Kind
  private case object Time extends Kind

  private val declared: Seq[(String, String, Kind)] = Seq(
    ("numOutputRows", "rows", Count),
    ("batches", "batches", Count),
    ("badRows", "bad rows", Count),
    // The cost of finding the rows that the program rejected.
    ("passesAgain", "passes run again", Count),
    // Which engine runs the model: `spark.flambeau.engine`.
    ("passes.torchscript", "passes on engine torchscript", Count),
    ("passes.fused", "passes on engine fused", Count),
    ("passes.aot", "passes on engine aot", Count),
    ("passes.cuda", "passes on engine cuda", Count),
    ("bytesIn", "bytes in", Size),
    ("bytesOut", "bytes out", Size),
    ("loadTime", "time to load", Time),
    ("prepareTime", "time to prepare", Time),
    ("forwardTime", "time to forward", Time),
    ("convertTime", "time to convert", Time),
    // The peak of each task; the sum over tasks means nothing, the maximum does.
    ("peakNativeBytes", "native bytes of a batch (estimate)", Size),
    // Of texts and sounds: real / padded is how well passes are filled.
    ("realTokens", "real tokens", Count),
    ("paddedTokens", "padded tokens", Count))

  def create(context: SparkContext): Map[String, SQLMetric] = declared.map { case (key, label, kind) =>
    key -> (kind match {
      case Count => SQLMetrics.createMetric(context, label)
      case Size => SQLMetrics.createSizeMetric(context, label)
      case Time => SQLMetrics.createNanoTimingMetric(context, label)
    })
  }.toMap
}

/** One task's side of the metrics: remembers what it published, adds the difference. */
private[sql] final class EvalModelMetrics(metrics: Map[String, SQLMetric]) {
  private var published = Counters.Zero

  /** Bytes of one batch as it crosses the boundary. */
  def batch(bytesIn: Long, bytesOut: Long): Unit = {
    metrics("batches").add(1)
    metrics("bytesIn").add(bytesIn)
    metrics("bytesOut").add(bytesOut)
  }

  /** The session's running totals, and the engine that it runs on. */
  def publish(totals: Counters, engine: String): Unit = {
    metrics.get(s"passes.$engine").foreach(_.add(totals.forwards - published.forwards))
    metrics("numOutputRows").add(totals.rows - published.rows)
    metrics("badRows").add(totals.badRows - published.badRows)
    metrics("passesAgain").add(totals.passesAgain - published.passesAgain)
    metrics("loadTime").add(totals.loadNs - published.loadNs)
    metrics("prepareTime").add(totals.prepareNs - published.prepareNs)
    metrics("forwardTime").add(totals.forwardNs - published.forwardNs)
    metrics("convertTime").add(totals.convertNs - published.convertNs)
    metrics("peakNativeBytes").add(math.max(0, totals.peakNativeBytes - published.peakNativeBytes))
    metrics("realTokens").add(totals.realTokens - published.realTokens)
    metrics("paddedTokens").add(totals.paddedTokens - published.paddedTokens)
    published = totals
  }
}
