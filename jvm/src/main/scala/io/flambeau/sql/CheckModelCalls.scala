package io.flambeau.sql

import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan

import io.flambeau.FlambeauAnalysisException

/** Rejects during analysis calls that can never be planned: those over the variable of a lambda. */
private[flambeau] object CheckModelCalls extends (LogicalPlan => Unit) {

  override def apply(plan: LogicalPlan): Unit = (plan +: plan.subqueriesAll).foreach(_.foreach { node =>
    node.expressions.foreach(_.foreach {
      case call: ModelCall if call.isOverLambdaVariable =>
        throw new FlambeauAnalysisException(
          "FLAMBEAU_BAD_ARGUMENT",
          s"${call.sql} is applied to the variable of a lambda, where models cannot run. " +
            "Bring the array's elements into rows with explode, and collect the results with collect_list")
      case _ => ()
    })
  })
}
