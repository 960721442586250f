package io.flambeau.sql

import org.apache.spark.{PartitionEvaluator, PartitionEvaluatorFactory}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{JoinedRow, Literal, UnsafeProjection, UnsafeRow}
import org.apache.spark.sql.vectorized.{ColumnarBatch, ColumnVector}

import io.flambeau.columns.{ResultRow, RowsOfVector, WaitingRows}
import io.flambeau.models.LoadAhead

/**
 * The rows of a partition with their results, in order, batch after batch. One batch is in flight: its results are read before
 * the next is begun. The row that is given is overwritten by the next one, as in all of Spark.
 */
private[sql] abstract class EvaluatedRows(plan: EvaluationPlan) extends Iterator[InternalRow] {
  protected final val evaluation = plan.open()
  protected final val passesNothing = plan.passThrough.isEmpty
  protected final val waiting = new WaitingRows(plan.passThrough.length)
  private val toOutput = UnsafeProjection.create(plan.output, plan.passThrough ++ plan.results)
  private val joined = new JoinedRow
  private var results: ResultRow = null
  private var index = 0
  private var count = 0

  /** Whether there are rows that were not evaluated. */
  protected def hasInput: Boolean

  /** Offers rows to the evaluation until it is full or there are no more, and adds those that it takes to the waiting ones. */
  protected def fill(): Unit

  override def hasNext: Boolean = index < count || {
    evaluation.finishBatch()
    waiting.clear()
    if (hasInput) {
      evaluation.beginBatch()
      fill()
      results = ResultRow.of(evaluation.evaluateBatch())
      count = evaluation.rows
      index = 0
      true
    } else {
      evaluation.close()
      false
    }
  }

  /** The copy into the output row is what makes the result independent of the batch's vectors. */
  override def next(): InternalRow =
    if (!hasNext) Iterator.empty.next()
    else {
      val row = index
      index += 1
      val result = results.pointTo(row)
      toOutput(if (passesNothing) result else joined(waiting(row), result))
    }
}

/** From rows. Inputs that are columns are read from the row where they are; others are computed. */
private[sql] final class RowsFromRows(rows: Iterator[InternalRow], plan: EvaluationPlan, partition: Int) extends EvaluatedRows(plan) {
  private val toInput = UnsafeProjection.create(plan.inputs, plan.childOutput)
  private val toPassed = UnsafeProjection.create(plan.passThrough, plan.childOutput)
  // If a row is not wanted, its inputs are not computed either: they may throw.
  private val noInput = UnsafeProjection.create(plan.inputs.map(input => Literal(null, input.dataType)), Nil)(InternalRow.empty).copy()
  private val nothing = new UnsafeRow(0)
  private val places = plan.inputPlaces
  private val computed = plan.inputs.indices.toArray
  private val passesAll = plan.passThrough.map(_.exprId) == plan.childOutput.map(_.exprId)
  private val isEvaluated = plan.condition(plan.wanted.evaluated, partition)
  private val isRequired = plan.condition(plan.wanted.required, partition)
  private var carried: Option[Offered] = None
  toInput.initialize(partition)

  override protected def hasInput: Boolean = carried.isDefined || rows.hasNext

  override protected def fill(): Unit = {
    val first = carried
    carried = None
    first.foreach(row => offer(row.input, row.at, row.passed, row.isRequired))
    while (carried.isEmpty && evaluation.isOpen && rows.hasNext) {
      val row = rows.next()
      val evaluated = isEvaluated(row)
      val required = evaluated && isRequired(row)
      row match {
        case _ if !evaluated => offer(noInput, computed, passed(row), required)
        case unsafe: UnsafeRow if places.isDefined => offer(unsafe, places.get, passed(row), required)
        case other => offer(toInput(other), computed, passed(row), required)
      }
    }
  }

  private def passed(row: InternalRow): UnsafeRow = row match {
    case _ if passesNothing => nothing
    case unsafe: UnsafeRow if passesAll => unsafe
    case other => toPassed(other)
  }

  private def offer(input: UnsafeRow, at: Array[Int], passed: UnsafeRow, isRequired: Boolean): Unit =
    if (!evaluation.offer(input, at, passed.getSizeInBytes, isRequired)) {
      carried = Some(Offered(input.copy(), at, passed.copy(), isRequired))
    } else if (!passesNothing) waiting.append(passed)
}

