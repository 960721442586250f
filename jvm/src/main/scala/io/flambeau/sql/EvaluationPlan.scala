package io.flambeau.sql

import org.apache.spark.TaskContext
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, BindReferences, BoundReference, Expression, Predicate}
import org.apache.spark.sql.catalyst.expressions.Literal.TrueLiteral
import org.apache.spark.sql.execution.metric.SQLMetric
import org.apache.spark.sql.types.{DataType, StructField, StructType, UserDefinedType}
import org.apache.spark.sql.vectorized.ColumnarBatch

import io.flambeau.bridge.spec.InferenceSettings
import io.flambeau.models.ModelRef

/** A batch ends when it has this many rows, or when one more row would exceed the bytes of its inputs. */
private[sql] final case class BatchLimits(rows: Int, bytes: Long)

/**
 * The rows that a task evaluates, and those of them that fail the query if they are bad. These are conditions over the child's
 * columns that are never NULL.
 *
 * @param evaluated
 *   none: every row
 * @param required
 *   none: as the requests say, which then agree for every row
 */
private[sql] final case class RowsWanted(evaluated: Option[Expression], required: Option[Expression])

private[sql] object RowsWanted {
  val All: RowsWanted = RowsWanted(None, None)

  def apply(requests: Seq[ModelRequest], guards: Seq[Expression]): RowsWanted = {
    val strict = requests.zip(guards).collect { case (request, guard) if !request.nullOnError => guard }
    val (evaluated, required) = (CallGuards.any(guards), CallGuards.any(strict))
    val agree = strict.isEmpty || evaluated.semanticEquals(required)
    RowsWanted(Some(evaluated).filter(_ != TrueLiteral), if (agree) None else Some(required))
  }
}

/**
 * The data that a task needs to evaluate a model: plain values, serialized to executors.
 *
 * @param passThrough
 *   columns of the child that reach the output
 * @param output
 *   which of `passThrough` and `results` are returned, in this order
 * @param childOutput
 *   the columns that arrive
 * @param wanted
 *   the rows to evaluate; the results of others are NULL
 */
private[sql] final case class EvaluationPlan(
    inputs: Seq[Expression],
    model: ModelRef,
    requests: Seq[ModelRequest],
    passThrough: Seq[Attribute],
    results: Seq[Attribute],
    output: Seq[Attribute],
    childOutput: Seq[Attribute],
    limits: BatchLimits,
    settings: InferenceSettings,
    metrics: Map[String, SQLMetric],
    wanted: RowsWanted = RowsWanted.All) {

  def open(): TaskEvaluation = new TaskEvaluation(
    TaskContext.get(), model, requests, inputSchema, results.map(_.dataType), limits, settings, new EvalModelMetrics(metrics), wanted.required.isDefined)

  private def inputSchema: StructType = StructType(model.spec.inputs.zip(inputs).map { case (declared, expression) =>
    StructField(declared.name, storage(expression.dataType), nullable = true)
  })

  /** How a type is stored in rows: user-defined types as what is under them. */
  private def storage(dataType: DataType): DataType = dataType match {
    case udt: UserDefinedType[_] => udt.sqlType
    case other => other
  }

  /** The inputs' ordinals in the child's output, if nothing has to be computed. */
  def inputPlaces: Option[Array[Int]] = {
    val bound = inputs.map(BindReferences.bindReference(_, childOutput)).collect { case BoundReference(place, _, _) => place }
    Some(bound.toArray).filter(_.length == inputs.length)
  }

  /** One of the conditions, ready for the rows of a partition. */
  def condition(guard: Option[Expression], partition: Int): InternalRow => Boolean = guard match {
    case None => _ => true
    case Some(expression) =>
      val predicate = Predicate.create(expression, childOutput)
      predicate.initialize(partition)
      predicate.eval
  }
}

/** [[RowsWanted]] for the rows of a columnar batch. */
private[sql] final class WantedRows(plan: EvaluationPlan, partition: Int) {
  private val all = plan.wanted.evaluated.isEmpty
  private val isEvaluated = plan.condition(plan.wanted.evaluated, partition)
  private val isRequiredRow = plan.condition(plan.wanted.required, partition)
  private var batch: ColumnarBatch = null

  def in(columns: ColumnarBatch): WantedRows = {
    batch = columns
    this
  }

  /** The number of rows from `from` on (at most `count`) that are either all evaluated or all skipped, and which of the two. */
  def run(from: Int, count: Int): (Int, Boolean) =
    if (all) (count, true)
    else {
      val evaluated = isEvaluated(batch.getRow(from))
      var length = 1
      while (length < count && isEvaluated(batch.getRow(from + length)) == evaluated) length += 1
      (length, evaluated)
    }

  def isRequired(row: Int): Boolean = isRequiredRow(batch.getRow(row))
}
