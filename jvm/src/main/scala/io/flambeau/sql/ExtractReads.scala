package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.expressions.Literal.TrueLiteral
import org.apache.spark.sql.catalyst.expressions.aggregate.AggregateExpression
import org.apache.spark.sql.catalyst.optimizer.ColumnPruning
import org.apache.spark.sql.catalyst.plans.logical._
import org.apache.spark.sql.catalyst.rules.Rule

/**
 * Moves every [[ReadBytes]] that is evaluated for all rows of its operator into a [[ReadFiles]] below that operator. Runs after
 * [[ExtractModelCalls]], so the conditions around a model's call are known for the reads in its inputs.
 *
 * A read that only some rows reach (in a branch of `CASE`, behind `AND`, in a lambda) stays where it is. So does one in an operator that
 * is not listed here. [[ReadBytesStrategy]] makes it a [[ReadBytesNow]]. A file is never read that Spark would not have read.
 */
private[flambeau] object ExtractReads extends Rule[LogicalPlan] with PredicateHelper {

  override def apply(plan: LogicalPlan): LogicalPlan = plan match {
    // It becomes a join later and is processed then, as part of its outer query.
    case s: Subquery if s.correlated => plan
    case _ if !ReadBytes.in(plan) => plan
    case _ => ReadAfterSort(ColumnPruning(plan.transformUp { case node => extract(node) }))
  }

  private def extract(node: LogicalPlan): LogicalPlan = node match {
    case _ if !node.expressions.exists(ReadBytes.in(_: Expression)) => node
    case Filter(condition, child) => keepingOutput(node, filters(condition, child))
    case project: Project => below(project, project.projectList.flatMap(always))
    case sort: Sort => below(sort, sort.order.flatMap(always))
    case generate: Generate => below(generate, always(generate.generator))
    case aggregate: Aggregate => aggregated(aggregate)
    case model: EvalModel => below(model, model.inputs.flatMap(always), CallGuards.any(model.guards))
    case other => other
  }

  /** One filter for each condition: a file is read for the rows that the ones before it keep. Those without a read come first. */
  private def filters(condition: Expression, child: LogicalPlan): LogicalPlan = {
    val (reading, plain) = splitConjunctivePredicates(condition).partition(c => ReadBytes.in(c) || !c.deterministic)
    // Spark puts an inferred `isnotnull(read)` in front.
    val (inferred, own) = reading.partition { case IsNotNull(e) => ReadBytes.in(e); case _ => false }
    val first = plain.reduceOption(And).map(Filter(_, child)).getOrElse(child)
    (own ++ inferred).foldLeft(first)((plan, conjunct) => below(Filter(conjunct, plan), always(conjunct)))
  }

  /** Only reads that are computed from the rows: those over the groups' results are evaluated above. */
  private def aggregated(aggregate: Aggregate): LogicalPlan = {
    def outside(e: Expression): Boolean = e match {
      case _: AggregateExpression => false
      case read: ReadBytes => !aggregate.groupingExpressions.exists(_.semanticEquals(read))
      case other => other.children.exists(outside)
    }
    if (aggregate.aggregateExpressions.exists(outside)) aggregate
    else below(aggregate, (aggregate.groupingExpressions ++ aggregate.aggregateExpressions).flatMap(always))
  }

  /** The reads of an expression that are evaluated whenever it is, inner ones first. */
  private def always(e: Expression): Seq[ReadBytes] = e match {
    case _ if !ReadBytes.in(e) => Nil
    case read: ReadBytes => always(read.child) :+ read
    case _: SubqueryExpression | _: LambdaFunction | _: WindowExpression | _: TryEval => Nil
    case AggregateExpression(_, _, _, Some(_), _) => Nil
    case And(left, _) => always(left)
    case Or(left, _) => always(left)
    case conditional: ConditionalExpression => conditional.alwaysEvaluatedInputs.flatMap(always)
    case other => other.children.flatMap(always)
  }

  /** The operator over nodes that read these; itself if none of them can be moved. */
  private def below(node: UnaryNode, reads: Seq[ReadBytes], guard: Expression = TrueLiteral): LogicalPlan = {
    val placed = reads.foldLeft((node.child, Map.empty[Expression, Attribute])) { case ((plan, sofar), read) =>
      val innerDone = read.copy(child = replaced(read.child, sofar))
      if (sofar.contains(read.canonicalized) || ReadBytes.in(innerDone.child) || !CallGuards.isPortable(innerDone.child, plan.outputSet)) (plan, sofar)
      else {
        val (newPlan, result) = shared(plan, innerDone).getOrElse(readBelow(plan, innerDone, guard))
        (newPlan, sofar + (read.canonicalized -> result))
      }
    }
    if (placed._2.isEmpty) node
    else keepingOutput(node, node.withNewChildren(Seq(placed._1)).mapExpressions(replaced(_, placed._2)))
  }

  private def readBelow(plan: LogicalPlan, read: ReadBytes, guard: Expression): (LogicalPlan, Attribute) = {
    val result = AttributeReference(read.prettyName, read.dataType, read.nullable || guard != TrueLiteral)()
    (ReadFiles(read.child, guard, read.nullOnError, result, plan), result)
  }

  private def replaced(expression: Expression, placed: Map[Expression, Attribute]): Expression = expression match {
    case subquery: SubqueryExpression => subquery
    case read: ReadBytes if placed.contains(read.canonicalized) => placed(read.canonicalized)
    case other => other.mapChildren(replaced(_, placed))
  }

  private def keepingOutput(before: LogicalPlan, after: LogicalPlan): LogicalPlan =
    if (after.output == before.output) after else Project(before.output, after)

  /** The same read that is already below, with the plan that brings its result up. */
  private def shared(plan: LogicalPlan, read: ReadBytes): Option[(LogicalPlan, Attribute)] = plan match {
    case node: ReadFiles if node.gives(read) => Some((node, node.result))
    case node: ReadFiles => through(node, read)
    case filter: Filter => through(filter, read)
    case model: EvalModel =>
      through(model, read).map { case (plan, result) =>
        val above = plan.asInstanceOf[EvalModel]
        (above.copy(passThrough = (above.passThrough :+ result).distinct), result)
      }
    case project: Project if project.projectList.forall(_.deterministic) =>
      val inner = read.copy(child = replaceAlias(read.child, getAliasMap(project)))
      shared(project.child, inner).map { case (child, result) =>
        (project.copy(projectList = (project.projectList :+ result).distinct, child = child), result)
      }
    case _ => None
  }

  private def through(node: UnaryNode, read: ReadBytes): Option[(LogicalPlan, Attribute)] =
    if (!read.child.references.subsetOf(node.child.outputSet)) None
    else shared(node.child, read).map { case (child, result) => (node.withNewChildren(Seq(child)), result) }
}

