package io.flambeau.sql

import scala.collection.mutable.ArrayBuffer
import scala.jdk.CollectionConverters._

import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.VectorSchemaRoot
import org.apache.spark.TaskContext
import org.apache.spark.internal.Logging
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.UnsafeRow
import org.apache.spark.sql.execution.arrow.ArrowWriter
import org.apache.spark.sql.types.{DataType, StringType, StructType}
import org.apache.spark.sql.vectorized.{ArrowColumnVector, ColumnarBatch}

import io.flambeau.FlambeauException
import io.flambeau.bridge.{ArrowAccess, ModelSession, NativeException, Releases}
import io.flambeau.models.{ModelRef, ModelStore}

/**
 * One task's evaluation of one model: gathers rows into a batch, has it evaluated, hands the results out.
 *
 * It owns, in this order: a memory reservation, a child allocator of Spark's Arrow root, the input vectors, a native session,
 * and, while a batch is read, the result vectors. Each is registered for release when it is acquired, and all are released,
 * the newest first, when the rows are exhausted or the task ends in whatever way; only once. All on the task's thread.
 *
 * Strict and `try_` calls may share an evaluation and want different rows of it (`requiredByRow`). No row then fails on the
 * native side, which tells the reasons instead, and whether one of them ends the task is decided here.
 *
 * A batch: `beginBatch`, `offer` until it says no or rows run out, `evaluateBatch`, read the rows, `finishBatch`. The results
 * must be read before `finishBatch`, since the native side may have lent them the input's own buffers.
 */
