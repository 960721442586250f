package io.flambeau.sql

import scala.collection.mutable.ArrayBuffer

import org.apache.spark.sql.catalyst.expressions.{Alias, Expression, NamedExpression}
import org.apache.spark.sql.catalyst.expressions.aggregate.AggregateExpression
import org.apache.spark.sql.catalyst.plans.logical.{Aggregate, LogicalPlan, Project}
import org.apache.spark.sql.catalyst.rules.Rule

/**
 * Calls over what an aggregate computes (`featurize(first(v))`, or `featurize(v)` where `v` is a grouping key) can only be
 * evaluated after it: they move into a projection above. Calls inside aggregate functions and in grouping keys stay.
 */
private[sql] object PullCallsAboveAggregate extends Rule[LogicalPlan] {

  override def apply(plan: LogicalPlan): LogicalPlan = plan.transformUp {
    case aggregate: Aggregate if aggregate.aggregateExpressions.exists(callsOver(_, aggregate)) => pull(aggregate)
  }

  private def computedBy(e: Expression, aggregate: Aggregate): Boolean =
    e.isInstanceOf[AggregateExpression] || aggregate.groupingExpressions.exists(_.semanticEquals(e))

  private def callsOver(e: Expression, aggregate: Aggregate): Boolean = e match {
    case _ if computedBy(e, aggregate) => false
    case call: ModelCall => call.references.isEmpty || call.exists(computedBy(_, aggregate))
    case other => other.children.exists(callsOver(_, aggregate))
  }

  private def pull(aggregate: Aggregate): LogicalPlan = {
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
    Project(above, aggregate.copy(aggregateExpressions = below.toSeq))
  }
}
