package io.flambeau.sql

import scala.collection.mutable.ArrayBuffer
import scala.jdk.CollectionConverters._

import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.VectorSchemaRoot
import org.apache.spark.TaskContext
import org.apache.spark.internal.Logging
import org.apache.spark.sql.catalyst.expressions.UnsafeRow
import org.apache.spark.sql.types.{DataType, StringType, StructType}
import org.apache.spark.sql.vectorized.{ArrowColumnVector, ColumnarBatch, ColumnVector}

import io.flambeau.FlambeauException
import io.flambeau.bridge.spec.InferenceSettings
import io.flambeau.bridge.{Closer, ErrorKind, ModelSession, NativeException}
import io.flambeau.columns.InputBatch
import io.flambeau.models.{ModelRef, ModelStore}
import io.flambeau.spark.{ArrowAccess, BatchReservation, SparkAccess}
import io.flambeau.ui.ModelUseReport

/**
 * One task's evaluation of one model: gathers rows into a batch, evaluates it and returns the results.
 *
 * It owns, in this order: a memory reservation, a child allocator of Spark's Arrow root, the inputs of a batch, a native session,
 * and, while a batch is read, the result vectors. Each is registered for release when it is acquired, and all are released once,
 * the newest first, when the rows are exhausted or the task ends for any reason. Everything runs on the task's thread.
 *
 * Strict and `try_` calls may share an evaluation and need different rows of it (`requiredByRow`). The native side then does not
 * fail; it returns the reason for each bad row, and this class decides whether one of them ends the task.
 *
 * A batch: `beginBatch`, then `offer` or `offerColumns` until it is full or rows run out, `evaluateBatch`, read the results,
 * `finishBatch`. The results must be read before `finishBatch`, since they may share the input's buffers.
 */
