package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.{Alias, Attribute, AttributeSet}
import org.apache.spark.sql.catalyst.plans.logical.{LogicalPlan, Project}
import org.apache.spark.sql.execution.{SparkPlan, SparkStrategy}

import io.flambeau.FlambeauAnalysisException
import io.flambeau.models.LoadAhead

/**
 * Plans [[EvalModel]]; and extracts the calls that came into the plan after [[ExtractModelCalls]] ran (a correlated subquery
 * becomes a join later). The planner asks for the root first, so the whole plan is rewritten at once, and what adaptive
 * execution keeps as the logical plan is the rewritten one.
 */
private[flambeau] object EvalModelStrategy extends SparkStrategy {

  override def apply(plan: LogicalPlan): Seq[SparkPlan] = plan match {
    case project @ Project(_, node: EvalModel) if named(project, node).isDefined => named(project, node).map(execution(_, project.output)).toSeq
    case node: EvalModel => execution(node, node.output) :: Nil
    case unplaced if ExtractModelCalls.holdsCalls(unplaced) =>
      val placed = ExtractModelCalls(unplaced)
      firstCall(placed).foreach { call =>
        throw new FlambeauAnalysisException(
          "FLAMBEAU_BAD_ARGUMENT",
          s"${call.sql} cannot be evaluated at this place, because its inputs come from more than one side of a join. " +
            "Compute it in a subquery over the joined rows, and use its result")
      }
      planLater(placed) :: Nil
    case _ => Nil
  }

  private def execution(node: EvalModel, output: Seq[Attribute]): SparkPlan = {
    val passed = node.passThrough.filter(AttributeSet(output).contains)
    val planned = EvalModelExec(node.inputs, node.model, node.requests, node.results, node.guards, passed, output, planLater(node.child))
    LoadAhead.model(node.model, planned.settings)
    planned
  }

  /** The node with its results renamed as in the projection, if the projection only renames: then no row is copied for it. */
  private def named(project: Project, node: EvalModel): Option[EvalModel] = {
    val names = project.projectList.flatMap {
      case alias @ Alias(result: Attribute, _) if node.results.exists(_.exprId == result.exprId) => Some(result.exprId -> alias.toAttribute)
      case plain: Attribute => Some(plain.exprId -> plain)
      case _ => None
    }
    val byResult = names.toMap
    val onlyNames = names.length == project.projectList.length && byResult.size == names.length
    if (onlyNames) Some(node.copy(results = node.results.map(result => byResult.getOrElse(result.exprId, result)))) else None
  }

  private def firstCall(plan: LogicalPlan): Option[ModelCall] =
    plan.flatMap(_.expressions).flatMap(_.collectFirst { case call: ModelCall => call }).headOption
}
