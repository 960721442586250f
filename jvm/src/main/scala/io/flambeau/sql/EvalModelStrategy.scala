package io.flambeau.sql

import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan
import org.apache.spark.sql.execution.{SparkPlan, SparkStrategy}

import io.flambeau.FlambeauAnalysisException

/**
 * Plans [[EvalModel]]; and extracts the calls that came into the plan after [[ExtractModelCalls]] ran (a correlated subquery
 * becomes a join later). The planner asks for the root first, so the whole plan is rewritten at once, and what adaptive
 * execution keeps as the logical plan is the rewritten one.
 */
private[flambeau] object EvalModelStrategy extends SparkStrategy {

  override def apply(plan: LogicalPlan): Seq[SparkPlan] = plan match {
    case EvalModel(inputs, model, requests, results, guards, passThrough, child) =>
      EvalModelExec(inputs, model, requests, results, guards, passThrough, planLater(child)) :: Nil
    case unplaced if ExtractModelCalls.holdsCalls(unplaced) =>
      val placed = ExtractModelCalls(unplaced)
      firstCall(placed).foreach { call =>
        throw new FlambeauAnalysisException(
          "FLAMBEAU_BAD_ARGUMENT",
          s"${call.sql} cannot be evaluated where it stands, because its inputs come from more than one side of a join. " +
            "Compute it in a subquery over the joined rows, and use its result")
      }
      planLater(placed) :: Nil
    case _ => Nil
  }

  private def firstCall(plan: LogicalPlan): Option[ModelCall] =
    plan.flatMap(_.expressions).flatMap(_.collectFirst { case call: ModelCall => call }).headOption
}
