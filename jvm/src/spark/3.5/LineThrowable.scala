package io.flambeau.spark

import org.apache.spark.SparkThrowable

/** A failure of a condition that Spark's own list need not have. This line of Spark asks for no template. */
trait LineThrowable extends SparkThrowable {

  /** The name of the condition. */
  def getCondition: String

  override def getErrorClass: String = getCondition
}
