package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.{Alias, AliasHelper, Attribute, Expression}
import org.apache.spark.sql.catalyst.plans._
import org.apache.spark.sql.catalyst.plans.logical._

import io.flambeau.models.ModelRef

/**
 * Finds a place for calls that share model and inputs: an [[EvalModel]] further down that evaluates the same already (its
 * results then travel up to here), else a new one right here.
 *
 * Spark itself copies calls downwards (a filter on a result goes below the projection that computes it), so without this
 * the model would run twice over the same rows.
 */
private[sql] object SharedEvaluation extends AliasHelper {

  /** `plan` with the calls' results among its output, and the attribute of each call. */
  def apply(plan: LogicalPlan, calls: Seq[ModelCall]): (LogicalPlan, Seq[Attribute]) = {
    val wanted = calls.map(_.request)
    Search(calls.head.model, wanted).below(plan, calls.head.inputs, rowsRemoved = false).getOrElse {
      val node = EvalModel(calls, plan)
      (node, wanted.map(request => node.results(node.requests.indexOf(request))))
    }
  }

  private final case class Search(model: ModelRef, wanted: Seq[ModelRequest]) {
    private type Found = Option[(LogicalPlan, Seq[Attribute])]

    /**
     * @param inputs
     *   the calls' inputs in terms of `plan`'s output
     * @param rowsRemoved
     *   whether an operator on the way removes rows: a strict call above `WHERE try_featurize(x) IS NOT NULL` must not be
     *   evaluated below it, where it would fail on the very rows that the filter removes
     */
    def below(plan: LogicalPlan, inputs: Seq[Expression], rowsRemoved: Boolean): Found = plan match {
      case node: EvalModel if node.evaluates(inputs, model) && allowed(node, rowsRemoved) => Some(node.serving(wanted))
      case node: EvalModel =>
        through(node.child, inputs, rowsRemoved) { (child, results) =>
          node.copy(child = child, passThrough = (node.passThrough ++ results).distinct)
        }
      case project: Project if project.projectList.forall(_.deterministic) =>
        val aliases = getAliasMap(project)
        val found = below(project.child, inputs.map(replaceAlias(_, aliases)), rowsRemoved)
        found.map { case (child, results) => carry(project, child, results) }
      case filter: Filter => through(filter.child, inputs, rowsRemoved = true)((child, _) => filter.copy(child = child))
      case sort: Sort => through(sort.child, inputs, rowsRemoved)((child, _) => sort.copy(child = child))
      case limit: LocalLimit => through(limit.child, inputs, rowsRemoved = true)((child, _) => limit.copy(child = child))
      case limit: GlobalLimit => through(limit.child, inputs, rowsRemoved = true)((child, _) => limit.copy(child = child))
      case offset: Offset => through(offset.child, inputs, rowsRemoved = true)((child, _) => offset.copy(child = child))
      case join: Join => sides(join, inputs)
      case _ => None
    }

    private def through(child: LogicalPlan, inputs: Seq[Expression], rowsRemoved: Boolean)(
        rebuild: (LogicalPlan, Seq[Attribute]) => LogicalPlan): Found =
      if (!inputs.forall(_.references.subsetOf(child.outputSet))) None
      else below(child, inputs, rowsRemoved).map { case (newChild, results) => (rebuild(newChild, results), results) }

    /** A side whose rows keep their values through the join. */
    private def sides(join: Join, inputs: Seq[Expression]): Found = {
      val left = join.joinType match {
        case _: InnerLike | LeftOuter | LeftSemi | LeftAnti => true
        case _ => false
      }
      val right = join.joinType match {
        case _: InnerLike | RightOuter => true
        case _ => false
      }
      def tryLeft = if (left) through(join.left, inputs, rowsRemoved = true)((child, _) => join.copy(left = child)) else None
      def tryRight = if (right) through(join.right, inputs, rowsRemoved = true)((child, _) => join.copy(right = child)) else None
      tryLeft.orElse(tryRight)
    }

    private def allowed(node: EvalModel, rowsRemoved: Boolean): Boolean =
      !rowsRemoved || wanted.forall(_.tolerant) || node.requests.exists(!_.tolerant)

    private def carry(project: Project, child: LogicalPlan, results: Seq[Attribute]): (LogicalPlan, Seq[Attribute]) =
      results.foldLeft((project.copy(child = child), Seq.empty[Attribute])) { case ((sofar, attributes), result) =>
        val known = sofar.projectList.collectFirst {
          case attribute: Attribute if attribute.exprId == result.exprId => attribute
          case alias @ Alias(attribute: Attribute, _) if attribute.exprId == result.exprId => alias.toAttribute
        }
        known match {
          case Some(attribute) => (sofar, attributes :+ attribute)
          case None => (sofar.copy(projectList = sofar.projectList :+ result), attributes :+ result)
        }
      }
  }
}
