package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.{Alias, AliasHelper, Attribute, AttributeSet, Expression, Literal}
import org.apache.spark.sql.catalyst.expressions.Literal.TrueLiteral
import org.apache.spark.sql.catalyst.plans._
import org.apache.spark.sql.catalyst.plans.logical._

import io.flambeau.models.ModelRef

/**
 * Finds the node for a call: an [[EvalModel]] further down that already evaluates the same model over the same inputs (its
 * results are then passed up to here), otherwise a new one here.
 *
 * Spark itself copies calls downwards (a filter on a result goes below the projection that computes it), so without this
 * the model would run twice over the same rows. Sharing never makes a strict call see a row that it would not see alone.
 */
private[sql] object SharedEvaluation extends AliasHelper {

  /**
   * `plan` with the call's result among its output, and its attribute.
   *
   * @param guards
   *   the guards of the call over rows of `plan`, one for each place where the call is
   */
  def apply(plan: LogicalPlan, call: ModelCall, guards: Seq[Seq[Expression]]): (LogicalPlan, Attribute) = {
    val guard = if (guards.length == 1) guards.head else Seq(CallGuards.any(guards.map(CallGuards.all))).filter(_ != TrueLiteral)
    Search(call.model, call.request).below(plan, call.inputs, guard, Removed.Nothing).getOrElse {
      EvalModel.over(plan, call.inputs, call.model).serving(call.request, CallGuards.all(guard))
    }
  }

  /** The conditions that remove rows between the call and the current operator, the lowest first, in terms of its output. */
  private sealed trait Removed {
    def by(condition: Expression): Removed = this match {
      case Removed.ByFilters(conditions) => Removed.ByFilters(condition +: conditions)
      case Removed.Somehow => this
    }
    def map(change: Expression => Expression): Removed = this match {
      case Removed.ByFilters(conditions) => Removed.ByFilters(conditions.map(change))
      case Removed.Somehow => this
    }
  }
  private object Removed {
    final case class ByFilters(conditions: Seq[Expression]) extends Removed
    case object Somehow extends Removed
    val Nothing: Removed = ByFilters(Nil)
  }

  private final case class Search(model: ModelRef, wanted: ModelRequest) {
    private type Found = Option[(LogicalPlan, Attribute)]

    /**
     * @param inputs
     *   the call's inputs in terms of `plan`'s output
     * @param guard
     *   the guards of the call, likewise
     */
    def below(plan: LogicalPlan, inputs: Seq[Expression], guard: Seq[Expression], removed: Removed): Found = plan match {
      case node: EvalModel if node.evaluates(inputs, model) => shared(node, guard, removed)
      case node: EvalModel =>
        through(node.child, inputs, guard, removed) { (child, result) =>
          node.copy(child = child, passThrough = (node.passThrough :+ result).distinct)
        }
      case project: Project if project.projectList.forall(_.deterministic) =>
        val aliases = getAliasMap(project)
        def unaliased(e: Expression) = replaceAlias(e, aliases)
        below(project.child, inputs.map(unaliased), guard.map(unaliased), removed.map(unaliased)).map { case (child, result) =>
          carry(project, child, result)
        }
      case filter: Filter => through(filter.child, inputs, guard, removed.by(filter.condition))((child, _) => filter.copy(child = child))
      case sort: Sort => through(sort.child, inputs, guard, removed)((child, _) => sort.copy(child = child))
      case limit: LocalLimit => through(limit.child, inputs, guard, Removed.Somehow)((child, _) => limit.copy(child = child))
      case limit: GlobalLimit => through(limit.child, inputs, guard, Removed.Somehow)((child, _) => limit.copy(child = child))
      case offset: Offset => through(offset.child, inputs, guard, Removed.Somehow)((child, _) => offset.copy(child = child))
      case join: Join => sides(join, inputs, guard)
      case _ => None
    }

    private def through(child: LogicalPlan, inputs: Seq[Expression], guard: Seq[Expression], removed: Removed)(
        rebuild: (LogicalPlan, Attribute) => LogicalPlan): Found =
      if (!inputs.forall(_.references.subsetOf(child.outputSet))) None
      else below(child, inputs, guard, removed).map { case (newChild, result) => (rebuild(newChild, result), result) }

    /** A side whose rows keep their values through the join. */
    private def sides(join: Join, inputs: Seq[Expression], guard: Seq[Expression]): Found = {
      val left = join.joinType match {
        case _: InnerLike | LeftOuter | LeftSemi | LeftAnti => true
        case _ => false
      }
      val right = join.joinType match {
        case _: InnerLike | RightOuter => true
        case _ => false
      }
      def tryLeft =
        if (left) through(join.left, inputs, guard, Removed.Somehow)((child, _) => join.copy(left = child)) else None
      def tryRight =
        if (right) through(join.right, inputs, guard, Removed.Somehow)((child, _) => join.copy(right = child)) else None
      tryLeft.orElse(tryRight)
    }

    /**
     * The call as a request of this node, if the node then fails only for rows that also make the call alone fail. A strict call
     * above `WHERE try_featurize(x) IS NOT NULL` must not be evaluated below it: it would fail for the rows that the filter
     * removes.
     */
    private def shared(node: EvalModel, guard: Seq[Expression], removed: Removed): Found = {
      val columns = node.child.outputSet
      val known = guard.forall(e => CallGuards.isPortable(e, columns) && !ModelCall.in(e))
      // Rows that are already evaluated and, if this call is strict, may already fail.
      val served = (if (wanted.nullOnError) node.guards else node.guardsOf(nullOnError = false)).find(CallGuards.implies(guard, _))
      val nothingRemoved = removed == Removed.Nothing
      def widened = surviving(node, guard, removed).filter(_ => wanted.nullOnError || node.isStrict)
      val condition = served.orElse(if (nothingRemoved && known) Some(CallGuards.all(guard)) else widened)
        .orElse(if (wanted.nullOnError && known && guard.forall(CallGuards.isHarmless)) Some(CallGuards.all(guard)) else None)
      condition.map(node.serving(wanted, _))
    }

    /**
     * The rows that this node does not evaluate and that filters above it keep. The results of such a row are NULL, so the
     * filter's condition with NULL for the results shows whether it keeps the row.
     */
    private def surviving(node: EvalModel, guard: Seq[Expression], removed: Removed): Option[Expression] = removed match {
      case Removed.ByFilters(conditions) =>
        val results = AttributeSet(node.results)
        val rows = (conditions.flatMap(CallGuards.whereTrue) ++ guard).map(_.transform {
          case result: Attribute if results.contains(result) => Literal(null, result.dataType)
        })
        Some(rows).filter(_.forall(e => CallGuards.isPortable(e, node.child.outputSet) && !ModelCall.in(e))).map(CallGuards.all)
      case Removed.Somehow => None
    }

    private def carry(project: Project, child: LogicalPlan, result: Attribute): (LogicalPlan, Attribute) = {
      val carried = project.copy(child = child)
      val known = project.projectList.collectFirst {
        case attribute: Attribute if attribute.exprId == result.exprId => attribute
        case alias @ Alias(attribute: Attribute, _) if attribute.exprId == result.exprId => alias.toAttribute
      }
      known match {
        case Some(attribute) => (carried, attribute.withNullability(result.nullable))
        case None => (carried.copy(projectList = project.projectList :+ result), result)
      }
    }
  }
}
