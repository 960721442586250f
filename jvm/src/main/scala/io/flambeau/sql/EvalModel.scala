package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeReference, AttributeSet, Expression}
import org.apache.spark.sql.catalyst.plans.logical.{LogicalPlan, OrderPreservingUnaryNode}

import io.flambeau.models.ModelRef

/**
 * Evaluates one model over each row of `child`, once, for all `requests`.
 *
 * @param inputs
 *   the model's inputs, expressions over `child`
 * @param results
 *   one attribute per request
 * @param passThrough
 *   the columns of `child` that somebody above needs; the others (mostly the inputs themselves, megabytes a row) do not wait
 *   for their row's result
 */
final case class EvalModel(
    inputs: Seq[Expression],
    model: ModelRef,
    requests: Seq[ModelRequest],
    results: Seq[Attribute],
    passThrough: Seq[Attribute],
    child: LogicalPlan)
    extends OrderPreservingUnaryNode {

  override def output: Seq[Attribute] = passThrough ++ results

  override def producedAttributes: AttributeSet = AttributeSet(results)

  override def maxRows: Option[Long] = child.maxRows

  override def maxRowsPerPartition: Option[Long] = child.maxRowsPerPartition

  /** Whether this node evaluates the same model over the same inputs. */
  def evaluates(otherInputs: Seq[Expression], otherModel: ModelRef): Boolean =
    model == otherModel && inputs.length == otherInputs.length &&
      inputs.zip(otherInputs).forall { case (mine, theirs) => mine.semanticEquals(theirs) }

  /** This node serving these requests too, and the attribute of each of them. */
  def serving(wanted: Seq[ModelRequest]): (EvalModel, Seq[Attribute]) = {
    val missing = wanted.distinct.filterNot(requests.contains)
    val added = missing.map { request =>
      AttributeReference(request.function, request.task.dataType(model.spec), request.tolerant || inputs.exists(ModelInputs.mayBeNull))()
    }
    val wider = copy(requests = requests ++ missing, results = results ++ added)
    (wider, wanted.map(request => wider.results(wider.requests.indexOf(request))))
  }

  /** Only these columns and results, in this node's order. */
  def keeping(needed: AttributeSet): EvalModel = {
    val kept = requests.zip(results).filter { case (_, result) => needed.contains(result) }
    copy(requests = kept.map(_._1), results = kept.map(_._2), passThrough = passThrough.filter(needed.contains))
  }

  override def nodeName: String = s"EvalModel ${model.name}"

  override protected def stringArgs: Iterator[Any] =
    Iterator(inputs, requests.map(_.function), results, passThrough)

  override protected def withNewChildInternal(newChild: LogicalPlan): EvalModel = copy(child = newChild)
}

object EvalModel {

  /** A node over `child` that passes all of its columns. */
  def apply(calls: Seq[ModelCall], child: LogicalPlan): EvalModel = {
    val ModelCall(inputs, model, _, _) = calls.head
    EvalModel(inputs, model, Nil, Nil, child.output, child).serving(calls.map(_.request))._1
  }
}
