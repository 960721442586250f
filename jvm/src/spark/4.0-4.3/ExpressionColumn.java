package io.flambeau.spark;

import org.apache.spark.sql.Column;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.classic.ExpressionUtils;

/** From a Catalyst expression to a Column and back. Java because Spark opens both conversions to its own Scala packages only. */
public final class ExpressionColumn {
  private ExpressionColumn() {}

  public static Column of(Expression expression) {
    return ExpressionUtils.column(expression);
  }

  public static Expression expression(Column column) {
    return ExpressionUtils.expression(column);
  }
}
