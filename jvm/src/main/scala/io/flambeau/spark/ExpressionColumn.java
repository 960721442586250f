package io.flambeau.spark;

import org.apache.spark.sql.Column;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.classic.ExpressionUtils;

/** A Catalyst expression as a Column. Java because Spark opens this conversion to its own Scala packages only. */
public final class ExpressionColumn {
  private ExpressionColumn() {}

  public static Column of(Expression expression) {
    return ExpressionUtils.column(expression);
  }
}
