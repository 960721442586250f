package io.flambeau.train

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.annotation.JsonDeserialize

import io.flambeau.FlambeauException
import io.flambeau.bridge.Json

/*
 * Messages between workers through the driver's board, as JSON. Values only.
 */

/** A failure that would happen again in a retry: it goes to the driver as a value, so that Spark does not retry. */
private[flambeau] final case class Failure(condition: String, text: String, parameters: Map[String, String]) {
  def exception: FlambeauException = new FlambeauException(condition, text, parameters, null)
}

private[flambeau] object Failure {
  def of(cause: FlambeauException): Failure =
    Failure(cause.getCondition, cause.getMessage.stripPrefix(s"[${cause.getCondition}] "), cause.getMessageParameters.asScala.toMap)
}

/**
 * One class as a worker counted it.
 *
 * @param weight
 *   sum of the weights of its rows
 */
private[flambeau] final case class ClassCount(rows: Long, weight: Double) {
  def +(other: ClassCount): ClassCount = ClassCount(rows + other.rows, weight + other.weight)
}

/**
 * How long the arrays of some rows are: rows by length. The most frequent length decides; other rows cannot be trained on.
 */
private[flambeau] final case class Sizes(
    @JsonDeserialize(keyAs = classOf[java.lang.Integer], contentAs = classOf[java.lang.Long]) votes: Map[Int, Long]) {

  /** The most frequent length (the larger one if equal); 0 if there were no rows. */
  def most: Int = votes.toSeq.sortBy { case (length, rows) => (rows, length) }.lastOption.fold(0)(_._1)

  def +(other: Sizes): Sizes = Sizes((votes.keySet ++ other.votes.keySet).map(n => n -> (votes.getOrElse(n, 0L) + other.votes.getOrElse(n, 0L))).toMap)
}

private[flambeau] object Sizes {
  val none: Sizes = Sizes(Map.empty)
  def of(length: Int): Sizes = Sizes(Map(length -> 1L))
}

/**
 * Statistics of the data of one worker, or of all together.
 *
 * @param featureSizes
 *   numbers in a row's features
 * @param targetSizes
 *   numbers in a row's label: 1, or those of an array
 * @param rows
 *   for training
 * @param validationRows
 *   for validation
 * @param skipped
 *   left out because they cannot be trained on
 * @param firstSkipped
 *   an example of these, with the reason
 * @param classes
 *   of the rows for training; the label of a validation row alone has count 0
 */
private[flambeau] final case class DatasetStats(
    featureSizes: Sizes,
    targetSizes: Sizes,
    rows: Long,
    validationRows: Long,
    skipped: Long,
    @JsonDeserialize(keyAs = classOf[java.lang.Integer]) classes: Map[Int, ClassCount],
    failure: Option[Failure],
    firstSkipped: Option[String] = None) {

  /** Numbers in a row's features; 0: no row seen. */
  def features: Int = featureSizes.most

  /** Numbers in a row's label. */
  def targets: Int = targetSizes.most

  /** The log message about rows that were left out. */
  def skippedText: String = s"handleInvalid left $skipped of ${rows + validationRows + skipped} rows out${firstSkipped.fold("")(", for example " + _)}"

  def merge(other: DatasetStats): DatasetStats = DatasetStats(
    featureSizes + other.featureSizes, targetSizes + other.targetSizes, rows + other.rows, validationRows + other.validationRows,
    skipped + other.skipped,
    (classes.keySet ++ other.classes.keySet).map { c =>
      c -> (classes.getOrElse(c, DatasetStats.NoRows) + other.classes.getOrElse(c, DatasetStats.NoRows))
    }.toMap,
    failure.orElse(other.failure), firstSkipped.orElse(other.firstSkipped))

  def json: String = Json.write(this)
}

private[flambeau] object DatasetStats {
  private val NoRows = ClassCount(0, 0.0)

  val none: DatasetStats = DatasetStats(Sizes.none, Sizes.none, 0, 0, 0, Map.empty, None)

  def failed(failure: Failure): DatasetStats = none.copy(failure = Some(failure))

  def parse(json: String): DatasetStats = Json.as[DatasetStats](json)
}
