package io.flambeau.ml

import org.apache.spark.ml.attribute.AttributeGroup
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.catalyst.expressions.{Cast, Expression}
import org.apache.spark.sql.types.{ArrayType, DoubleType, FloatType, NumericType}

/** Columns of numbers, as arrays or as Spark ML's vectors. */
private[ml] object Outputs {

  /**
   * A column of numbers.
   *
   * @param dataType
   *   of `value`: an array of numbers
   * @param size
   *   numbers in a row. A vector column carries it in its metadata, so that estimators need not read a row to know it
   */
  def numbers(column: String, dataType: ArrayType, size: Long, asVector: Boolean)(value: Expression => Expression): Output =
    if (!asVector) Output(column, dataType, value)
    else {
      val metadata = new AttributeGroup(column, Math.toIntExact(size)).toMetadata()
      val doubles: Expression => Expression = dataType.elementType match {
        case FloatType | DoubleType => value
        case _ => result => Cast(value(result), ArrayType(DoubleType, containsNull = false))
      }
      Output(column, VectorType, result => ToVector(doubles(result)), metadata)
    }

  /** Whether a vector can hold it. */
  def isVectorLike(dataType: ArrayType): Boolean = dataType.elementType.isInstanceOf[NumericType]

  /** Values in a row of this shape. */
  def size(shape: Seq[Long]): Long = shape.product
}
