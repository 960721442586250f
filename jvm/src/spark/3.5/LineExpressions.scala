package io.flambeau.spark

import org.apache.spark.sql.catalyst.expressions.Expression
import org.apache.spark.sql.execution.ExplainUtils

/** What lines of Spark have in different places, or not at all, around expressions and plans. */
object LineExpressions {

  /** Whether it stands for an expression that is defined somewhere above it. This line of Spark has no such. */
  def isReference(e: Expression): Boolean = false

  /** A field of an operator as `EXPLAIN FORMATTED` shows it. */
  def field(name: String, values: Any): String = ExplainUtils.generateFieldString(name, values)
}
