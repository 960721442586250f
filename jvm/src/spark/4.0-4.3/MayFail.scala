package io.flambeau.spark

import org.apache.spark.sql.catalyst.expressions.Expression

/** An expression that fails on some rows. Spark asks it for this. */
trait MayFail extends Expression {

  /** Whether it fails by itself, whatever its children do. */
  protected def fails: Boolean

  override lazy val throwable: Boolean = fails || children.exists(_.throwable)
}
