package io.flambeau.sql

import org.apache.spark.sql.catalyst.util.ArrayData

import io.flambeau.FlambeauException

/**
 * How two vectors are compared: the arithmetic of `cosine_similarity`, `dot` and `l2_distance`. Numbers are summed up as doubles,
 * whatever the arrays hold, so that a result does not depend on their type.
 *
 * Spark 4.2 has functions for the same (`vector_cosine_similarity` and others), for arrays of floats only and with sums in float.
 * NULLs, empty vectors and vectors of length 0 are treated here as they are there.
 *
 * @param name
 *   of the function
 */
private[flambeau] sealed abstract class VectorMeasure(val name: String) extends Serializable {

  /** Of two vectors that have the same number of elements; null if it is not defined. */
  protected def of(left: Array[Double], right: Array[Double]): java.lang.Double

  /**
   * Null if an element is NULL, or if there is no result (the cosine of a vector of length 0).
   *
   * @param leftFloats
   *   whether the left array holds floats, and not doubles
   * @throws FlambeauException
   *   FLAMBEAU_BAD_INPUT for vectors that differ in their number of elements
   */
  final def of(left: ArrayData, leftFloats: Boolean, right: ArrayData, rightFloats: Boolean): java.lang.Double = {
    if (left.numElements() != right.numElements()) throw refusal(left.numElements(), right.numElements())
    if (VectorMeasure.hasNull(left) || VectorMeasure.hasNull(right)) null
    else of(VectorMeasure.doubles(left, leftFloats), VectorMeasure.doubles(right, rightFloats))
  }

  private def refusal(left: Int, right: Int): FlambeauException = {
    val what = s"$name: one vector has $left elements, the other $right"
    new FlambeauException(
      "FLAMBEAU_BAD_INPUT", s"$what. Compare vectors of one model only, or filter by size() first.", Map("model" -> "", "cause" -> what), null)
  }
}

private[flambeau] object VectorMeasure {

  /** 1 for vectors of the same direction, -1 for opposite ones. */
  case object Cosine extends VectorMeasure("cosine_similarity") {
    override protected def of(left: Array[Double], right: Array[Double]): java.lang.Double = {
      val lengths = math.sqrt(sum(left, left)) * math.sqrt(sum(right, right))
      if (lengths == 0) null
      else {
        // Rounding must not give a number that has no angle. NaN stays NaN.
        val cosine = sum(left, right) / lengths
        java.lang.Double.valueOf(if (cosine > 1) 1.0 else if (cosine < -1) -1.0 else cosine)
      }
    }
  }

  /** The sum of the products. */
  case object Dot extends VectorMeasure("dot") {
    override protected def of(left: Array[Double], right: Array[Double]): java.lang.Double = java.lang.Double.valueOf(sum(left, right))
  }

  /** The length of the difference. */
  case object L2 extends VectorMeasure("l2_distance") {
    override protected def of(left: Array[Double], right: Array[Double]): java.lang.Double = {
      val difference = new Array[Double](left.length)
      var i = 0
      while (i < left.length) {
        difference(i) = left(i) - right(i)
        i += 1
      }
      java.lang.Double.valueOf(math.sqrt(sum(difference, difference)))
    }
  }

  val all: Seq[VectorMeasure] = Seq(Cosine, Dot, L2)

  /** The sum of the products. Four sums side by side, since an addition takes several cycles. */
  private def sum(left: Array[Double], right: Array[Double]): Double = {
    var (a, b, c, d) = (0.0, 0.0, 0.0, 0.0)
    val whole = left.length - left.length % 4
    var i = 0
    while (i < whole) {
      a += left(i) * right(i)
      b += left(i + 1) * right(i + 1)
      c += left(i + 2) * right(i + 2)
      d += left(i + 3) * right(i + 3)
      i += 4
    }
    while (i < left.length) {
      a += left(i) * right(i)
      i += 1
    }
    (a + b) + (c + d)
  }

  private def hasNull(array: ArrayData): Boolean = {
    var i = 0
    while (i < array.numElements() && !array.isNullAt(i)) i += 1
    i < array.numElements()
  }

  private def doubles(array: ArrayData, floats: Boolean): Array[Double] =
    if (!floats) array.toDoubleArray()
    else {
      val values = array.toFloatArray()
      val wide = new Array[Double](values.length)
      var i = 0
      while (i < values.length) {
        wide(i) = values(i).toDouble
        i += 1
      }
      wide
    }
}
