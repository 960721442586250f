package io.flambeau.spark

import org.apache.spark.sql.catalyst.expressions.Expression

/** An expression that fails on some rows. This line of Spark does not ask. */
trait MayFail extends Expression {

  /** Whether it fails by itself. */
  protected def fails: Boolean
}
