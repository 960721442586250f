package io.flambeau.train

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.annotation.JsonDeserialize

import io.flambeau.FlambeauException
import io.flambeau.bridge.Json

/*
 * What workers tell each other through rank 0's store, as JSON. Values only.
 */

/** A failure that repeating the stage would not mend: it travels to the driver as a value, so that Spark does not try again. */
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
 * How long the arrays of some rows are: rows by length. Most decide; the others are rows that cannot be trained on.
 */
private[flambeau] final case class Sizes(
    @JsonDeserialize(keyAs = classOf[java.lang.Integer], contentAs = classOf[java.lang.Long]) votes: Map[Int, Long]) {

  /** The length that most rows have, the larger one of equals; 0 where no row was seen. */
  def most: Int = votes.toSeq.sortBy { case (length, rows) => (rows, length) }.lastOption.fold(0)(_._1)

  def +(other: Sizes): Sizes = Sizes((votes.keySet ++ other.votes.keySet).map(n => n -> (votes.getOrElse(n, 0L) + other.votes.getOrElse(n, 0L))).toMap)
}

private[flambeau] object Sizes {
  val none: Sizes = Sizes(Map.empty)
  def of(length: Int): Sizes = Sizes(Map(length -> 1L))
}

/**
 * What one worker, or all together, know of the data.
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
 *   left out since they cannot be trained on
 * @param firstSkipped
 *   which one of these is, and why
 * @param classes
 *   of the rows for training; the label of a validation row alone has count 0
 */
private[flambeau] final case class Facts(
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

  /** What the log says of rows that were left out. */
  def skippedText: String = s"handleInvalid left $skipped of ${rows + validationRows + skipped} rows out${firstSkipped.fold("")(", for example " + _)}"

  def merge(other: Facts): Facts = Facts(
    featureSizes + other.featureSizes, targetSizes + other.targetSizes, rows + other.rows, validationRows + other.validationRows,
    skipped + other.skipped,
    (classes.keySet ++ other.classes.keySet).map { c =>
      c -> (classes.getOrElse(c, Facts.NoRows) + other.classes.getOrElse(c, Facts.NoRows))
    }.toMap,
    failure.orElse(other.failure), firstSkipped.orElse(other.firstSkipped))

  def json: String = Json.write(this)
}

private[flambeau] object Facts {
  private val NoRows = ClassCount(0, 0.0)

  val none: Facts = Facts(Sizes.none, Sizes.none, 0, 0, 0, Map.empty, None)

  def failed(failure: Failure): Facts = none.copy(failure = Some(failure))

  def parse(json: String): Facts = Json.as[Facts](json)
}
