package io.flambeau.bridge

import java.util.concurrent.atomic.AtomicLong

import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.VectorSchemaRoot
import org.apache.spark.sql.types.StructType

import io.flambeau.bridge.spec.DatasetSpec

/**
 * Statistics of a finished dataset. Labels of training and of validation rows count; NaN if there is no row, or if labels are vectors.
 */
final case class DatasetSummary(
    rows: Long, validationRows: Long, bytes: Long, labelMin: Double, labelMax: Double, labelIntegral: Boolean)

/** A row that was left out: its position among the added rows, and the reason. */
private[bridge] final case class Skipped(row: Int, cause: String)

/**
 * One worker's rows: each batch crosses by the C Data Interface and is written to an Arrow IPC file in `directory`, which is
 * mapped into memory once finished and deleted by `close()`. Used by the task thread only.
 */
final class TrainingDataset private (val handle: AtomicLong, allocator: BufferAllocator) extends AutoCloseable {

  /**
   * Appends the root's rows; its vectors may be reset afterwards. A bad row fails with its position in this root, or is left out.
   *
   * @return
   *   the positions of rows that were left out, each with its cause
   */
  def add(rows: VectorSchemaRoot): Seq[(Int, String)] = CStructs.using(allocator) { structs =>
    Json.listOf[Skipped](NativeBridge.addRows(handle.get, structs.of(rows).memoryAddress)).map(one => one.row -> one.cause)
  }

  /** Ends writing; trainers can be opened from here on. */
  def finish(): DatasetSummary = Json.as[DatasetSummary](NativeBridge.finishDataset(handle.get))

  /** Ends joining a group, or training heads of groups, over this dataset with a NativeException of kind `canceled`; from any thread. */
  def cancel(): Unit = {
    val open = handle.get
    if (open != 0) NativeBridge.cancelTrainers(open)
  }

  override def close(): Unit = NativeCalls.close(handle.getAndSet(0))
}

object TrainingDataset {

  /**
   * @param schema
   *   inputs under their own names, `__label` (double, or array of double or float), and where present `__weight` (double),
   *   `__validation` (boolean), `__id` (long), `__shard` (int), `__group` (long)
   */
  def open(spec: DatasetSpec, schema: StructType, allocator: BufferAllocator): TrainingDataset = {
    NativeLibrary.ensureLoaded()
    CStructs.using(allocator) { structs =>
      new TrainingDataset(new AtomicLong(NativeBridge.openDataset(Json.write(spec), structs.of(schema).memoryAddress)), allocator)
    }
  }
}
