package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.Attribute
import org.apache.spark.sql.catalyst.rules.Rule
import org.apache.spark.sql.execution.{ColumnarRule, ProjectExec, SparkPlan}

/**
 * Removes a projection that only drops or reorders a columnar child's columns, which would convert them to rows. A model does not
 * need it: it picks its columns itself and reads them directly.
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
