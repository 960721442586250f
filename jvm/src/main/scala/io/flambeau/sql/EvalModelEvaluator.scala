package io.flambeau.sql

import org.apache.spark.{PartitionEvaluator, PartitionEvaluatorFactory, TaskContext}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, Expression, JoinedRow, Literal, Predicate, UnsafeProjection}
import org.apache.spark.sql.catalyst.expressions.Literal.TrueLiteral
import org.apache.spark.sql.execution.metric.SQLMetric
import org.apache.spark.sql.types.{DataType, StructField, StructType}

import io.flambeau.models.ModelRef

/** A batch ends when it has this many rows, or when one more row would exceed the bytes of its inputs. */
private[sql] final case class BatchLimits(rows: Int, bytes: Long)

/**
 * Which rows a task evaluates, and which of those fail the query if they are bad; conditions over the child's columns that
 * are never NULL.
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
    val strict = requests.zip(guards).collect { case (request, guard) if !request.tolerant => guard }
    val (evaluated, required) = (CallGuards.any(guards), CallGuards.any(strict))
    val agree = strict.isEmpty || evaluated.semanticEquals(required)
    RowsWanted(Some(evaluated).filter(_ != TrueLiteral), if (agree) None else Some(required))
  }
}

/**
 * What a task needs to evaluate a model: plain values, serialized to executors.
 *
 * @param passThrough
 *   columns of the child that reach the output
 * @param childOutput
 *   the columns that arrive
 * @param wanted
 *   the rows to evaluate; the results of others are NULL
 */
private[sql] final class EvalModelEvaluatorFactory(
    inputs: Seq[Expression],
    model: ModelRef,
    requests: Seq[ModelRequest],
    passThrough: Seq[Attribute],
    results: Seq[Attribute],
    childOutput: Seq[Attribute],
    limits: BatchLimits,
    settings: Map[String, String],
    metrics: Map[String, SQLMetric],
    wanted: RowsWanted = RowsWanted.All)
    extends PartitionEvaluatorFactory[InternalRow, InternalRow] {

  override def createEvaluator(): PartitionEvaluator[InternalRow, InternalRow] = new Evaluator

  private final class Evaluator extends PartitionEvaluator[InternalRow, InternalRow] {
    override def eval(partitionIndex: Int, partitions: Iterator[InternalRow]*): Iterator[InternalRow] = {
      val rows = partitions.head
      // An empty partition loads nothing.
      if (!rows.hasNext) Iterator.empty
      else {
        val evaluation = new TaskEvaluation(
          TaskContext.get(), model, requests, inputSchema, results.map(_.dataType), limits, settings, new EvalModelMetrics(metrics), wanted.required.isDefined)
        new EvaluatedRows(rows, evaluation, partitionIndex)
      }
    }
  }

  private def inputSchema: StructType = StructType(model.spec.inputs.zip(inputs).map { case (declared, expression) =>
    StructField(declared.name, EvalModelEvaluator.storage(expression.dataType), nullable = true)
  })

  /** The rows of a partition with their results, in order. One batch is in flight: its results are read before the next. */
  private final class EvaluatedRows(rows: Iterator[InternalRow], evaluation: TaskEvaluation, partition: Int)
      extends Iterator[InternalRow] {
    private val toInput = UnsafeProjection.create(inputs, childOutput)
    private val toPassThrough = UnsafeProjection.create(passThrough, childOutput)
    private val toOutput = UnsafeProjection.create(passThrough ++ results, passThrough ++ results)
    // Where a row is not wanted its inputs are not computed either: they may throw.
    private val noInput = UnsafeProjection.create(inputs.map(input => Literal(null, input.dataType)), Nil)(InternalRow.empty).copy()
    private val isEvaluated = condition(wanted.evaluated)
    private val isRequired = condition(wanted.required)
    private val joined = new JoinedRow
    toInput.initialize(partition)
    private var batch: Iterator[InternalRow] = Iterator.empty
    private var waiting: Iterator[InternalRow] = Iterator.empty

    override def hasNext: Boolean = batch.hasNext || {
      evaluation.finishBatch()
      if (rows.hasNext || evaluation.hasCarried) {
        fill()
        val (passed, evaluated) = evaluation.evaluateBatch()
        waiting = passed
        batch = evaluated
        true
      } else {
        evaluation.close()
        false
      }
    }

    /** The copy into the output row is what makes the result independent of the batch's vectors. */
    override def next(): InternalRow =
      if (!hasNext) Iterator.empty.next()
      else toOutput(joined(waiting.next(), batch.next()))

    private def fill(): Unit = {
      var open = evaluation.beginBatch()
      while (open && rows.hasNext) {
        val row = rows.next()
        val evaluated = isEvaluated(row)
        open = evaluation.offer(if (evaluated) toInput(row) else noInput, toPassThrough(row), evaluated && isRequired(row))
      }
    }

    private def condition(guard: Option[Expression]): InternalRow => Boolean = guard match {
      case None => _ => true
      case Some(expression) =>
        val predicate = Predicate.create(expression, childOutput)
        predicate.initialize(partition)
        predicate.eval
    }
  }
}

private[sql] object EvalModelEvaluator {

  /** How a type is stored in rows: user-defined types as what is under them. */
  def storage(dataType: DataType): DataType = dataType match {
    case udt: org.apache.spark.sql.types.UserDefinedType[_] => udt.sqlType
    case other => other
  }
}
