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
import io.flambeau.bridge.{ArrowAccess, NativeException, TrainingFeed}

/**
 * One worker's rows on their way into its feed: checked, counted and written batch by batch, all on the task's thread.
 *
 * It owns the vectors of the batch being written; the feed belongs to the caller. At most one batch is in memory.
 *
 * @param rows
 *   this worker's, in any order
 * @param classes
 *   whether labels are classes, which are counted and must be 0, 1, …
 */
private[train] final class RowFeeder(
    task: TaskContext, owner: String, spec: FeedSpec, classes: Boolean, rows: Iterator[InternalRow], allocator: BufferAllocator)
    extends AutoCloseable {

  private val label = spec.index(FeedColumns.Label).getOrElse(throw new IllegalStateException("a feed has labels"))
  private val weight = spec.index(FeedColumns.Weight)
  private val validation = spec.index(FeedColumns.Validation)
  private val id = spec.index(FeedColumns.Id).getOrElse(throw new IllegalStateException("a feed has ids"))
  private val vectorLabel = spec.schema(label).dataType.isInstanceOf[ArrayType]
  private val learned = spec.inputs.find(name => spec.shapes.get(name).exists(_.contains(0)))

  private val root = VectorSchemaRoot.create(ArrowAccess.toArrowSchema(spec.schema), allocator)
  private val writer = ArrowWriter.create(root)
  private val ids = mutable.ArrayBuffer.empty[Long]
  private var first: Option[InternalRow] = None
  private var bytes = 0L
  private var trainingRows = 0L
  private var validationRows = 0L
  private var skipped = 0L
  private val counts = mutable.Map.empty[Int, ClassCount]

  /** Reads up to the first whole row, which tells how many features a row has. */
  def begin(): Facts = {
    first = Option.when(advance())(current)
    Facts.none.copy(features = declared.getOrElse(first.fold(0)(width)))
  }

  /** Whether there is no whole row; after `begin`. */
  def isEmpty: Boolean = first.isEmpty

  /** Writes all rows into the feed. `begin` comes before. */
  def feedAll(feed: TrainingFeed): Facts = {
    first.foreach(write(_, feed))
    while (first.isDefined && advance()) write(current, feed)
    flush(feed)
    val targets = if (!vectorLabel) 1 else labelWidth
    Facts(0, targets, trainingRows, validationRows, skipped, counts.toMap, None)
  }

  /** A feed for these rows. */
  def open(directory: Path, features: Int): TrainingFeed =
    TrainingFeed.open(directory, spec.schema, spec.slots, spec.shapes.map { case (name, shape) =>
      name -> (if (learned.contains(name)) Seq(features) else shape)
    }, allocator)

  override def close(): Unit = root.close()

  private var current: InternalRow = _
  private var labelWidth = 0

  /** Moves to the next row that has all its values; false at the end. */
  private def advance(): Boolean = {
    var found = false
    while (!found && rows.hasNext) {
      current = rows.next()
      (0 until current.numFields).find(current.isNullAt) match {
        case None => found = true
        case Some(_) if spec.skipInvalid => skipped += 1
        case Some(column) =>
          val what = spec.schema(column).name match {
            case FeedColumns.Label => "the label is NULL"
            case FeedColumns.Weight => "the weight is NULL"
            case FeedColumns.Validation => "the validation indicator is NULL"
            case FeedColumns.Group => "the group is NULL"
            case input => s"its input '$input' is NULL or cannot be read"
          }
          refuse(if (current.isNullAt(id)) -1 else current.getLong(id), what, "Set handleInvalid to skip, or filter such rows out.")
      }
    }
    found
  }

  private def write(row: InternalRow, feed: TrainingFeed): Unit = {
    count(row)
    writer.write(row)
    ids += row.getLong(id)
    bytes += (row match { case unsafe: UnsafeRow => unsafe.getSizeInBytes.toLong; case _ => RowFeeder.GuessedRowBytes })
    if (ids.length >= RowFeeder.BatchRows || bytes >= RowFeeder.BatchBytes) flush(feed)
  }

  private def count(row: InternalRow): Unit = {
    val forValidation = validation.exists(row.getBoolean)
    val rowWeight = weight.fold(1.0)(row.getDouble)
    if (!(rowWeight >= 0) || rowWeight.isInfinite) refuse(row.getLong(id), s"the weight is $rowWeight", "Weights are numbers from 0 on.")
    if (forValidation) validationRows += 1 else trainingRows += 1
    if (vectorLabel) labelWidth = math.max(labelWidth, row.getArray(label).numElements())
    else {
      val value = row.getDouble(label)
      if (value.isNaN || value.isInfinite) refuse(row.getLong(id), s"the label is $value", "Filter such rows out.")
      if (classes) {
        if (value < 0 || value != math.rint(value) || value > FeedColumns.LargestClass) {
          refuse(row.getLong(id), s"the label is $value", "Labels of classes are 0, 1, 2, …: StringIndexer makes such.")
        }
        val one = if (forValidation) ClassCount(0, 0.0) else ClassCount(1, rowWeight)
        counts.updateWith(value.toInt)(before => Some(before.fold(one)(_ + one)))
      }
    }
  }

  private def flush(feed: TrainingFeed): Unit = if (ids.nonEmpty) {
    SparkAccess.stopIfKilled(task)
    writer.finish()
    try feed.add(root)
    catch {
      case cause: NativeException if cause.kind == "bad_input" && cause.row >= 0 =>
        refuse(ids(cause.row.toInt), cause.getMessage, "Repair the row, or filter it out.")
    }
    writer.reset()
    ids.clear()
    bytes = 0
  }

  /** Numbers in a row's features, where that is known without a row. */
  private def declared: Option[Int] = spec.inputs.headOption.flatMap(spec.shapes.get).filterNot(_.contains(0)).map(_.product)

  private def width(row: InternalRow): Int = learned.flatMap(spec.index).fold(0)(row.getArray(_).numElements())

  private def refuse(rowId: Long, what: String, advice: String): Nothing = {
    val position = rowId & ((1L << FeedColumns.PositionBits) - 1)
    val partition = rowId >>> FeedColumns.PositionBits
    throw new FlambeauException(
      "FLAMBEAU_BAD_INPUT", s"$owner: row $position of partition $partition cannot be trained on: $what. $advice",
      Map("model" -> owner, "cause" -> what, "row" -> position.toString, "partition" -> partition.toString), null)
  }
}

private[train] object RowFeeder {
  private val BatchRows = 1024
  private val BatchBytes = 16L << 20
  private val GuessedRowBytes = 1024L
}
