package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeReference, AttributeSet, Expression}
import org.apache.spark.sql.catalyst.expressions.Literal.TrueLiteral
import org.apache.spark.sql.catalyst.plans.logical.{LogicalPlan, OrderPreservingUnaryNode}

import io.flambeau.models.ModelRef

/**
 * Evaluates one model over each row of `child`, once, for all `requests`.
 *
 * @param inputs
 *   the model's inputs, expressions over `child`
 * @param results
 *   one attribute per request
 * @param guards
 *   one condition per request, never NULL: true for rows of `child` that need its result. A row that no request needs is not
 *   evaluated and its results are NULL; a bad row fails the query only if a strict request needs it
 * @param passThrough
 *   the columns of `child` that operators above need; the others (mostly the inputs themselves, megabytes per row) are not kept
 *   until the row's result is there
 */
final case class EvalModel(
    inputs: Seq[Expression],
    model: ModelRef,
    requests: Seq[ModelRequest],
    results: Seq[Attribute],
    guards: Seq[Expression],
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

  /** Whether every row that is evaluated may fail the query. */
  def isStrict: Boolean = requests.forall(!_.nullOnError)

  /** The conditions of the requests that are `nullOnError`, or of the others. */
  def guardsOf(nullOnError: Boolean): Seq[Expression] = requests.zip(guards).collect { case (r, guard) if r.nullOnError == nullOnError => guard }

  /** This node with this request for these rows added, and its attribute. */
  def serving(wanted: ModelRequest, guard: Expression): (EvalModel, Attribute) = {
    val at = requests.indexOf(wanted)
    val wider = if (at < 0) guard else CallGuards.any(Seq(guards(at), guard))
    val mayBeNull = wanted.nullOnError || wider != TrueLiteral || inputs.exists(ModelInputs.mayBeNull)
    if (at < 0) {
      val result = AttributeReference(wanted.function, wanted.task.dataType(model.spec), mayBeNull)()
      (copy(requests = requests :+ wanted, results = results :+ result, guards = guards :+ wider), result)
    } else {
      val result = results(at).withNullability(results(at).nullable || mayBeNull)
      (copy(results = results.updated(at, result), guards = guards.updated(at, wider)), result)
    }
  }

  /** Only these columns and results, in this node's order. */
  def keeping(needed: AttributeSet): EvalModel = {
    val kept = requests.indices.filter(i => needed.contains(results(i)))
    copy(
      requests = kept.map(requests), results = kept.map(results), guards = kept.map(guards), passThrough = passThrough.filter(needed.contains))
  }

  override def nodeName: String = s"EvalModel ${model.name}"

  override protected def stringArgs: Iterator[Any] =
    Iterator(inputs, requests.map(_.function), results) ++ guards.find(_ != TrueLiteral).map(_ => guards) ++ Iterator(passThrough)

  override protected def withNewChildInternal(newChild: LogicalPlan): EvalModel = copy(child = newChild)
}

object EvalModel {

  /** A node over `child` that passes all of its columns and has no requests yet. */
  def over(child: LogicalPlan, inputs: Seq[Expression], model: ModelRef): EvalModel =
    EvalModel(inputs, model, Nil, Nil, Nil, child.output, child)
}
