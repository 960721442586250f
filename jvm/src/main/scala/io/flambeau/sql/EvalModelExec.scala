package io.flambeau.sql

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeSet, Expression, NamedExpression, SortOrder}
import org.apache.spark.sql.catalyst.expressions.Literal.TrueLiteral
import org.apache.spark.sql.execution.{OrderPreservingUnaryExecNode, PartitioningPreservingUnaryExecNode, SparkPlan}
import org.apache.spark.sql.execution.metric.SQLMetric
import org.apache.spark.sql.vectorized.ColumnarBatch

import io.flambeau.bridge.spec.InferenceSettings
import io.flambeau.conf.FlambeauConf
import io.flambeau.models.ModelRef
import io.flambeau.spark.LineExpressions

/**
 * Runs [[EvalModel]]: batch by batch on the task's thread, in the order of the rows. Driver side only; the tasks get an
 * [[EvaluationPlan]], which holds plain values and nothing of the plan.
 *
 * @param output
 *   columns passed through and results, in the order that the query wants
 */
final case class EvalModelExec(
    inputs: Seq[Expression],
    model: ModelRef,
    requests: Seq[ModelRequest],
    results: Seq[Attribute],
    guards: Seq[Expression],
    passThrough: Seq[Attribute],
    output: Seq[Attribute],
    child: SparkPlan)
    extends PartitioningPreservingUnaryExecNode
    with OrderPreservingUnaryExecNode {

  override def producedAttributes: AttributeSet = AttributeSet(results)

  override protected def outputExpressions: Seq[NamedExpression] = output

  override protected def orderingExpressions: Seq[SortOrder] = child.outputOrdering

  override lazy val metrics: Map[String, SQLMetric] = EvalModelMetrics.create(sparkContext)

  /** Columns are read directly if nothing has to be computed from them; otherwise Spark converts them to rows below this node. */
  private def takesColumns: Boolean = child.supportsColumnar && inputs.forall(_.isInstanceOf[Attribute])

  /** Columnar if the parent takes columns and the child gives them. */
  override def supportsColumnar: Boolean = takesColumns

  override def supportsRowBased: Boolean = true

  override protected def doExecute(): RDD[InternalRow] =
    if (takesColumns) {
      child.executeColumnar().mapPartitionsWithEvaluator(
        new EvaluatorFactory[ColumnarBatch, InternalRow](plan, new RowsFromColumns(_, _, _)))
    } else child.execute().mapPartitionsWithEvaluator(new EvaluatorFactory[InternalRow, InternalRow](plan, new RowsFromRows(_, _, _)))

  override protected def doExecuteColumnar(): RDD[ColumnarBatch] =
    child.executeColumnar().mapPartitionsWithEvaluator(
      new EvaluatorFactory[ColumnarBatch, ColumnarBatch](plan, new ColumnsFromColumns(_, _, _)))

  private def plan: EvaluationPlan = {
    EngineAgreement.listen()
    EvaluationPlan(
      inputs, model, requests, passThrough, results, output, child.output, limits, settings, metrics, RowsWanted(requests, guards))
  }

  private def limits: BatchLimits = {
    val configured = FlambeauConf.get(conf, FlambeauConf.BatchRows)
    BatchLimits(
      rows = if (configured > 0) configured.toInt else math.max(1, model.spec.batchRows),
      bytes = FlambeauConf.get(conf, FlambeauConf.BatchBytes))
  }

  private[sql] def settings: InferenceSettings = InferenceSettings.of(conf).copy(passRows = Some(limits.rows))

  override def nodeName: String = s"EvalModel ${model.name}"

  override protected def stringArgs: Iterator[Any] =
    Iterator(inputs, requests.map(_.function), results) ++ guards.find(_ != TrueLiteral).map(_ => guards) ++ Iterator(passThrough)

  override def verboseStringWithOperatorId(): String = {
    val fields = Seq(
      "Input" -> child.output,
      "Model" -> s"${model.name} (${model.location}, ${model.spec.hash.take(12)})",
      "Arguments" -> inputs,
      "Functions" -> requests.map(_.function),
      "Results" -> results,
      "Passed through" -> passThrough) ++ guards.find(_ != TrueLiteral).map(_ => "Where" -> guards)
    (formattedNodeName +: fields.map { case (name, values) => LineExpressions.field(name, values) }).mkString("", "\n", "\n")
  }

  override protected def withNewChildInternal(newChild: SparkPlan): EvalModelExec = copy(child = newChild)
}
