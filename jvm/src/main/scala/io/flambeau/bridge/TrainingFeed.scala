package io.flambeau.bridge

import java.nio.file.Path
import java.util.concurrent.atomic.AtomicLong

import scala.jdk.CollectionConverters._

import org.apache.arrow.c.Data
import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.VectorSchemaRoot
import org.apache.spark.sql.types.StructType

import io.flambeau.spark.ArrowAccess

/**
 * What a feed holds once sealed. Labels of training and of validation rows count; NaN where there is no row, or where labels
 * are vectors.
 */
final case class FeedSummary(
    rows: Long, validationRows: Long, bytes: Long, labelMin: Double, labelMax: Double, labelIntegral: Boolean)

/** What a row of a dense column becomes: a row of a tensor of this shape and element type, as packages name them. */
final case class DenseColumn(shape: Seq[Int], dtype: String)

/**
 * How a feed takes rows.
 *
 * @param slots
 *   how many slots `__slot` counts; 0 where there is no such column
 * @param dense
 *   columns of numbers, checked as in inference and stored as tensors' rows; a `__label` that is an array is one, of f64
 * @param labelRange
 *   least and largest label, where labels have bounds
 * @param skipInvalid
 *   whether a row that cannot be trained on is left out rather than an error
 * @param trial
 *   folder of the package by which rows of `inputs` that are not dense are tried, where such rows are left out
 * @param images
 *   what a picture of such a row may cost
 */
final case class FeedOptions(
    slots: Int, dense: Map[String, DenseColumn], labelRange: Option[(Double, Double)], skipInvalid: Boolean, trial: Option[String],
    inputs: Seq[String], images: Option[ImageLimits])

/**
 * One worker's rows: each batch crosses by the C Data Interface and is written to an Arrow IPC file in `directory`, which is
 * mapped into memory once sealed and deleted by `close()`. Used by the task thread only.
 */
final class TrainingFeed private (val handle: AtomicLong, allocator: BufferAllocator) extends AutoCloseable {

  /**
   * Appends the root's rows; its vectors may be reset afterwards. A bad row fails with its position in this root, or is left out.
   *
   * @return
   *   the positions of rows that were left out, each with its cause
   */
  def add(rows: VectorSchemaRoot): Seq[(Int, String)] = CStructs.using(allocator) { structs =>
    val array = structs.array()
    Data.exportVectorSchemaRoot(allocator, rows, null, array)
    val skipped = Json.read(NativeBridge.feed(handle.get, array.memoryAddress)).elements.asScala
    skipped.map(one => one.get("row").asInt -> one.get("cause").asText).toSeq
  }

  /** Ends writing; trainers can be opened from here on. */
  def seal(): FeedSummary = {
    val summary = Json.read(NativeBridge.sealFeed(handle.get))
    FeedSummary(
      summary.get("rows").asLong, summary.get("validation_rows").asLong, summary.get("bytes").asLong,
      Json.double(summary.get("label_min")), Json.double(summary.get("label_max")), summary.get("label_integral").asBoolean)
  }

  /** Ends joining a group, or training heads of groups, over this feed with a NativeException of kind `cancelled`; from any thread. */
  def cancel(): Unit = {
    val open = handle.get
    if (open != 0) NativeBridge.cancelTrainers(open)
  }

  override def close(): Unit = NativeBridge.close(handle.getAndSet(0))
}

object TrainingFeed {

  /**
   * @param directory
   *   a local folder of this task, with room for all of this worker's rows
   * @param schema
   *   inputs under their own names, `__label` (double, or array of double or float), and where present `__weight` (double),
   *   `__validation` (boolean), `__id` (long), `__slot` (int), `__group` (long)
   */
  def open(directory: Path, schema: StructType, options: FeedOptions, allocator: BufferAllocator): TrainingFeed = {
    NativeLibrary.ensureLoaded()
    val spec = Json.write(Map[String, Any](
        "directory" -> directory.toString, "slots" -> options.slots,
        "dense" -> options.dense.map { case (name, column) => name -> Map[String, Any]("shape" -> column.shape, "dtype" -> column.dtype) },
        "label_range" -> options.labelRange.map { case (low, high) => Seq(low, high) }, "skip_invalid" -> options.skipInvalid,
        "trial" -> options.trial.map(folder =>
          Map[String, Any]("package" -> folder, "inputs" -> options.inputs, "images" -> options.images.map(_.native)))))
    CStructs.using(allocator) { structs =>
      val struct = structs.schema()
      Data.exportSchema(allocator, ArrowAccess.toArrowSchema(schema), null, struct)
      new TrainingFeed(new AtomicLong(NativeBridge.openFeed(spec, struct.memoryAddress)), allocator)
    }
  }
}