private[sql] final class TaskEvaluation(
    task: TaskContext,
    model: ModelRef,
    requests: Seq[ModelRequest],
    inputSchema: StructType,
    resultTypes: Seq[DataType],
    limits: BatchLimits,
    settings: InferenceSettings,
    metrics: EvalModelMetrics,
    requiredByRow: Boolean)
    extends Logging {

  private val required = ArrayBuffer.empty[Boolean]
  // Rows of a batch: limited by memory and by the model's pace.
  private var grantedRows = limits.rows
  private var rowsLimit = limits.rows
  private val pace = BatchPace.of(model, settings.precision)
  private var nativeBytes = 0L
  private var inputBytes = 0L
  private var waitingBytes = 0L
  private var rowsBefore = 0L
  private var result: Option[ColumnarBatch] = None

  // State before resources: if acquiring one fails below, close() finds everything initialized.
  private val releases = new Closer
  task.addTaskCompletionListener[Unit](_ => close())

  private val reservation = releases.own(BatchReservation.of(task))(_.release())
  private val allocator: BufferAllocator = releases.own(
    ArrowAccess.rootAllocator().newChildAllocator(
      s"flambeau ${model.name}, stage ${task.stageId()} partition ${task.partitionId()} task ${task.taskAttemptId()}", 0, Long.MaxValue))(
    _.close())
  private val inputs = releases.own(new InputBatch(inputSchema, allocator))(_.close())
  private val session = releases.own(open())(_.close())
  private val use = releases.own(ModelUseReport.begin(model, session.facts))(_.end(session.counters))
  releases.atEnd(finishBatch())

  /** Rows in the batch. */
  def rows: Int = inputs.rows

  /** Whether the batch takes more rows. */
  def isOpen: Boolean = rows < rowsLimit && inputBytes < limits.bytes

  /** Starts an empty batch. */
  def beginBatch(): Unit = {
    SparkAccess.stopIfKilled(task)
    rowsLimit = pace.rows(grantedRows)
    reserveNative()
  }

  /**
   * Copies a row into the batch, which must be open.
   *
   * @param row
   *   holds the inputs, at `ordinals`
   * @param passedBytes
   *   of the row that waits for the results
   * @param isRequired
   *   whether a bad row fails the query (if a call is strict)
   * @return
   *   false if the row does not fit and must go into the next batch. The first row of a batch always fits
   */
  def offer(row: UnsafeRow, ordinals: Array[Int], passedBytes: Int, isRequired: Boolean): Boolean = {
    val bytes = inputs.bytesOf(row, ordinals)
    val fits = admits(bytes, passedBytes)
    if (fits) {
      inputs.append(row, ordinals)
      if (requiredByRow) required += isRequired
    }
    fits
  }

  /**
   * Copies rows of a columnar batch into the batch; those that are not wanted become NULLs.
   *
   * @param passedBytes
   *   of the row that waits for the results, by its place in the columns; none if no row waits
   * @return
   *   the number of rows taken, from `from` on: at least one into an empty batch
   */
  def offerColumns(columns: Array[ColumnVector], from: Int, count: Int, wanted: WantedRows, passedBytes: Option[Int => Int]): Int = {
    val some = math.min(count, rowsLimit - rows)
    val bytes = inputs.bytesOf(columns, from, some)
    val taken =
      if (passedBytes.isEmpty && inputBytes + bytes <= limits.bytes && reserve(inputBytes + bytes, waitingBytes)) {
        inputBytes += bytes
        some
      } else fitting(columns, from, some, passedBytes.getOrElse((_: Int) => 0))
    var done = 0
    while (done < taken) {
      val (run, evaluated) = wanted.run(from + done, taken - done)
      if (evaluated) inputs.append(columns, from + done, run) else inputs.appendNulls(run)
      if (requiredByRow) (0 until run).foreach(i => required += evaluated && wanted.isRequired(from + done + i))
      done += run
    }
    taken
  }

  /** Takes rows one by one while they fit. */
  private def fitting(columns: Array[ColumnVector], from: Int, count: Int, passedBytes: Int => Int): Int = {
    var taken = 0
    while (taken < count && inputBytes < limits.bytes &&
      admits(inputs.bytesOf(columns, from + taken, 1), passedBytes(from + taken), rows + taken)) taken += 1
    taken
  }

  /** Whether a row of this size fits; if so, its bytes are counted. */
  private def admits(bytes: Long, passedBytes: Int, before: Int = rows): Boolean = {
    val reserved = inputBytes + bytes <= limits.bytes && reserve(inputBytes + bytes, waitingBytes + passedBytes)
    val fits = reserved || before == 0
    if (fits) {
      if (!reserved && !reserve(inputBytes + bytes, waitingBytes + passedBytes)) refuse(bytes)
      inputBytes += bytes
      waitingBytes += passedBytes
    }
    fits
  }

  /** The results of the batch, one column a request, until `finishBatch`. */
  def evaluateBatch(): ColumnarBatch = {
    val vectors = inputs.load()
    val started = System.nanoTime()
    val evaluated =
      try session.evaluate(vectors)
      catch {
        case cause: NativeException =>
          // Canceled between two passes: throws Spark's own exception with the reason.
          SparkAccess.stopIfKilled(task)
          throw translated(cause)
      } finally {
        use.evaluated(System.nanoTime() - started)
        metrics.publish(session.counters, session.facts.engine)
      }
    pace.measured(rows, System.nanoTime() - started)
    result = Some(evaluated)
    checkLayout(evaluated)
    if (requiredByRow) failOnRequired(evaluated)
    metrics.batch(bufferBytes(vectors), (0 until evaluated.numCols).map(i => vectorBytes(evaluated, i)).sum)
    evaluated
  }

  /** Frees the results of the last batch and empties the inputs. Does nothing if there is none. */
  def finishBatch(): Unit = result.foreach { evaluated =>
    result = None
    evaluated.close()
    rowsBefore += rows
    inputs.clear()
    required.clear()
    inputBytes = 0
    waitingBytes = 0
  }

  /** Closer everything, the newest first. */
  def close(): Unit = releases.close()

  /** The requests for the native side. */
  private def asked: Seq[ModelRequest] =
    if (requiredByRow) requests.map(_.copy(nullOnError = true)) :+ ModelRequest(ModelTask.Error, nullOnError = true) else requests

  private def askedTypes: Seq[DataType] = if (requiredByRow) resultTypes :+ StringType else resultTypes

  private def open(): ModelSession =
    try ModelSession.open(model.spec.hash, ModelStore.localDirectory(model), inputSchema, asked.map(_.toOutputRequest), settings, allocator,
        EngineAgreement.agreed)
    catch { case cause: NativeException => throw translated(cause) }

  private def translated(cause: NativeException): FlambeauException =
    EvaluationFailure(cause, model.name, requests.map(_.function), task.partitionId(), rowsBefore)

  /** Reserves memory for the forward pass; if Spark refuses, for half the rows, and so on down to a single row. */
  private def reserveNative(): Unit = {
    nativeBytes = session.estimateBytes(rowsLimit)
    while (!reservation.ensure(nativeBytes)) {
      if (rowsLimit == 1) refuse(nativeBytes)
      rowsLimit = math.max(1, rowsLimit / 2)
      grantedRows = rowsLimit
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
      throw translated(new NativeException(ErrorKind.BadInput, reasons.getUTF8String(row).toString, row.toLong))
    }
  }

  /** The results must have the requested types: reading a vector with another layout would give wrong values silently. */
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
