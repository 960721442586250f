package io.flambeau.ml

import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Expression, GenericInternalRow, UnaryExpression, UnsafeArrayData}
import org.apache.spark.sql.catalyst.expressions.codegen.CodegenFallback
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.types.{ArrayType, DataType, DoubleType, FloatType}

import io.flambeau.FlambeauException
import io.flambeau.spark.{MayFail, NullForNull}

/*
 * The stages' conversions of a model's result, as Catalyst expressions: values are not boxed, and they run where the result is
 * read. Spark's own array_to_vector is a user-defined function that boxes every element.
 */

/** A dense vector as Spark ML stores it in rows: (kind 1, no size, no indices, values). */
private[ml] object DenseStorage {
  private val Fields = 4
  private val Dense: Byte = 1
  private val Values = 3

  def of(values: Array[Double]): InternalRow = {
    val row = new GenericInternalRow(Fields)
    row.setByte(0, Dense)
    row.setNullAt(1)
    row.setNullAt(2)
    row.update(Values, UnsafeArrayData.fromPrimitiveArray(values))
    row
  }
}

/** An array of floats or doubles, without NULLs inside, as a dense vector. */
private[ml] final case class ToVector(child: Expression) extends UnaryExpression with NullForNull with CodegenFallback {
  override def dataType: DataType = VectorType

  override def prettyName: String = "to_vector"

  private lazy val ofFloats = child.dataType match {
    case ArrayType(FloatType, _) => true
    case ArrayType(DoubleType, _) => false
    case other => throw new IllegalStateException(s"an array of floats or doubles was promised, not ${other.sql}")
  }

  override protected def nullSafeEval(value: Any): Any = {
    val array = value.asInstanceOf[ArrayData]
    DenseStorage.of(if (ofFloats) array.toFloatArray().map(_.toDouble) else array.toDoubleArray())
  }

  override protected def withNewChildInternal(newChild: Expression): ToVector = copy(child = newChild)
}

/** The same numbers, or NULL if one of them is NaN or infinite: training rejects such rows, so they get no prediction either. */
private[ml] final case class FiniteOnly(child: Expression) extends UnaryExpression with NullForNull with CodegenFallback {
  override def nullable: Boolean = true

  override def dataType: DataType = child.dataType

  override def prettyName: String = "finite_only"

  override protected def nullSafeEval(value: Any): Any = if (isFinite(value, dataType)) value else null

  private def isFinite(value: Any, dataType: DataType): Boolean = (value, dataType) match {
    case (number: Float, _) => java.lang.Float.isFinite(number)
    case (number: Double, _) => java.lang.Double.isFinite(number)
    case (array: ArrayData, ArrayType(FloatType, false)) => array.toFloatArray().forall(java.lang.Float.isFinite)
    case (array: ArrayData, ArrayType(DoubleType, false)) => array.toDoubleArray().forall(java.lang.Double.isFinite)
    case (array: ArrayData, ArrayType(element, _)) =>
      (0 until array.numElements()).forall(i => array.isNullAt(i) || isFinite(array.get(i, element), element))
    case _ => true
  }

  override protected def withNewChildInternal(newChild: Expression): FiniteOnly = copy(child = newChild)
}

private[ml] object FiniteOnly {

  /** Whether there can be such a value. */
  def concerns(dataType: DataType): Boolean = dataType match {
    case ArrayType(element, _) => concerns(element)
    case other => other == FloatType || other == DoubleType
  }
}

/** The probabilities of all `size` classes in the order of their indices, from what classify gives, as an array of floats. */
private[ml] final case class InClassOrder(child: Expression, size: Int) extends UnaryExpression with NullForNull with CodegenFallback {
  private val Fields = 3
  private val Index = 1
  private val Probability = 2

  override def dataType: DataType = ArrayType(FloatType, containsNull = false)

  override def prettyName: String = "in_class_order"

  override protected def nullSafeEval(value: Any): Any = {
    val classes = value.asInstanceOf[ArrayData]
    val probabilities = new Array[Float](size)
    (0 until classes.numElements()).foreach { i =>
      val entry = classes.getStruct(i, Fields)
      probabilities(entry.getInt(Index)) = entry.getFloat(Probability)
    }
    UnsafeArrayData.fromPrimitiveArray(probabilities)
  }

  override protected def withNewChildInternal(newChild: Expression): InClassOrder = copy(child = newChild)
}

/**
 * A result that must not be NULL: a strict call returns NULL for a NULL input, which fails the query.
 *
 * @param stage
 *   the stage's uid, for the message
 * @param model
 *   the model as the user wrote it
 * @param reason
 *   the meaning of a NULL result
 */
private[ml] final case class Required(child: Expression, stage: String, model: String, reason: String)
    extends UnaryExpression
    with CodegenFallback
    with MayFail {

  override def nullable: Boolean = false

  override protected def fails: Boolean = true

  override def dataType: DataType = child.dataType

  override def prettyName: String = "required"

  override def eval(input: InternalRow): Any = {
    val value = child.eval(input)
    if (value == null) {
      throw new FlambeauException(
        "FLAMBEAU_BAD_INPUT",
        s"$stage with model '$model': $reason. Set handleInvalid to skip or keep, or filter such rows out.",
        Map("model" -> model, "cause" -> reason),
        null)
    }
    value
  }

  override protected def withNewChildInternal(newChild: Expression): Required = copy(child = newChild)
}
