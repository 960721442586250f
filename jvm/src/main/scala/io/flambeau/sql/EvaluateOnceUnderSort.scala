package io.flambeau.sql

import org.apache.spark.sql.catalyst.plans.logical._
import org.apache.spark.sql.catalyst.plans.physical.RangePartitioning
import org.apache.spark.sql.catalyst.rules.Rule

/**
 * A range shuffle (under `ORDER BY` without a limit, or `repartitionByRange`) runs its input twice: once to sample where to
 * cut the ranges, once to shuffle. With a model in the input that would double the cost of the query, so the results go
 * through a shuffle of their own first, whose files both runs read. Shuffling the results costs little compared with the forward passes that it saves.
 */
private[sql] object EvaluateOnceUnderSort extends Rule[LogicalPlan] {

  override def apply(plan: LogicalPlan): LogicalPlan = rewrite(plan, underLimit = false)

  /**
   * @param underLimit
   *   whether `plan` is a sort that only needs the first rows: they are found without a range shuffle
   */
  private def rewrite(plan: LogicalPlan, underLimit: Boolean): LogicalPlan = plan match {
    case limit: LocalLimit => limit.mapChildren(rewrite(_, underLimit = true))
    case project: Project => project.mapChildren(rewrite(_, underLimit))
    case sort: Sort if sort.global && !underLimit && runsModel(sort.child) => sort.copy(child = stored(rewrite(sort.child, underLimit = false)))
    case shuffle: RepartitionByExpression if isRange(shuffle) && runsModel(shuffle.child) =>
      shuffle.copy(child = stored(rewrite(shuffle.child, underLimit = false)))
    case other => other.mapChildren(rewrite(_, underLimit = false))
  }

  private def isRange(shuffle: RepartitionByExpression): Boolean = shuffle.partitioning.isInstanceOf[RangePartitioning]

  private def stored(plan: LogicalPlan): LogicalPlan = Repartition(conf.numShufflePartitions, shuffle = true, plan)

  /** Whether running this again would evaluate a model again: no shuffle between here and there. */
  private def runsModel(plan: LogicalPlan): Boolean = plan match {
    case _: EvalModel => true
    case Repartition(_, true, _) => false
    case _: RepartitionByExpression | _: RebalancePartitions | _: Aggregate | _: Distinct | _: GlobalLimit => false
    case window: Window => window.partitionSpec.isEmpty && runsModel(window.child)
    case sort: Sort if sort.global => false
    case other => other.children.exists(runsModel)
  }
}
