package io.flambeau.train

import java.nio.file.Path

import scala.collection.mutable

import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.VectorSchemaRoot
import org.apache.spark.TaskContext
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.UnsafeRow
import org.apache.spark.sql.execution.arrow.ArrowWriter
import org.apache.spark.sql.types.ArrayType

import io.flambeau.FlambeauException
import io.flambeau.bridge.spec.{DenseColumn, DatasetSpec, TrialSpec}
import io.flambeau.bridge.{ErrorKind, NativeException, TrainingDataset}
import io.flambeau.models.ModelStore
import io.flambeau.spark.{ArrowAccess, SparkAccess}

/**
 * One worker's rows on their way into its dataset: checked, counted and written batch by batch, all on the task's thread.
 *
 * Some rows cannot be trained on: NULL, NaN or infinite, another length than the others, an impossible label, bytes that do not
 * decode. Such a row fails the fit with its partition and position, or is left out and counted. This class checks NULL, labels
 * and lengths; the native side checks the content when it makes tensors.
 *
 * It owns the vectors of the batch being written; the dataset belongs to the caller. At most one batch is in memory.
 *
 * @param rows
 *   this worker's, in any order
 * @param learning
 *   whether labels are classes, which are counted and must be 0, 1, …
 */
private[train] final class DatasetWriter(
    task: TaskContext, owner: String, spec: DatasetPlan, learning: LearningTask, rows: Iterator[InternalRow], allocator: BufferAllocator)
    extends AutoCloseable {

  private val label = spec.index(DatasetColumns.Label).getOrElse(throw new IllegalStateException("a dataset has labels"))
  private val weight = spec.index(DatasetColumns.Weight)
  private val validation = spec.index(DatasetColumns.Validation)
  private val id = spec.index(DatasetColumns.Id).getOrElse(throw new IllegalStateException("a dataset has ids"))
  private val arrayLabel = spec.schema(label).dataType.isInstanceOf[ArrayType]
  // Columns whose rows' length is learned from the rows.
  private val learned = spec.dense.collect { case (name, column) if column.shape.contains(0) => name }.toSet
  private val features = spec.inputs.find(learned).flatMap(spec.index)
  private val declaredClasses = learning match {
    case LearningTask.Classification(declared, _, _) => declared
    case LearningTask.Regression => None
  }

  private val root = VectorSchemaRoot.create(ArrowAccess.toArrowSchema(spec.schema), allocator)
  private val writer = ArrowWriter.create(root)
  private val first = mutable.Queue.empty[InternalRow]
  private val pending = mutable.ArrayBuffer.empty[Counted]
  private var bytes = 0L
  private var trainingRows = 0L
  private var validationRows = 0L
  private var skipped = 0L
  private var firstSkipped: Option[String] = None
  private val counts = mutable.Map.empty[Int, ClassCount]

  /** Reads the first rows, which show how many features a row has. */
  def begin(): DatasetStats = {
    val wanted = if (learned.isEmpty) 1 else DatasetWriter.FirstRows
    var kept = 0L
    while (first.length < wanted && kept < DatasetWriter.BatchBytes && advance()) {
      first.enqueue(current.copy())
      kept += DatasetWriter.bytesOf(current)
    }
    val ofFeatures = declared.map(Sizes.of).getOrElse(first.flatMap(row => features.map(lengthOf(row, _))).foldLeft(Sizes.none)(_ + Sizes.of(_)))
    val ofLabels =
      if (!arrayLabel) Sizes.of(1)
      else declaredLabel.map(Sizes.of).getOrElse(first.map(lengthOf(_, label)).foldLeft(Sizes.none)(_ + Sizes.of(_)))
    DatasetStats.none.copy(featureSizes = ofFeatures, targetSizes = ofLabels)
  }

  /** Whether there is no complete row; after `begin`. */
  def isEmpty: Boolean = first.isEmpty

  /** Writes all rows into the dataset. Call `begin` first. */
  def writeAll(dataset: TrainingDataset): DatasetStats = {
    if (first.nonEmpty) {
      while (first.nonEmpty) write(first.dequeue(), dataset)
      while (advance()) write(current, dataset)
    }
    flush(dataset)
    DatasetStats(Sizes.none, Sizes.none, trainingRows, validationRows, skipped, counts.toMap, None, firstSkipped)
  }

  /** A dataset for these rows; arrays have the most frequent length over all workers. */
  def open(directory: Path, agreed: DatasetStats): TrainingDataset = {
    def shape(name: String, column: DenseColumn) =
      if (!learned(name)) column
      else column.copy(shape = Seq(math.max(if (name == DatasetColumns.Label) agreed.targets else agreed.features, 1)))
    val dense = spec.dense.map { case (name, column) => name -> shape(name, column) }
    val trial = spec.reader.filter(_ => spec.skipInvalid).map(ref => TrialSpec(ModelStore.localDirectory(ref), spec.inputs ++ spec.pairInputs, spec.images))
    TrainingDataset.open(DatasetSpec(directory.toString, spec.shards, dense, spec.labelRange, spec.skipInvalid, trial), spec.schema, allocator)
  }

  override def close(): Unit = root.close()

  private var current: InternalRow = _

  /** Moves to the next row that has all its values and a label that can be learned; false at the end. */
  private def advance(): Boolean = {
    var found = false
    while (!found && rows.hasNext) {
      current = rows.next()
      found = faultOf(current).forall { case (what, advice) =>
        bad(if (current.isNullAt(id)) -1 else current.getLong(id), what, advice)
        false
      }
    }
    found
  }

  /** The error of a row that is visible without its content, with advice. */
  private def faultOf(row: InternalRow): Option[(String, String)] =
    spec.schema.indices.find(row.isNullAt).map { column =>
      val what = spec.schema(column).name match {
        case DatasetColumns.Label => "the label is NULL"
        case DatasetColumns.Weight => "the weight is NULL"
        case DatasetColumns.Validation => "the validation indicator is NULL"
        case DatasetColumns.Group => "the group is NULL"
        case input => s"its input '$input' is NULL or cannot be read"
      }
      (what, DatasetWriter.Skip)
    }.orElse {
      val own = weight.fold(1.0)(row.getDouble)
      if (own >= 0 && !own.isInfinite) None else Some((s"the weight is $own", "Weights must be at least 0."))
    }.orElse(if (arrayLabel) None else labelFault(row.getDouble(label)))

  private def labelFault(value: Double): Option[(String, String)] =
    if (value.isNaN || value.isInfinite) Some((s"the label is $value", DatasetWriter.Skip))
    else if (learning == LearningTask.Regression) None
    else {
      val largest = declaredClasses.fold(DatasetColumns.LargestClass)(_ - 1.0)
      if (value < 0 || value != math.rint(value)) Some((s"the label is $value", "Labels of classes are 0, 1, 2, …: use StringIndexer."))
      else if (value > largest) Some((s"the label is ${value.toLong}, but the largest label is ${largest.toLong}",
          declaredClasses.fold("Labels of classes are 0, 1, 2, …: use StringIndexer.")(n =>
            s"There are $n classes, according to the column's metadata or the program.")))
      else None
    }

  private def write(row: InternalRow, dataset: TrainingDataset): Unit = {
    writer.write(row)
    pending += new Counted(
      row.getLong(id), if (arrayLabel || learning == LearningTask.Regression) 0 else row.getDouble(label).toInt, weight.fold(1.0)(row.getDouble),
      validation.exists(row.getBoolean))
    bytes += DatasetWriter.bytesOf(row)
    if (pending.length >= DatasetWriter.BatchRows || bytes >= DatasetWriter.BatchBytes) flush(dataset)
  }

  private def flush(dataset: TrainingDataset): Unit = if (pending.nonEmpty) {
    SparkAccess.stopIfKilled(task)
    writer.finish()
    val out =
      try dataset.add(root).toMap
      catch {
        case cause: NativeException if cause.kind == ErrorKind.BadInput && cause.row >= 0 =>
          refuse(pending(cause.row.toInt).id, cause.getMessage, DatasetWriter.Skip)
      }
    pending.iterator.zipWithIndex.foreach { case (row, place) =>
      out.get(place) match {
        case Some(cause) => bad(row.id, cause, "")
        case None => count(row)
      }
    }
    writer.reset()
    pending.clear()
    bytes = 0
  }

  private def count(row: Counted): Unit = {
    if (row.forValidation) validationRows += 1 else trainingRows += 1
    if (learning != LearningTask.Regression) {
      val one = if (row.forValidation) ClassCount(0, 0.0) else ClassCount(1, row.weight)
      counts(row.label) = counts.get(row.label).fold(one)(_ + one)
    }
  }

  /** Numbers in a row's features, if that is known without a row. */
  private def declared: Option[Int] = spec.inputs.headOption.flatMap(spec.dense.get).map(_.shape).filterNot(_.contains(0)).map(_.product)

  private def declaredLabel: Option[Int] = spec.dense.get(DatasetColumns.Label).map(_.shape).filterNot(_.contains(0)).map(_.product)

  private def lengthOf(row: InternalRow, column: Int): Int = row.getArray(column).numElements()

  /** Leaves a row out, or fails. */
  private def bad(rowId: Long, what: String, advice: String): Unit = if (spec.skipInvalid) {
    skipped += 1
    if (firstSkipped.isEmpty) firstSkipped = Some(s"${DatasetWriter.placeOf(rowId)}: $what")
  } else refuse(rowId, what, advice)

  private def refuse(rowId: Long, what: String, advice: String): Nothing = throw DatasetWriter.refusal(owner, rowId, what, advice)

  /** A row of the batch being written. */
  private final class Counted(val id: Long, val label: Int, val weight: Double, val forValidation: Boolean)
}

