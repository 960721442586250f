package io.flambeau.spark;

import org.apache.spark.sql.Column;
import org.apache.spark.sql.catalyst.expressions.Expression;

/** From a Catalyst expression to a Column and back. */
public final class ExpressionColumn {
  private ExpressionColumn() {}

  public static Column of(Expression expression) {
    return new Column(expression);
  }

  public static Expression expression(Column column) {
    return column.expr();
  }
}
