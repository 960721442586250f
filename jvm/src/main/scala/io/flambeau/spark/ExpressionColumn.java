package io.flambeau.spark;

import org.apache.spark.sql.Column;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.classic.ExpressionUtils;

/** A Catalyst expression as a column of the DataFrame interface: Spark keeps the way there to its own Scala packages. */
public final class ExpressionColumn {
  private ExpressionColumn() {}

  public static Column of(Expression expression) {
    return ExpressionUtils.column(expression);
  }
}
