package io.flambeau.ml

import org.apache.spark.sql.{DataFrame, Row, SparkSession}
import org.apache.spark.sql.types._

import io.flambeau.bridge.EpochRow
import io.flambeau.train.{DatasetStats, TrainingResult}

/**
 * How a training went. Only models that were fitted in this session have one; a loaded model has none, as in Spark ML.
 *
 * @param stoppedEarly
 *   whether `patience` ended it before `maxEpochs`
 * @param steps
 *   optimizer steps, including those before a resume
 */
final class TrainingSummary private[ml] (
    session: SparkSession, epochs: Seq[EpochRow], val steps: Long, val stoppedEarly: Boolean, stats: DatasetStats) {

  /** Rows that were trained on. */
  def rows: Long = stats.rows

  /** Rows in the validation set. */
  def validationRows: Long = stats.validationRows

  /** Rows that were left out by `handleInvalid`. */
  def skippedRows: Long = stats.skipped

  /**
   * A row for each epoch. Columns: `epoch` (from 1), `trainLoss`, `validationLoss`, one for each metric, `learningRate` (of the last
   * step), `samples`, `seconds`, `samplesPerSecond`, `waitedSeconds`. `validationLoss` and the metrics are NULL without validation rows.
   * `waitedSeconds` says how long the first worker's steps waited for their rows.
   */
  lazy val history: DataFrame = {
    val names = epochs.flatMap(_.metrics.keys).distinct.sorted
    val schema = StructType(
      Seq(StructField("epoch", IntegerType, nullable = false), StructField("trainLoss", DoubleType, nullable = false),
        StructField("validationLoss", DoubleType)) ++
        names.map(StructField(_, DoubleType)) ++
        Seq("learningRate" -> DoubleType, "samples" -> LongType, "seconds" -> DoubleType, "samplesPerSecond" -> DoubleType, "waitedSeconds" -> DoubleType).map {
          case (name, kind) =>
            StructField(name, kind, nullable = false)
        })
    val rows = epochs.map { e =>
      val rate = if (e.seconds > 0) e.samples / e.seconds else 0.0
      Row.fromSeq(
        Seq[Any](e.epoch + 1, e.trainLoss, e.validationLoss.map(Double.box).orNull) ++ names.map(n => e.metrics.get(n).map(Double.box).orNull) ++
          Seq[Any](e.lr, e.samples, e.seconds, rate, e.waitedSeconds))
    }
    import scala.jdk.CollectionConverters._
    session.createDataFrame(rows.asJava, schema)
  }
}

private[ml] object TrainingSummary {

  /** The columns of every history. */
  val Columns: Set[String] = Set("epoch", "trainLoss", "validationLoss", "learningRate", "samples", "seconds", "samplesPerSecond", "waitedSeconds")

  def of(session: SparkSession, result: TrainingResult): TrainingSummary =
    new TrainingSummary(session, result.history, result.steps, result.stoppedEarly, result.stats)
}
