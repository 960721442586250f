package io.flambeau.sql

import scala.collection.mutable.ArrayBuffer

import org.apache.spark.sql.catalyst.expressions.{Alias, And, Attribute, AttributeSet, Expression, NamedExpression, PredicateHelper}
import org.apache.spark.sql.catalyst.expressions.aggregate.AggregateExpression
import org.apache.spark.sql.catalyst.plans.logical.{Aggregate, Filter, LogicalPlan, Project}
import org.apache.spark.sql.catalyst.rules.Rule

/**
 * Calls over the results of an aggregate (`featurize(first(v))`, or `featurize(v)` where `v` is a grouping key) can only be
 * evaluated after it: they move into a projection above. Calls inside aggregate functions and in grouping keys stay.
 *
 * A filter below the aggregate that calls a model over grouping keys alone (Spark pushes `HAVING` there) moves above it: it
 * keeps or drops whole groups, and there are fewer groups than rows.
 */
private[sql] object PullCallsAboveAggregate extends Rule[LogicalPlan] with PredicateHelper {

  override def apply(plan: LogicalPlan): LogicalPlan = plan.transformUp { case aggregate: Aggregate =>
    val (conditions, rest) = conditionsOnGroups(aggregate)
    val computed = if (rest.aggregateExpressions.exists(callsOver(_, rest))) pull(rest, conditions) else filtered(rest, conditions)
    if (computed.output == aggregate.output) computed else Project(aggregate.output, computed)
  }

  /** The conditions that can move above, and the aggregate without them, with the keys they need among its output. */
  private def conditionsOnGroups(aggregate: Aggregate): (Seq[Expression], Aggregate) = {
    val keys = AttributeSet(aggregate.groupingExpressions.collect { case key: Attribute => key })
    def split(filter: Filter): (Seq[Expression], LogicalPlan) = {
      val (up, stay) = splitConjunctivePredicates(filter.condition).partition { conjunct =>
        ModelCall.in(conjunct) && conjunct.deterministic && conjunct.references.nonEmpty && conjunct.references.subsetOf(keys)
      }
      (up, stay.reduceOption(And).map(Filter(_, filter.child)).getOrElse(filter.child))
    }
    val (up, input) = aggregate.child match {
      case filter: Filter => split(filter)
      case project @ Project(list, filter: Filter) if list.forall(_.isInstanceOf[Attribute]) =>
        val (up, below) = split(filter)
        (up, project.copy(child = below))
      case other => (Nil, other)
    }
    if (up.isEmpty) (Nil, aggregate)
    else {
      val missing = (AttributeSet(up) -- aggregate.aggregateExpressions.collect { case a: Attribute => a }).toSeq
      (up, aggregate.copy(aggregateExpressions = aggregate.aggregateExpressions ++ missing, child = input))
    }
  }

  private def filtered(plan: LogicalPlan, conditions: Seq[Expression]): LogicalPlan =
    conditions.reduceOption(And).map(Filter(_, plan)).getOrElse(plan)

  private def computedBy(e: Expression, aggregate: Aggregate): Boolean =
    e.isInstanceOf[AggregateExpression] || aggregate.groupingExpressions.exists(_.semanticEquals(e))

  private def callsOver(e: Expression, aggregate: Aggregate): Boolean = e match {
    case _ if computedBy(e, aggregate) => false
    case call: ModelCall => call.references.isEmpty || call.exists(computedBy(_, aggregate))
    case other => other.children.exists(callsOver(_, aggregate))
  }

  private def pull(aggregate: Aggregate, conditions: Seq[Expression]): LogicalPlan = {
    val below = ArrayBuffer.empty[NamedExpression]
    def keep(e: Expression): NamedExpression = {
      val named = e match {
        case n: NamedExpression => n
        case other => below.collectFirst { case a: Alias if a.child.semanticEquals(other) => a }.getOrElse(Alias(other, "agg")())
      }
      if (!below.exists(_.exprId == named.exprId)) below += named
      named.toAttribute
    }
    val above = aggregate.aggregateExpressions.map { e =>
      if (callsOver(e, aggregate)) {
        e.transformDown { case part if computedBy(part, aggregate) => keep(part) }.asInstanceOf[NamedExpression]
      } else keep(e).asInstanceOf[NamedExpression]
    }
    Project(above, filtered(aggregate.copy(aggregateExpressions = below.toSeq), conditions))
  }
}