/** A row that did not fit its batch. */
private final case class Offered(input: UnsafeRow, at: Array[Int], passed: UnsafeRow, isRequired: Boolean)

/** From columns that are read directly. */
private[sql] final class RowsFromColumns(batches: Iterator[ColumnarBatch], plan: EvaluationPlan, partition: Int) extends EvaluatedRows(plan) {
  private val source = new ColumnSource(batches, plan)
  private val wanted = new WantedRows(plan, partition)
  private val toPassed = UnsafeProjection.create(plan.passThrough, plan.childOutput)
  private val passedBytes = if (passesNothing) None
  else Some { (row: Int) =>
    val passed = toPassed(source.batch.getRow(row))
    waiting.append(passed)
    passed.getSizeInBytes
  }

  override protected def hasInput: Boolean = source.hasRows

  override protected def fill(): Unit = {
    var fits = true
    while (fits && evaluation.isOpen && source.hasRows) {
      fits = source.offerTo(evaluation, wanted, passedBytes) > 0
      // The row that did not fit comes again.
      waiting.truncate(evaluation.rows)
    }
  }
}

/**
 * From columns to columns: columns that pass through are the child's own vectors. A batch then ends with the child's batch, since
 * the next one overwrites it.
 */
private[sql] final class ColumnsFromColumns(batches: Iterator[ColumnarBatch], plan: EvaluationPlan, partition: Int)
    extends Iterator[ColumnarBatch] {
  private val evaluation = plan.open()
  private val source = new ColumnSource(batches, plan)
  private val wanted = new WantedRows(plan, partition)

  override def hasNext: Boolean = {
    evaluation.finishBatch()
    val more = source.hasRows
    if (!more) evaluation.close()
    more
  }

  override def next(): ColumnarBatch = {
    if (!hasNext) Iterator.empty.next()
    evaluation.beginBatch()
    val (batch, first) = (source.batch, source.row)
    var fits = true
    do fits = source.offerTo(evaluation, wanted, None) > 0 while (fits && plan.passThrough.isEmpty && evaluation.isOpen && source.hasRows)
    val results = evaluation.evaluateBatch()
    val columns = plan.output.map { attribute =>
      val result = plan.results.indexWhere(_.exprId == attribute.exprId)
      if (result >= 0) results.column(result)
      else new RowsOfVector(batch.column(plan.childOutput.indexWhere(_.exprId == attribute.exprId)), first)
    }
    new ColumnarBatch(columns.toArray, evaluation.rows)
  }
}

/** The columnar batches of a partition, read a range of rows at a time. The child owns the vectors and overwrites them with the next batch. */
private final class ColumnSource(batches: Iterator[ColumnarBatch], plan: EvaluationPlan) {
  private val places = plan.inputPlaces.getOrElse(throw new IllegalStateException(s"${plan.inputs} are not columns"))
  private var current: ColumnarBatch = null
  private var columns: Array[ColumnVector] = Array.empty
  private var at = 0

  def batch: ColumnarBatch = current

  /** The first row of `batch` that was not taken. */
  def row: Int = at

  /** Whether there are rows; this may move to the next batch. */
  def hasRows: Boolean = {
    while ((current == null || at >= current.numRows) && batches.hasNext) {
      current = batches.next()
      columns = places.map(current.column)
      at = 0
    }
    current != null && at < current.numRows
  }

  /** Offers the remaining rows of `batch`, skips those that were taken, and returns their number. */
  def offerTo(evaluation: TaskEvaluation, wanted: WantedRows, passedBytes: Option[Int => Int]): Int = {
    val taken = evaluation.offerColumns(columns, at, current.numRows - at, wanted.in(current), passedBytes)
    at += taken
    taken
  }
}

/** Opens one of these for a partition. An empty partition does not load a model. */
private[sql] final class EvaluatorFactory[In, Out](plan: EvaluationPlan, open: (Iterator[In], EvaluationPlan, Int) => Iterator[Out])
    extends PartitionEvaluatorFactory[In, Out] {

  override def createEvaluator(): PartitionEvaluator[In, Out] = new PartitionEvaluator[In, Out] {
    override def eval(partition: Int, inputs: Iterator[In]*): Iterator[Out] = {
      // While the first row is read.
      LoadAhead.library()
      if (inputs.head.hasNext) open(inputs.head, plan, partition) else Iterator.empty
    }
  }
}