private[sql] final class TaskEvaluation(
    task: TaskContext,
    model: ModelRef,
    requests: Seq[ModelRequest],
    inputSchema: StructType,
    resultTypes: Seq[DataType],
    limits: BatchLimits,
    settings: Map[String, String],
    metrics: EvalModelMetrics,
    requiredByRow: Boolean)
    extends Logging {

  private val waiting = ArrayBuffer.empty[UnsafeRow]
  private val required = ArrayBuffer.empty[Boolean]
  private var carried: Option[(UnsafeRow, UnsafeRow, Boolean)] = None
  private var rowsLimit = limits.rows
  private var nativeBytes = 0L
  private var rows = 0
  private var inputBytes = 0L
  private var waitingBytes = 0L
  private var rowsBefore = 0L
  private var result: Option[ColumnarBatch] = None

  // State before resources: should an acquire below fail, close() finds everything in place.
  private val releases = new Releases
  task.addTaskCompletionListener[Unit](_ => close())

  private val reservation = releases.own(BatchReservation.of(task))(_.release())
  private val allocator: BufferAllocator = releases.own(
    ArrowAccess.rootAllocator().newChildAllocator(
      s"flambeau ${model.name}, stage ${task.stageId()} partition ${task.partitionId()} task ${task.taskAttemptId()}", 0, Long.MaxValue))(
    _.close())
  private val root = releases.own(VectorSchemaRoot.create(ArrowAccess.toArrowSchema(inputSchema), allocator))(_.close())
  private val writer = ArrowWriter.create(root)
  private val session = releases.own(open())(_.close())
  releases.atEnd(finishBatch())

  /** Whether a row that did not fit the last batch waits for the next. */
  def hasCarried: Boolean = carried.isDefined

  /** Starts an empty batch; false if it is full already (a carried row can fill it). */
  def beginBatch(): Boolean = {
    BatchReservation.stopIfKilled(task)
    reserveNative()
    carried match {
      case None => true
      case Some((input, passed, isRequired)) =>
        carried = None
        offer(input, passed, isRequired)
    }
  }

  /**
   * Takes a row into the batch, or keeps it for the next one if it does not fit. Copies what it keeps.
   *
   * @param isRequired
   *   whether the row fails the query if it is bad and somebody is strict
   * @return
   *   whether the batch takes more rows
   */
  def offer(input: UnsafeRow, passed: UnsafeRow, isRequired: Boolean): Boolean = {
    val bytes = input.getSizeInBytes
    val fits = inputBytes + bytes <= limits.bytes && reserve(inputBytes + bytes, waitingBytes + passed.getSizeInBytes)
    if (!fits && rows > 0) {
      carried = Some((input.copy(), passed.copy(), isRequired))
      false
    } else {
      if (!fits && !reserve(inputBytes + bytes, waitingBytes + passed.getSizeInBytes)) refuse(bytes)
      writer.write(input)
      waiting += passed.copy()
      if (requiredByRow) required += isRequired
      rows += 1
      inputBytes += bytes
      waitingBytes += passed.getSizeInBytes
      rows < rowsLimit && inputBytes < limits.bytes
    }
  }

  /** The passed rows and, beside each, its results. */
  def evaluateBatch(): (Iterator[InternalRow], Iterator[InternalRow]) = {
    writer.finish()
    val evaluated =
      try session.evaluate(root)
      catch {
        case cause: NativeException =>
          // Cancelled between two passes: Spark's own exception says why.
          BatchReservation.stopIfKilled(task)
          throw translated(cause)
      } finally metrics.publish(session.counters)
    result = Some(evaluated)
    checkLayout(evaluated)
    if (requiredByRow) failOnRequired(evaluated)
    metrics.batch(bufferBytes(root), (0 until evaluated.numCols).map(i => vectorBytes(evaluated, i)).sum)
    (waiting.iterator, evaluated.rowIterator().asScala)
  }

  /** Frees the results of the batch that was read, and empties the vectors. Nothing happens if there is none. */
  def finishBatch(): Unit = result.foreach { evaluated =>
    result = None
    evaluated.close()
    writer.reset()
    waiting.clear()
    required.clear()
    rowsBefore += rows
    rows = 0
    inputBytes = 0
    waitingBytes = 0
  }

  /** Releases everything, the newest first. */
  def close(): Unit = releases.close()

  /** What the native side is asked for. */
  private def asked: Seq[ModelRequest] =
    if (requiredByRow) requests.map(_.copy(tolerant = true)) :+ ModelRequest(ModelTask.Error, tolerant = true) else requests

  private def askedTypes: Seq[DataType] = if (requiredByRow) resultTypes :+ StringType else resultTypes

  private def open(): ModelSession =
    try ModelSession.open(model, ModelStore.localDirectory(model), inputSchema, asked.map(_.toOutputRequest), settings, allocator)
    catch { case cause: NativeException => throw translated(cause) }

  private def translated(cause: NativeException): FlambeauException =
    FlambeauException(cause, model.name, requests.map(_.function), task.partitionId(), rowsBefore)

  /** Room for the forward pass; where Spark refuses, for one of half the rows, down to a single row. */
  private def reserveNative(): Unit = {
    nativeBytes = session.estimateBytes(rowsLimit)
    while (!reservation.ensure(nativeBytes)) {
      if (rowsLimit == 1) refuse(nativeBytes)
      rowsLimit = math.max(1, rowsLimit / 2)
      nativeBytes = session.estimateBytes(rowsLimit)
      logInfo(s"model ${model.name}: Spark has too little execution memory for a batch, continuing with $rowsLimit rows")
    }
  }

  /** Vectors grow by doubling, so inputs count twice. */
  private def reserve(inputBytes: Long, waitingBytes: Long): Boolean =
    reservation.ensure(nativeBytes + 2 * inputBytes + waitingBytes)

  private def refuse(bytes: Long): Nothing = {
    val what = s"model '${model.name}': Spark has no execution memory left for a batch of one row ($bytes bytes)"
    throw new FlambeauException(
      "FLAMBEAU_OUT_OF_MEMORY",
      s"$what. Raise spark.executor.memory or spark.memory.fraction, or run fewer tasks at a time (spark.executor.cores).",
      Map("model" -> model.name, "cause" -> what, "partition" -> task.partitionId().toString),
      null)
  }

  /** The last column is why a row is bad. */
  private def failOnRequired(evaluated: ColumnarBatch): Unit = {
    val reasons = evaluated.column(evaluated.numCols - 1)
    required.indices.find(row => required(row) && !reasons.isNullAt(row)).foreach { row =>
      throw translated(new NativeException("bad_input", reasons.getUTF8String(row).toString, row.toLong))
    }
  }

  /** What came back must be what was asked for: reading a vector of another layout would give wrong rows silently. */
  private def checkLayout(evaluated: ColumnarBatch): Unit = {
    val actual = (0 until evaluated.numCols).map(evaluated.column(_).dataType)
    val same = actual.length == askedTypes.length && actual.zip(askedTypes).forall { case (g, w) => DataType.equalsIgnoreNullability(g, w) }
    if (!same || evaluated.numRows != rows) {
      val what = s"model '${model.name}': the native side gave ${evaluated.numRows} rows of ${actual.map(_.sql).mkString(", ")}, " +
        s"wanted $rows of ${askedTypes.map(_.sql).mkString(", ")}"
      throw new FlambeauException("FLAMBEAU_NATIVE", what, Map("model" -> model.name, "cause" -> what), null)
    }
  }

  private def bufferBytes(vectors: VectorSchemaRoot): Long = vectors.getFieldVectors.asScala.map(_.getBufferSize.toLong).sum

  private def vectorBytes(batch: ColumnarBatch, column: Int): Long = batch.column(column) match {
    case arrow: ArrowColumnVector => arrow.getValueVector.getBufferSize.toLong
    case _ => 0L
  }
}
