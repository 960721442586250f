package io.flambeau.train

import scala.jdk.CollectionConverters._

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
 * What one worker, or all together, know of the data.
 *
 * @param features
 *   numbers in a row's features; 0: no row seen
 * @param targets
 *   numbers in a row's label: 1, or those of a vector
 * @param rows
 *   for training
 * @param validationRows
 *   for validation
 * @param skipped
 *   left out since something of them is NULL
 * @param classes
 *   of the rows for training; the label of a validation row alone has count 0
 */
private[flambeau] final case class Facts(
    features: Int,
    targets: Int,
    rows: Long,
    validationRows: Long,
    skipped: Long,
    classes: Map[Int, ClassCount],
    failure: Option[Failure]) {

  def merge(other: Facts): Facts = Facts(
    math.max(features, other.features), math.max(targets, other.targets), rows + other.rows, validationRows + other.validationRows,
    skipped + other.skipped,
    (classes.keySet ++ other.classes.keySet).map { c =>
      c -> (classes.getOrElse(c, Facts.NoRows) + other.classes.getOrElse(c, Facts.NoRows))
    }.toMap,
    failure.orElse(other.failure))

  def json: String = Json.write(Map[String, Any](
    "features" -> features, "targets" -> targets, "rows" -> rows, "validation" -> validationRows, "skipped" -> skipped,
    "classes" -> classes.toSeq.map { case (c, count) => Seq[Any](c, count.rows, count.weight) },
    "failure" -> failure.map(f => Map[String, Any]("condition" -> f.condition, "text" -> f.text, "parameters" -> f.parameters))))
}

private[flambeau] object Facts {
  private val NoRows = ClassCount(0, 0.0)

  val none: Facts = Facts(0, 0, 0, 0, 0, Map.empty, None)

  def failed(failure: Failure): Facts = none.copy(failure = Some(failure))

  def parse(json: String): Facts = {
    val root = Json.read(json)
    val classes = root.get("classes").elements.asScala.map { c => c.get(0).asInt -> ClassCount(c.get(1).asLong, c.get(2).asDouble) }.toMap
    val failure = Option(root.get("failure")).filterNot(_.isNull).map { f =>
      Failure(f.get("condition").asText, f.get("text").asText, f.get("parameters").properties.asScala.map(e => e.getKey -> e.getValue.asText).toMap)
    }
    Facts(
      root.get("features").asInt, root.get("targets").asInt, root.get("rows").asLong, root.get("validation").asLong, root.get("skipped").asLong,
      classes, failure)
  }
}
