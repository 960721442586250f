package io.flambeau.sql

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeSet}
import org.apache.spark.sql.catalyst.plans.logical.{BinaryNode, LogicalPlan}
import org.apache.spark.sql.execution.{BinaryExecNode, SparkPlan, SparkStrategy}
import org.apache.spark.sql.execution.metric.{SQLMetric, SQLMetrics}

import io.flambeau.bridge.spec.NearestSpec

/**
 * Candidates for the nearest neighbors of each row of `left` among the rows of `right`: those that are the nearest in the part of
 * `right` that one task compares with it. The operators above choose the best of them ([[NearestFunctions]]).
 *
 * @param function
 *   the SQL function, for messages
 * @param query
 *   of `left`: a number that no other row has, the id, the vector (array of float)
 * @param row
 *   of `right`: the id (long or string), the vector
 * @param found
 *   the neighbor's id and its similarity or distance
 */
private[flambeau] final case class NearestNeighbors(
    function: String, spec: NearestSpec, query: Seq[Attribute], row: Seq[Attribute], found: Seq[Attribute], left: LogicalPlan, right: LogicalPlan)
    extends BinaryNode {

  override def output: Seq[Attribute] = query.take(2) ++ found

  override def producedAttributes: AttributeSet = AttributeSet(found)

  override protected def withNewChildrenInternal(newLeft: LogicalPlan, newRight: LogicalPlan): NearestNeighbors = copy(left = newLeft, right = newRight)
}

private[flambeau] object NearestStrategy extends SparkStrategy {
  override def apply(plan: LogicalPlan): Seq[SparkPlan] = plan match {
    case NearestNeighbors(function, spec, query, row, found, left, right) =>
      NearestNeighborsExec(function, spec, query, row, found, planLater(left), planLater(right)) :: Nil
    case _ => Nil
  }
}

/** Runs [[NearestNeighbors]]; [[NearestRDD]] divides the work. Driver side only. */
private[sql] final case class NearestNeighborsExec(
    function: String, spec: NearestSpec, query: Seq[Attribute], row: Seq[Attribute], found: Seq[Attribute], left: SparkPlan, right: SparkPlan)
    extends BinaryExecNode {

  override def output: Seq[Attribute] = query.take(2) ++ found

  override def producedAttributes: AttributeSet = AttributeSet(found)

  override lazy val metrics: Map[String, SQLMetric] = Map(
    "numOutputRows" -> SQLMetrics.createMetric(sparkContext, "number of output rows"),
    "blocks" -> SQLMetrics.createMetric(sparkContext, "blocks of left rows"),
    "searchTime" -> SQLMetrics.createNanoTimingMetric(sparkContext, "time in native code"))

  override protected def doExecute(): RDD[InternalRow] = {
    val plan =
      NearestPlan(function, spec, query, row, found, left.output, right.output, longMetric("numOutputRows"), longMetric("blocks"), longMetric("searchTime"))
    val queries = left.execute()
    // Both sides come from a shuffle, which is not computed again for this count.
    new NearestRDD(queries, right.execute(), queries.count(), plan)
  }

  override protected def withNewChildrenInternal(newLeft: SparkPlan, newRight: SparkPlan): NearestNeighborsExec = copy(left = newLeft, right = newRight)
}
