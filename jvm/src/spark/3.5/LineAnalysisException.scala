package io.flambeau.spark

import org.apache.spark.sql.AnalysisException

/** An `AnalysisException` of a condition that Spark's own list need not have. The message is `text`, as it is. */
abstract class LineAnalysisException(
    text: String, condition: String, state: String, parameters: Map[String, String], cause: Option[Throwable], line: Option[Int],
    startPosition: Option[Int])
    extends AnalysisException(
      message = text,
      line = line,
      startPosition = startPosition,
      cause = cause,
      errorClass = Some(condition),
      messageParameters = parameters,
      context = Array.empty) {

  /** The name of the condition. */
  def getCondition: String = condition

  override def getSqlState: String = state
}
