package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.expressions.Literal.{FalseLiteral, TrueLiteral}
import org.apache.spark.sql.catalyst.expressions.aggregate.AggregateExpression
import org.apache.spark.sql.catalyst.plans.logical.{Filter, Join, LogicalPlan}

import io.flambeau.spark.LineExpressions

/**
 * A call and its position in an operator.
 *
 * @param guard
 *   the conditions under which Spark would evaluate the call, in the order in which it checks them. All must be true; none is
 *   ever NULL. Empty: Spark evaluates the call for every row
 */
private[sql] final case class GuardedCall(call: ModelCall, guard: Seq[Expression])

/**
 * What keeps rows from a call: `CASE`, `IF`, `COALESCE`, `nanvl`, `AND`, `OR` and `FILTER (WHERE …)` around it.
 *
 * A call is evaluated in an operator of its own, outside of these expressions. So the conditions go with it as
 * [[EvalModel.guards]], and rows that they exclude are neither prepared nor run. Rules:
 *
 *  - A guard may always be weaker than the truth (then more rows are evaluated, as if it were not there), never stronger.
 *  - A condition is not evaluated where Spark would not have evaluated it: it may throw there. So when one cannot be used
 *    (it is not deterministic, or needs columns that are not there), those after it are used only if they are harmless.
 */