private[train] object DatasetWriter {
  private val BatchRows = 1024
  private val BatchBytes = 16L << 20
  private val GuessedRowBytes = 1024L

  /** Number of rows whose array lengths are read. */
  private val FirstRows = 100

  private val Skip = "Set handleInvalid to skip, or filter such rows out."

  private def bytesOf(row: InternalRow): Long = row match {
    case unsafe: UnsafeRow => unsafe.getSizeInBytes.toLong
    case _ => GuessedRowBytes
  }

  /** Where a row is in the dataset. */
  private def placeOf(rowId: Long): String = s"row ${position(rowId)} of partition ${partition(rowId)}"

  /** A failure that one row caused. */
  def refusal(owner: String, rowId: Long, what: String, advice: String): FlambeauException = new FlambeauException(
    "FLAMBEAU_BAD_INPUT", s"$owner: ${placeOf(rowId)} cannot be trained on: $what. ${if (advice.isEmpty) Skip else advice}",
    Map("model" -> owner, "cause" -> what, "row" -> position(rowId).toString, "partition" -> partition(rowId).toString), null)

  private def position(rowId: Long) = rowId & ((1L << DatasetColumns.PositionBits) - 1)
  private def partition(rowId: Long) = rowId >>> DatasetColumns.PositionBits
}
