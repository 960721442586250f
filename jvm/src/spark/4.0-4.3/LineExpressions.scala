package io.flambeau.spark

import org.apache.spark.sql.catalyst.expressions.{CommonExpressionRef, Expression}
import org.apache.spark.sql.catalyst.plans.QueryPlan

/** What lines of Spark have in different places, or not at all, around expressions and plans. */
object LineExpressions {

  /** Whether it stands for an expression that is defined somewhere above it. */
  def isReference(e: Expression): Boolean = e.isInstanceOf[CommonExpressionRef]

  /** A field of an operator as `EXPLAIN FORMATTED` shows it. */
  def field(name: String, values: Any): String = QueryPlan.generateFieldString(name, values)
}
