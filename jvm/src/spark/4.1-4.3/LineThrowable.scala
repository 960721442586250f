package io.flambeau.spark

import org.apache.spark.SparkThrowable

/** A failure of a condition that Spark's own list need not have. */
trait LineThrowable extends SparkThrowable {

  /** The condition's message, with names in angle brackets. */
  def template: String

  override def getDefaultMessageTemplate: String = template
}
