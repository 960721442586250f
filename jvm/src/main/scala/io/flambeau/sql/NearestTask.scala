package io.flambeau.sql

import org.apache.arrow.memory.BufferAllocator
import org.apache.spark.TaskContext
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeReference, Cast, JoinedRow, UnsafeProjection, UnsafeRow}
import org.apache.spark.sql.execution.metric.SQLMetric
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.ColumnarBatch

import io.flambeau.FlambeauException
import io.flambeau.bridge.{Closer, ErrorKind, NativeException, NearestSearch}
import io.flambeau.bridge.spec.NearestSpec
import io.flambeau.columns.{InputBatch, ResultRow, WaitingRows}
import io.flambeau.spark.{ArrowAccess, BatchReservation, SparkAccess}

/** What tasks know of a [[NearestNeighborsExec]]; its attributes, by their names. */
private[sql] final case class NearestPlan(
    function: String,
    spec: NearestSpec,
    query: Seq[Attribute],
    row: Seq[Attribute],
    found: Seq[Attribute],
    leftOutput: Seq[Attribute],
    rightOutput: Seq[Attribute],
    outputRows: SQLMetric,
    blocks: SQLMetric,
    searchTime: SQLMetric) {

  /** The left column whose values are compared with the ids of neighbors, or any if none are, and the vector. */
  def asked: Seq[Attribute] = Seq(if (spec.smallerIds) query(1) else query.head, query(2))
}

/**
 * The neighbors of a group of left rows among a group of right rows: blocks of left rows, one after another, and for each of them
 * all right rows, also in blocks. Blocks end by their bytes, so memory is bounded whatever the sides hold.
 *
 * It owns, in this order: a memory reservation, a child allocator of Spark's Arrow root, the two blocks, a native search, and the
 * result that is being read. All are released once, when the rows are exhausted or the task ends. Everything runs on the task's thread.
 */
