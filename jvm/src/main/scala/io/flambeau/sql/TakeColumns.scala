package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.Attribute
import org.apache.spark.sql.catalyst.rules.Rule
import org.apache.spark.sql.execution.{ColumnarRule, ProjectExec, SparkPlan}

/**
 * A projection that only drops or reorders a columnar child's columns makes rows of them. A model needs neither: it picks its
 * columns itself, and reads them as they come.
 */
private[flambeau] object TakeColumns extends ColumnarRule {
  override def preColumnarTransitions: Rule[SparkPlan] = Skip

  private object Skip extends Rule[SparkPlan] {
    override def apply(plan: SparkPlan): SparkPlan = plan.transformUp {
      case node @ EvalModelExec(_, _, _, _, _, _, _, ProjectExec(list, child)) if list.forall(_.isInstanceOf[Attribute]) =>
        Some(node.copy(child = child)).filter(_.supportsColumnar).getOrElse(node)
    }
  }
}
