package io.flambeau.sql

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.Expression
import org.apache.spark.sql.catalyst.expressions.codegen.CodegenFallback
import org.apache.spark.sql.catalyst.util.{ArrayData, GenericArrayData}
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.types.UTF8String

import io.flambeau.spark.NullForNull

/**
 * From what a model of inference says of each label's hypothesis to the labels, best first: `array<struct<label, index, probability>>`, as
 * the zero-shot-classification pipeline of transformers computes it. NULL if one of the children is.
 *
 * @param logits
 *   for each label: the scores of the model's classes, an array of floats
 * @param entailment
 *   the class that says that the hypothesis follows from the text
 * @param multiLabel
 *   each label by itself: entailment against contradiction. Otherwise exactly one label is right: entailment against that of the other
 *   labels. A single label is always taken by itself.
 */
private[flambeau] final case class ZeroShotLabels(logits: Seq[Expression], labels: Seq[String], entailment: Int, multiLabel: Boolean)
    extends Expression
    with NullForNull
    with CodegenFallback {

  override def children: Seq[Expression] = logits

  override def nullable: Boolean = logits.exists(_.nullable)

  override def dataType: DataType = ModelTask.ofLabels

  override def prettyName: String = "zero_shot_labels"

  override def toString: String = s"$prettyName(${(logits.map(_.toString) ++ labels).mkString(", ")})"

  override def eval(input: InternalRow): Any = {
    val scores = logits.map(_.eval(input).asInstanceOf[ArrayData])
    if (scores.contains(null)) null else best(scores.map(_.toFloatArray()))
  }

  private def best(scores: Seq[Array[Float]]): ArrayData = {
    val probabilities =
      if (multiLabel || labels.length == 1) scores.map(one => softmax(Seq(one(contradiction(one.length)), one(entailment))).last)
      else softmax(scores.map(_(entailment)))
    // Equal probabilities stay in the order of the labels.
    val order = labels.indices.sortWith((a, b) => java.lang.Double.compare(probabilities(a), probabilities(b)) > 0)
    new GenericArrayData(order.map(i => InternalRow(UTF8String.fromString(labels(i)), i, probabilities(i).toFloat)))
  }

  /** The first class; the last one if the first is entailment. */
  private def contradiction(classes: Int): Int = if (entailment == 0) classes - 1 else 0

  private def softmax(values: Seq[Float]): Seq[Double] = {
    val powers = values.map(value => math.exp((value - values.max).toDouble))
    powers.map(_ / powers.sum)
  }

  override protected def withNewChildrenInternal(newChildren: IndexedSeq[Expression]): ZeroShotLabels = copy(logits = newChildren)
}
