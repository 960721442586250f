package io.flambeau.spark

import org.apache.spark.SparkThrowable

/** How the tests read the condition of any failure. */
object Conditions {

  /** Its name. Null: it has none. */
  def of(failure: SparkThrowable): String = failure.getCondition
}
