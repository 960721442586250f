package io.flambeau.spark

import org.apache.spark.sql.catalyst.expressions.Expression

/** An expression that is NULL where one of its children is. */
trait NullForNull extends Expression {
  override def nullIntolerant: Boolean = true
}