private[sql] final class NearestTask(plan: NearestPlan, task: TaskContext, left: Iterator[InternalRow], right: () => Iterator[InternalRow])
    extends Iterator[InternalRow] {
  import NearestTask._

  private val waiting = new WaitingRows(2)
  private var result: Option[ColumnarBatch] = None
  private var row: ResultRow = null
  private var index = 0
  private var count = 0

  private val releases = new Closer
  task.addTaskCompletionListener[Unit](_ => releases.close())
  private val reservation = releases.own(BatchReservation.of(task))(_.release())
  private val allocator: BufferAllocator = releases.own(
    ArrowAccess.rootAllocator().newChildAllocator(s"${plan.function}, stage ${task.stageId()} task ${task.taskAttemptId()}", 0, Long.MaxValue))(_.close())
  private val queries = releases.own(new InputBatch(schema(plan.asked), allocator))(_.close())
  private val rows = releases.own(new InputBatch(schema(plan.row), allocator))(_.close())
  private val search = releases.own(translating(NearestSearch.open(plan.spec, schema(plan.asked), schema(plan.row), allocator)))(_.close())
  releases.atEnd(finishBlock())

  private val toLeft = UnsafeProjection.create(plan.leftOutput, plan.leftOutput)
  private val toRight = UnsafeProjection.create(plan.rightOutput, plan.rightOutput)
  private val toWaiting = UnsafeProjection.create(plan.query.take(2), plan.leftOutput)
  private val (askedAt, rowAt) = (places(plan.asked, plan.leftOutput), places(plan.row, plan.rightOutput))
  private val joined = new JoinedRow
  private val toOutput = {
    val neighbor = AttributeReference("id", if (plan.found.head.dataType == LongType) LongType else BinaryType)()
    val results = Seq(AttributeReference("query", IntegerType)(), neighbor, AttributeReference("score", DoubleType)())
    val id = if (neighbor.dataType == LongType) neighbor else Cast(neighbor, plan.found.head.dataType)
    UnsafeProjection.create(plan.query.take(2) ++ Seq(id, results.last), plan.query.take(2) ++ results)
  }

  override def hasNext: Boolean = {
    while (index >= count && left.hasNext) searchBlock()
    val more = index < count
    if (!more) releases.close()
    more
  }

  override def next(): InternalRow =
    if (!hasNext) Iterator.empty.next()
    else {
      val found = row.pointTo(index)
      index += 1
      plan.outputRows += 1
      toOutput(joined(waiting(found.getInt(0)), found))
    }

  /** The neighbors of the next block of left rows. */
  private def searchBlock(): Unit = {
    finishBlock()
    fillQueries()
    translating(search.begin(queries.load()))
    queries.clear()
    val others = right()
    while (others.hasNext) {
      SparkAccess.stopIfKilled(task)
      fillRows(others)
      translating(search.compare(rows.load()))
      rows.clear()
    }
    val found = translating(search.finish())
    result = Some(found)
    row = ResultRow.of(found)
    count = found.numRows
    plan.blocks += 1
  }

  private def finishBlock(): Unit = {
    result.foreach(_.close())
    result = None
    waiting.clear()
    index = 0
    count = 0
  }

  private def fillQueries(): Unit = {
    var bytes = 0L
    var fits = true
    while (fits && left.hasNext && bytes < LeftBytes) {
      val query = unsafe(left.next(), toLeft)
      // Vectors grow by doubling, and the native side has a copy.
      bytes += 3 * queries.bytesOf(query, askedAt) + plan.spec.k.toLong * NeighborBytes
      queries.append(query, askedAt)
      waiting.append(toWaiting(query))
      fits = reservation.ensure(bytes + 3 * RightBytes)
    }
    if (!fits && queries.rows == 1) {
      val what = s"${plan.function}: Spark has no execution memory left to compare one row ($bytes bytes) with others"
      throw new FlambeauException(
        "FLAMBEAU_OUT_OF_MEMORY", s"$what. Raise spark.executor.memory or spark.memory.fraction, lower k, or run fewer tasks at a time (spark.executor.cores).",
        Map("model" -> "", "cause" -> what), null)
    }
  }

  private def fillRows(others: Iterator[InternalRow]): Unit = {
    var bytes = 0L
    while (bytes < RightBytes && rows.rows < RightRows && others.hasNext) {
      val other = unsafe(others.next(), toRight)
      bytes += rows.bytesOf(other, rowAt)
      rows.append(other, rowAt)
    }
  }

  private def unsafe(row: InternalRow, project: UnsafeProjection): UnsafeRow = row match {
    case row: UnsafeRow => row
    case other => project(other)
  }

  /** Runs native code. Its failures become those that users meet. */
  private def translating[T](native: => T): T = {
    val started = System.nanoTime()
    try native
    catch {
      case cause: NativeException =>
        val what = s"${plan.function}, partition ${task.partitionId()}: ${cause.getMessage}"
        val advice = cause.kind match {
          case ErrorKind.BadInput => "Compare vectors of one model only, or filter by size() first."
          case ErrorKind.OutOfMemory => "Lower k, or raise spark.executor.memoryOverhead."
          case _ => FlambeauException.Bug
        }
        throw new FlambeauException(
          cause.kind.condition, s"$what. $advice".replace("..", "."),
          Map("model" -> "", "cause" -> cause.getMessage, "partition" -> task.partitionId().toString), cause)
    } finally plan.searchTime += System.nanoTime() - started
  }
}

private[sql] object NearestTask {

  /** Of the left rows of a block with their copies and neighbors: 25,000 vectors of 384 floats. */
  private val LeftBytes = 128L << 20

  /** Of the right rows of a block: 2,700 vectors of 384 floats. A product with 512 left rows then stays in a core's cache. */
  private val RightBytes = 4L << 20

  /** Limit for short vectors. */
  private val RightRows = 4096

  /** Of one neighbor on the native side and in the result. */
  private val NeighborBytes = 64L

  /** The columns as the native side knows them. */
  private def schema(idAndVector: Seq[Attribute]): StructType =
    new StructType().add("id", idAndVector.head.dataType).add("vector", idAndVector(1).dataType)

  private def places(wanted: Seq[Attribute], output: Seq[Attribute]): Array[Int] =
    wanted.map(attribute => output.indexWhere(_.exprId == attribute.exprId)).toArray
}
