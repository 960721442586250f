package io.flambeau.ml

import org.apache.commons.math3.special.Erf
import org.apache.spark.sql.catalyst.expressions.{BinaryExpression, Expression, UnsafeArrayData}
import org.apache.spark.sql.catalyst.expressions.codegen.CodegenFallback
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.types.{ArrayType, DataType, FloatType}

import io.flambeau.spark.NullForNull

/**
 * A head whose parameters are in the row. Every group has its own, so a program could not take a batch at once. A head of some
 * hundred parameters costs less than a native call.
 *
 * @param left
 *   features, an array of floats
 * @param right
 *   parameters, an array of floats: each layer's weight `[out, in]`, then its bias
 * @param hidden
 *   sizes of the hidden layers
 * @param outputs
 *   how many values it gives, an array of floats
 */
private[ml] final case class GroupHeadOutput(left: Expression, right: Expression, hidden: Seq[Int], activation: String, outputs: Int)
    extends BinaryExpression
    with NullForNull
    with CodegenFallback {
  override def nullable: Boolean = true

  override def dataType: DataType = ArrayType(FloatType, containsNull = false)

  override def prettyName: String = "group_head"

  /** NULL where the features are not as many as the head takes, or one of them is NaN or infinite. */
  override protected def nullSafeEval(features: Any, parameters: Any): Any = {
    val numbers = parameters.asInstanceOf[ArrayData].toFloatArray()
    val held = features.asInstanceOf[ArrayData]
    val isWhole = !(0 until held.numElements()).exists(held.isNullAt)
    var values = if (isWhole) held.toFloatArray() else Array.empty[Float]
    val sizes = values.length +: hidden :+ outputs
    val wanted = sizes.zip(sizes.tail).map { case (in, out) => out * (in + 1) }.sum
    if (!isWhole || wanted != numbers.length || !values.forall(java.lang.Float.isFinite)) null
    else {
      var at = 0
      sizes.tail.zipWithIndex.foreach { case (out, layer) =>
        val in = values.length
        val next = new Array[Float](out)
        (0 until out).foreach { o =>
          var sum = numbers(at + out * in + o)
          var i = 0
          while (i < in) {
            sum += numbers(at + o * in + i) * values(i)
            i += 1
          }
          next(o) = if (layer < hidden.length) activated(sum) else sum
        }
        at += out * (in + 1)
        values = next
      }
      UnsafeArrayData.fromPrimitiveArray(values)
    }
  }

  private def activated(x: Float): Float = activation match {
    case "relu" => math.max(x, 0.0f)
    case "tanh" => math.tanh(x.toDouble).toFloat
    case "sigmoid" => (1 / (1 + math.exp(-x.toDouble))).toFloat
    case _ => (0.5 * x * (1 + Erf.erf(x / math.sqrt(2)))).toFloat
  }

  override protected def withNewChildrenInternal(newLeft: Expression, newRight: Expression): GroupHeadOutput = copy(left = newLeft, right = newRight)
}