/** Sorts and limits that do not need the content go below the [[ReadFiles]]: less is sorted, and only what remains is read. */
private[sql] object ReadAfterSort extends Rule[LogicalPlan] with PredicateHelper {

  override def apply(plan: LogicalPlan): LogicalPlan = plan.transformUp {
    case sort: Sort => afterSort(sort).getOrElse(sort)
    case top @ GlobalLimit(_, limit @ LocalLimit(_, OverReads(read, rebuild, _))) if read.child.isInstanceOf[Sort] =>
      rebuild(read.copy(child = top.copy(child = limit.copy(child = read.child))))
    case limit @ LocalLimit(IntegerLiteral(n), OverReads(read, rebuild, _)) if !read.child.maxRowsPerPartition.exists(_ <= n) =>
      limit.copy(child = rebuild(read.copy(child = LocalLimit(Literal(n), read.child))))
  }

  /** The read over the sort, if the order does not need the content. */
  private def afterSort(sort: Sort): Option[LogicalPlan] = sort.child match {
    case OverReads(read, rebuild, aliases) =>
      val order = sort.order.map(replaceAlias(_, aliases).asInstanceOf[SortOrder])
      if (!order.forall(_.references.subsetOf(read.child.outputSet))) None
      else Some(rebuild(read.copy(child = sort.copy(order = order, child = read.child))))
    case _ => None
  }

  /** A read, perhaps under a projection; a function that replaces it; and the projection's names. */
  private object OverReads {
    def unapply(plan: LogicalPlan): Option[(ReadFiles, LogicalPlan => LogicalPlan, AttributeMap[Alias])] = plan match {
      case read: ReadFiles => Some((read, identity, AttributeMap.empty[Alias]))
      case project @ Project(list, read: ReadFiles) if list.forall(_.deterministic) =>
        Some((read, (below: LogicalPlan) => project.copy(child = below), getAliasMap(project)))
      case _ => None
    }
  }
}
