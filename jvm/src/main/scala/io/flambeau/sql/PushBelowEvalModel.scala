package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.optimizer.{ColumnPruning, PushPredicateThroughNonJoin, RemoveNoopOperators}
import org.apache.spark.sql.catalyst.plans.logical._
import org.apache.spark.sql.catalyst.rules.Rule

/**
 * Reduces the work of the model: filters and limits that do not need a result go below the [[EvalModel]], and unused results and
 * columns are removed.
 *
 * Spark's own rules know only Spark's operators, so the steps that concern this one are here; the steps in between are Spark's.
 * All run together until nothing changes.
 */
private[sql] object PushBelowEvalModel extends Rule[LogicalPlan] with PredicateHelper {

  /** Each round moves something at least one operator down; plans are never this deep. */
  private val RoundsLimit = 50

  override def apply(plan: LogicalPlan): LogicalPlan =
    RemoveNoopOperators(Iterator.iterate(Round(plan, changed = true))(_.next).dropWhile(_.changed).next().plan)

  private final case class Round(plan: LogicalPlan, changed: Boolean, count: Int = 0) {
    def next: Round = {
      val after = Seq(pushFilters _, pushLimits _, ColumnPruning.apply(_: LogicalPlan), prune _).foldLeft(plan)((p, step) => step(p))
      Round(after, changed = count < RoundsLimit && !after.fastEquals(plan), count + 1)
    }
  }

  private def pushFilters(plan: LogicalPlan): LogicalPlan = PushPredicateThroughNonJoin(plan).transformDown {
    case filter @ Filter(condition, node: EvalModel) if node.inputs.forall(_.deterministic) =>
      val (below, above) = splitConjunctivePredicates(condition).partition { conjunct =>
        conjunct.deterministic && !ModelCall.in(conjunct) && conjunct.references.subsetOf(node.child.outputSet)
      }
      if (below.isEmpty) filter
      else {
        val narrowed = node.copy(child = Filter(below.reduce(And), node.child))
        above.reduceOption(And).map(Filter(_, narrowed)).getOrElse(narrowed)
      }
  }

  private def pushLimits(plan: LogicalPlan): LogicalPlan = plan.transformDown {
    case limit @ LocalLimit(IntegerLiteral(n), node: EvalModel) if !bounded(node.child, n) =>
      limit.copy(child = limited(node, n))
    case limit @ LocalLimit(IntegerLiteral(n), project @ Project(_, node: EvalModel)) if !bounded(node.child, n) =>
      limit.copy(child = project.copy(child = limited(node, n)))
    // The first n rows of an order that needs no result: sort and limit first, then evaluate those n.
    case top @ GlobalLimit(_, local @ LocalLimit(_, sort @ SortOfAll(order, node: EvalModel)))
        if order.forall(_.references.subsetOf(node.child.outputSet)) =>
      node.copy(child = top.copy(child = local.copy(child = sort.copy(child = node.child))))
    case top @ GlobalLimit(_, local @ LocalLimit(_, sort @ SortOfAll(order, project @ Project(_, node: EvalModel))))
        if project.projectList.forall(_.deterministic) &&
          unaliased(order, project).forall(_.references.subsetOf(node.child.outputSet)) =>
      val sorted = sort.copy(order = unaliased(order, project), child = node.child)
      project.copy(child = node.copy(child = top.copy(child = local.copy(child = sorted))))
  }

  /** A sort of all rows: its order, and what is below. */
  private object SortOfAll {
    def unapply(sort: Sort): Option[(Seq[SortOrder], LogicalPlan)] = if (sort.global) Some((sort.order, sort.child)) else None
  }

  private def unaliased(order: Seq[SortOrder], project: Project): Seq[SortOrder] = {
    val aliases = getAliasMap(project)
    order.map(replaceAlias(_, aliases).asInstanceOf[SortOrder])
  }

  private def bounded(plan: LogicalPlan, n: Int): Boolean = plan.maxRowsPerPartition.exists(_ <= n)

  private def limited(node: EvalModel, n: Int): EvalModel = node.copy(child = LocalLimit(Literal(n), node.child))

  /** Keeps the columns that a projection above needs, and below them those that the node itself needs. */
  private def prune(plan: LogicalPlan): LogicalPlan = plan.transformDown {
    case project @ Project(list, OverEvalModel(node, used, rebuild)) =>
      val needed = AttributeSet(list.flatMap(_.references)) ++ used
      if (node.outputSet.subsetOf(needed)) project else project.copy(child = rebuild(node.keeping(needed)))
    case node: EvalModel if node.requests.isEmpty => Project(node.passThrough, node.child)
    case node: EvalModel if !node.child.outputSet.subsetOf(node.references) =>
      node.copy(child = Project(node.child.output.filter(node.references.contains), node.child))
  }

  /** An [[EvalModel]], perhaps under filters, sorts and local limits; the attributes that these use; and a function that replaces it. */
  private object OverEvalModel {
    def unapply(plan: LogicalPlan): Option[(EvalModel, AttributeSet, LogicalPlan => LogicalPlan)] = plan match {
      case node: EvalModel => Some((node, AttributeSet.empty, identity))
      case _: Filter | _: Sort | _: LocalLimit | _: GlobalLimit =>
        unapply(plan.children.head).map { case (node, used, rebuild) =>
          (node, used ++ plan.references, (below: LogicalPlan) => plan.withNewChildren(Seq(rebuild(below))))
        }
      case _ => None
    }
  }
}
