package io.flambeau.ml

import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Expression, UnaryExpression, UnsafeArrayData}
import org.apache.spark.sql.catalyst.expressions.codegen.CodegenFallback
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.types.{ArrayType, DataType, DoubleType, FloatType}

import io.flambeau.spark.NullForNull

/*
 * From features to what training takes, and from a program's scores to Spark ML's columns, as Catalyst expressions.
 */

/** A Spark ML vector, dense or sparse, as an array of floats. */
private[ml] final case class VectorFloats(child: Expression) extends UnaryExpression with NullForNull with CodegenFallback {
  private val Dense = 1
  private val Fields = Seq("kind", "size", "indices", "values").zipWithIndex.toMap

  override def dataType: DataType = ArrayType(FloatType, containsNull = false)

  override def prettyName: String = "vector_floats"

  override protected def nullSafeEval(stored: Any): Any = {
    val vector = stored.asInstanceOf[InternalRow]
    val values = vector.getArray(Fields("values")).toDoubleArray()
    val all =
      if (vector.getByte(Fields("kind")) == Dense) values.map(_.toFloat)
      else {
        val zeros = new Array[Float](vector.getInt(Fields("size")))
        vector.getArray(Fields("indices")).toIntArray().zip(values).foreach { case (index, value) => zeros(index) = value.toFloat }
        zeros
      }
    UnsafeArrayData.fromPrimitiveArray(all)
  }

  override protected def withNewChildInternal(newChild: Expression): VectorFloats = copy(child = newChild)
}

/** Scores of classes; exactly one class is right. */
private[ml] object Softmax {

  /** Their probabilities. */
  def of(scores: Array[Float]): Array[Double] = {
    val largest = if (scores.isEmpty) 0.0f else scores.max
    val exponentials = scores.map(score => math.exp((score - largest).toDouble))
    val sum = exponentials.sum
    exponentials.map(_ / sum)
  }
}

/** The probabilities of classes from their scores, exactly one class being right: their softmax, as a dense vector. */
private[ml] final case class SoftmaxVector(child: Expression) extends UnaryExpression with NullForNull with CodegenFallback {
  override def dataType: DataType = VectorType

  override def prettyName: String = "softmax"

  override protected def nullSafeEval(value: Any): Any = DenseStorage.of(Softmax.of(value.asInstanceOf[ArrayData].toFloatArray()))

  override protected def withNewChildInternal(newChild: Expression): SoftmaxVector = copy(child = newChild)
}

/** The index of the largest score, the first of equals, as a double: what Spark ML calls the prediction of a classifier. */
private[ml] final case class LargestIndex(child: Expression) extends UnaryExpression with NullForNull with CodegenFallback {
  override def dataType: DataType = DoubleType

  override def prettyName: String = "largest_index"

  override protected def nullSafeEval(value: Any): Any = {
    val scores = value.asInstanceOf[ArrayData].toFloatArray()
    scores.indices.foldLeft(0)((best, i) => if (scores(i) > scores(best)) i else best).toDouble
  }

  override protected def withNewChildInternal(newChild: Expression): LargestIndex = copy(child = newChild)
}

/**
 * The class with the largest probability / threshold, the first of equals, as a double: Spark ML's rule for `thresholds`. The
 * one class whose threshold may be 0 wins unless its probability is 0 too (0 / 0 is NaN, and never the largest).
 */
private[ml] final case class LargestOverThreshold(child: Expression, thresholds: Seq[Double]) extends UnaryExpression with NullForNull with CodegenFallback {
  override def dataType: DataType = DoubleType

  override def prettyName: String = "largest_over_threshold"

  override protected def nullSafeEval(value: Any): Any = {
    val scaled = Softmax.of(value.asInstanceOf[ArrayData].toFloatArray()).zip(thresholds).map { case (p, threshold) => p / threshold }
    scaled.zipWithIndex.foldLeft((Double.NegativeInfinity, 0)) { case (best, one) => if (one._1 > best._1) one else best }._2.toDouble
  }

  override protected def withNewChildInternal(newChild: Expression): LargestOverThreshold = copy(child = newChild)
}
