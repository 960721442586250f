package io.flambeau.spark

import org.apache.spark.SparkThrowable

/** A failure of a condition that Spark's own list need not have. */
trait LineThrowable extends SparkThrowable {
  override def getDefaultMessageTemplate: String = ErrorConditions.MESSAGE_TEMPLATE
}
