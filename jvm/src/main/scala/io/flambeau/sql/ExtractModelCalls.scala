package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.{And, Attribute, AttributeSet, Expression, PredicateHelper, SubqueryExpression}
import org.apache.spark.sql.catalyst.plans.InnerLike
import org.apache.spark.sql.catalyst.plans.logical.{Filter, Join, LogicalPlan, Project, Subquery}
import org.apache.spark.sql.catalyst.rules.Rule

/**
 * Moves every [[ModelCall]] out of the operator that holds it into an [[EvalModel]] below that operator.
 *
 * Runs before cost-based optimization: Spark has by then pushed filters, collapsed projections and dropped unused columns,
 * and has not yet chosen what the scans read. A call that cannot be moved then (inside a correlated subquery, which is still an
 * expression) is moved by [[EvalModelStrategy]] during planning, which runs this rule again.
 *
 * Order of work:
 *  1. calls over aggregates move above the aggregate ([[PullCallsAboveAggregate]]);
 *  1. bottom up, each operator's calls go below it with their guards ([[CallGuards]]), the innermost first; an evaluation of the
 *     same model over the same inputs that is already below serves them too ([[SharedEvaluation]]);
 *  1. operators that do not need the model move below it, and unused results are removed ([[PushBelowEvalModel]]);
 *  1. operators that run their input twice get it from a shuffle ([[EvaluateOnceUnderSort]]).
 */
object ExtractModelCalls extends Rule[LogicalPlan] with PredicateHelper {

  override def apply(plan: LogicalPlan): LogicalPlan = plan match {
    // It becomes a join later and is processed then, as part of its outer query.
    case s: Subquery if s.correlated => plan
    case _ if !holdsCalls(plan) => plan
    case _ =>
      val extracted = PullCallsAboveAggregate(plan).transformUp { case node => extract(node) }
      EvaluateOnceUnderSort(PushBelowEvalModel(extracted))
  }

  /** Whether any operator (subqueries aside) still holds a call. */
  def holdsCalls(plan: LogicalPlan): Boolean = plan.exists(_.expressions.exists(ModelCall.in))

  private def replaced(expression: Expression, placed: Map[Expression, Attribute]): Expression = expression match {
    case subquery: SubqueryExpression => subquery
    case call: ModelCall if placed.contains(call.canonicalized) => placed(call.canonicalized)
    case other => other.mapChildren(replaced(_, placed))
  }

  private def extract(node: LogicalPlan): LogicalPlan = node match {
    // Conditions without a model go into a filter below, which then guards the calls.
    case Filter(condition, child) if plainConditions(condition).nonEmpty && ModelCall.in(condition) =>
      val plain = plainConditions(condition)
      val calling = splitConjunctivePredicates(condition).filterNot(plain.contains)
      extract(Filter(calling.reduce(And), Filter(plain.reduce(And), child)))
    case other => extractCalls(other)
  }

  private def plainConditions(condition: Expression): Seq[Expression] =
    splitConjunctivePredicates(condition).filter(conjunct => conjunct.deterministic && !ModelCall.in(conjunct))

  private def extractCalls(node: LogicalPlan): LogicalPlan = {
    val (children, placed) = place(node.children, innermostCalls(node))
    if (placed.isEmpty) splitJoin(node)
    else {
      val rewritten = node.withNewChildren(children).mapExpressions(replaced(_, placed))
      // Next come the calls that use these as inputs or in guards. Each round removes at least one call.
      val done = extract(rewritten)
      if (done.output == node.output) done else Project(node.output, done)
    }
  }

  /** The calls that can be evaluated now: they have no calls among their inputs. The same call may be in several places. */
  private def innermostCalls(node: LogicalPlan): Seq[GuardedCall] =
    CallGuards.callsOf(node).filterNot(_.call.inputs.exists(ModelCall.in))

  /** Puts calls below, each over the first child that has all it needs. */
  private def place(children: Seq[LogicalPlan], calls: Seq[GuardedCall]): (Seq[LogicalPlan], Map[Expression, Attribute]) =
    children.foldLeft((Seq.empty[LogicalPlan], Map.empty[Expression, Attribute])) { case ((done, placed), child) =>
      val here = calls.filter(c => !placed.contains(c.call.canonicalized) && c.call.references.subsetOf(child.outputSet))
      val (newChild, attributes) = ready(here, child.outputSet).foldLeft((child, Map.empty[Expression, Attribute])) {
        case ((plan, sofar), (call, guards)) =>
          val (newPlan, result) = SharedEvaluation(plan, call, guards)
          (newPlan, sofar + (call.canonicalized -> result))
      }
      (done :+ newChild, placed ++ attributes)
    }

  /**
   * The calls whose guards need no other call's result, with the guards of all the places where they are. If each waits for
   * another (`CASE WHEN a AND f(x) THEN g(x) WHEN g(x) THEN f(x) END`) the first one gets the usable part of its guard.
   */
  private def ready(calls: Seq[GuardedCall], columns: AttributeSet): Seq[(ModelCall, Seq[Seq[Expression]])] = {
    def guards(same: Seq[GuardedCall])(usable: Expression => Boolean): Seq[Seq[Expression]] =
      same.map(c => CallGuards.keep(c.guard)(e => CallGuards.isPortable(e, columns) && usable(e)))
    val distinct = calls.groupBy(_.call.canonicalized).values.toSeq.sortBy(same => calls.indexOf(same.head))
    val free = distinct.flatMap { same =>
      val call = same.head.call
      // Whether Spark evaluated the same call before does not tell whether it evaluates this one.
      val wanted = guards(same)(!_.exists(_.canonicalized == call.canonicalized))
      if (wanted.exists(_.isEmpty)) Some(call -> Seq(Nil))
      else if (wanted.exists(_.exists(ModelCall.in))) None
      else Some(call -> wanted)
    }
    if (free.nonEmpty) free else distinct.headOption.map(same => same.head.call -> guards(same)(!ModelCall.in(_))).toSeq
  }

  /** An inner join's conditions that call a model over both sides can also be in a filter above the join. */
  private def splitJoin(node: LogicalPlan): LogicalPlan = node match {
    case join @ Join(_, _, _: InnerLike, Some(condition), _) =>
      val (calling, rest) = splitConjunctivePredicates(condition).partition { conjunct =>
        conjunct.exists { case call: ModelCall => !call.inputs.exists(ModelCall.in) && call.references.subsetOf(join.outputSet); case _ => false }
      }
      if (calling.isEmpty) join
      else extract(Filter(calling.reduce(And), join.copy(condition = rest.reduceOption(And))))
    case other => other
  }
}