private[sql] object CallGuards extends PredicateHelper {

  /** Every call in an operator's expressions with its guard, in the order of evaluation. */
  def callsOf(node: LogicalPlan): Seq[GuardedCall] = node match {
    case Filter(condition, _) =>
      // Spark puts an inferred `isnotnull(call)` in front, where it would be the first use of the call.
      val (inferred, own) = splitConjunctivePredicates(condition).partition { case IsNotNull(e) => ModelCall.in(e); case _ => false }
      walk((own ++ inferred).reduce(And), Nil, predicate = true)
    case join: Join => join.condition.toSeq.flatMap(walk(_, Nil, predicate = true))
    case other => other.expressions.flatMap(walk(_, Nil, predicate = false))
  }

  /**
   * @param predicate
   *   whether NULL has the effect of false where `e` stands
   */
  private def walk(e: Expression, guard: Seq[Expression], predicate: Boolean): Seq[GuardedCall] = e match {
    case _ if !ModelCall.in(e) => Nil
    // It does not show which columns its condition uses. It becomes a join later.
    case _: SubqueryExpression => Nil
    case call: ModelCall =>
      call.inputs.flatMap(walk(_, guard, predicate = false)) ++ (if (call.isOverLambdaVariable) Nil else Seq(GuardedCall(call, guard)))
    case If(condition, yes, no) => cases(Seq(condition -> yes), Some(no), guard, predicate)
    case CaseWhen(branches, otherwise) => cases(branches, otherwise, guard, predicate)
    case Coalesce(children) =>
      children.zipWithIndex.flatMap { case (child, i) => walk(child, guard ++ children.take(i).map(IsNull(_)), predicate) }
    case NaNvl(left, right) => walk(left, guard, predicate = false) ++ walk(right, guard :+ IsNaN(left), predicate = false)
    case And(left, right) => walk(left, guard, predicate) ++ walk(right, guard ++ (if (predicate) isTrue(left) else isNotFalse(left)), predicate)
    case Or(left, right) => walk(left, guard, predicate) ++ walk(right, guard ++ isNotTrue(left), predicate)
    // Computed for every row of its group, whatever is around it.
    case AggregateExpression(function, _, _, filter, _) =>
      filter.toSeq.flatMap(walk(_, Nil, predicate = true)) ++
        function.children.flatMap(walk(_, filter.toSeq.flatMap(isTrue), predicate = false))
    case _: WindowExpression => e.children.flatMap(walk(_, Nil, predicate = false))
    case other => other.children.flatMap(walk(_, guard, predicate = false))
  }

  private def cases(
      branches: Seq[(Expression, Expression)], otherwise: Option[Expression], guard: Seq[Expression], predicate: Boolean): Seq[GuardedCall] = {
    val (calls, rest) = branches.foldLeft((Seq.empty[GuardedCall], guard)) { case ((found, before), (condition, value)) =>
      val here = walk(condition, before, predicate = true) ++ walk(value, before ++ isTrue(condition), predicate)
      (found ++ here, before ++ isNotTrue(condition))
    }
    calls ++ otherwise.toSeq.flatMap(walk(_, rest, predicate))
  }

  private def isTrue(e: Expression): Seq[Expression] = e match {
    case And(left, right) => isTrue(left) ++ isTrue(right)
    case _ => Seq(if (e.nullable) EqualNullSafe(e, TrueLiteral) else e)
  }

  private def isNotTrue(e: Expression): Seq[Expression] = e match {
    case Or(left, right) => isNotTrue(left) ++ isNotTrue(right)
    case _ => Seq(Not(if (e.nullable) EqualNullSafe(e, TrueLiteral) else e))
  }

  private def isNotFalse(e: Expression): Seq[Expression] = e match {
    case And(left, right) => isNotFalse(left) ++ isNotFalse(right)
    case _ => Seq(if (e.nullable) Not(EqualNullSafe(e, FalseLiteral)) else e)
  }

  /** This condition alone, as a guard that is never NULL. */
  def whereTrue(condition: Expression): Seq[Expression] = isTrue(condition)

  /** The conditions of a guard that `usable` allows: those at its beginning, and later ones that can be evaluated for any row. */
  def keep(guard: Seq[Expression])(usable: Expression => Boolean): Seq[Expression] = {
    val (first, rest) = guard.span(usable)
    first ++ rest.filter(e => usable(e) && isHarmless(e))
  }

  /** Whether this can be computed a second time, over these columns, by itself. It may hold calls. */
  def isPortable(e: Expression, columns: AttributeSet): Boolean =
    e.deterministic && e.references.subsetOf(columns) && !isOverLambdaVariable(e) && !e.exists {
      case subquery: ScalarSubquery => subquery.children.nonEmpty
      case _: SubqueryExpression | _: OuterReference | _: AggregateExpression | _: WindowExpression => true
      case other if LineExpressions.isReference(other) => true
      case _ => false
    }

  private def isOverLambdaVariable(e: Expression): Boolean = {
    val bound = e.collect { case lambda: LambdaFunction => lambda.arguments.map(_.exprId) }.flatten.toSet
    e.exists { case variable: NamedLambdaVariable => !bound.contains(variable.exprId); case _ => false }
  }

  /** Whether it cannot throw, whatever the row. */
  def isHarmless(e: Expression): Boolean = !e.exists {
    case _: Attribute | _: Literal | _: And | _: Or | _: Not | _: IsNull | _: IsNotNull | _: IsNaN => false
    case _: BinaryComparison | _: In | _: InSet | _: If | _: CaseWhen | _: Coalesce | _: GetStructField | _: StringPredicate => false
    case _ => true
  }

  /** As one condition. */
  def all(guard: Seq[Expression]): Expression = guard.reduceOption(And).getOrElse(TrueLiteral)

  /** Whether every row that passes `guard` is known to pass `condition`. */
  def implies(guard: Seq[Expression], condition: Expression): Boolean = {
    def parts(e: Expression): Seq[Expression] = e match {
      case And(left, right) => parts(left) ++ parts(right)
      case TrueLiteral => Nil
      case other => Seq(other)
    }
    parts(condition).forall(part => guard.exists(_.semanticEquals(part)))
  }

  /** True where one of these is. */
  def any(conditions: Seq[Expression]): Expression = {
    def parts(e: Expression): Seq[Expression] = e match {
      case Or(left, right) => parts(left) ++ parts(right)
      case other => Seq(other)
    }
    val distinct = conditions.flatMap(parts).foldLeft(Seq.empty[Expression]) { (sofar, e) =>
      if (sofar.exists(_.semanticEquals(e))) sofar else sofar :+ e
    }
    if (distinct.contains(TrueLiteral)) TrueLiteral else distinct.reduceOption(Or).getOrElse(FalseLiteral)
  }
}
