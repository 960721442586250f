package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.{And, Attribute, Expression, PredicateHelper, SubqueryExpression}
import org.apache.spark.sql.catalyst.plans.InnerLike
import org.apache.spark.sql.catalyst.plans.logical.{Filter, Join, LogicalPlan, Project, Subquery}
import org.apache.spark.sql.catalyst.rules.Rule

/**
 * Moves every [[ModelCall]] out of the operator that holds it into an [[EvalModel]] below that operator.
 *
 * Runs before cost-based optimization: Spark has by then pushed filters, collapsed projections and dropped unused columns,
 * and has yet to choose what the scans read. What cannot be placed then (a call inside a correlated subquery, which is still
 * an expression) is left alone and placed when it is planned, by [[EvalModelStrategy]], which runs this rule again.
 *
 * Order of work:
 *  1. calls over aggregates move above the aggregate ([[PullCallsAboveAggregate]]);
 *  1. bottom up, each operator's calls go below it, the innermost first; an evaluation of the same model over the same inputs
 *     that is already below serves them too ([[SharedEvaluation]]);
 *  1. what need not wait for the model moves below it, what nobody needs goes ([[PushBelowEvalModel]]);
 *  1. what would run its input twice gets the input from a shuffle ([[EvaluateOnceUnderSort]]).
 */
object ExtractModelCalls extends Rule[LogicalPlan] with PredicateHelper {

  override def apply(plan: LogicalPlan): LogicalPlan = plan match {
    // It becomes a join later and comes by again as part of its outer query.
    case s: Subquery if s.correlated => plan
    case _ if !holdsCalls(plan) => plan
    case _ =>
      val extracted = PullCallsAboveAggregate(plan).transformUp { case node => extract(node) }
      EvaluateOnceUnderSort(PushBelowEvalModel(extracted))
  }

  /** Whether any operator (subqueries aside) still holds a call. */
  def holdsCalls(plan: LogicalPlan): Boolean = plan.exists(_.expressions.exists(ModelCall.in))

  /**
   * The calls that can be evaluated as they are: no call among their inputs, no variable of a lambda. Those in the condition
   * of a correlated subquery wait until it is a join: a subquery expression does not tell what its condition refers to.
   */
  private def innermostCalls(expression: Expression): Seq[ModelCall] = expression match {
    case _: SubqueryExpression => Nil
    case call: ModelCall if !call.inputs.exists(ModelCall.in) => if (call.isOverLambdaVariable) Nil else Seq(call)
    case other => other.children.flatMap(innermostCalls)
  }

  private def replaced(expression: Expression, placed: Map[Expression, Attribute]): Expression = expression match {
    case subquery: SubqueryExpression => subquery
    case call: ModelCall if placed.contains(call.canonicalized) => placed(call.canonicalized)
    case other => other.mapChildren(replaced(_, placed))
  }

  private def extract(node: LogicalPlan): LogicalPlan = {
    val calls = node.expressions.flatMap(innermostCalls)
    val (children, placed) = place(node.children, calls)
    if (placed.isEmpty) splitJoin(node)
    else {
      val rewritten = node.withNewChildren(children).mapExpressions(replaced(_, placed))
      // Calls of which these were inputs are innermost now. Each round removes at least one call.
      val done = extract(rewritten)
      if (done.output == node.output) done else Project(node.output, done)
    }
  }

  /** Puts the calls below, each over the first child that has all it needs. */
  private def place(children: Seq[LogicalPlan], calls: Seq[ModelCall]): (Seq[LogicalPlan], Map[Expression, Attribute]) =
    children.foldLeft((Seq.empty[LogicalPlan], Map.empty[Expression, Attribute])) { case ((done, placed), child) =>
      val here = calls.filter(call => !placed.contains(call.canonicalized) && call.references.subsetOf(child.outputSet))
      val groups = here.groupBy(call => (call.inputs.map(_.canonicalized), call.model)).values.toSeq
        .sortBy(group => calls.indexOf(group.head))
      val (newChild, attributes) = groups.foldLeft((child, Map.empty[Expression, Attribute])) { case ((plan, sofar), group) =>
        val (newPlan, results) = SharedEvaluation(plan, group)
        (newPlan, sofar ++ group.map(_.canonicalized).zip(results))
      }
      (done :+ newChild, placed ++ attributes)
    }

  /** An inner join's conditions that call a model over both sides hold just as well in a filter above the join. */
  private def splitJoin(node: LogicalPlan): LogicalPlan = node match {
    case join @ Join(_, _, _: InnerLike, Some(condition), _) =>
      val (calling, rest) = splitConjunctivePredicates(condition).partition { conjunct =>
        innermostCalls(conjunct).exists(_.references.subsetOf(join.outputSet))
      }
      if (calling.isEmpty) join
      else extract(Filter(calling.reduce(And), join.copy(condition = rest.reduceOption(And))))
    case other => other
  }
}
