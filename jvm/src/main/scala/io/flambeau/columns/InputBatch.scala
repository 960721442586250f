package io.flambeau.columns

import java.util.ArrayList

import org.apache.arrow.memory.{ArrowBuf, BufferAllocator}
import org.apache.arrow.vector.{VectorLoader, VectorSchemaRoot}
import org.apache.arrow.vector.ipc.message.{ArrowFieldNode, ArrowRecordBatch}
import org.apache.spark.sql.catalyst.expressions.UnsafeRow
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.vectorized.ColumnVector

import io.flambeau.bridge.Closer
import io.flambeau.spark.ArrowAccess

/**
 * The inputs of one batch, appended row by row or a stretch of a column at a time, then read as Arrow vectors.
 *
 * The vectors of `load` share the buffers that `append` writes, so call `clear` before the next `append`, when the vectors are
 * not used any more. Owns buffers and vectors; the allocator is the caller's. Used by the task's thread.
 *
 * @param schema
 *   types of the columns, as rows store them
 */
private[flambeau] final class InputBatch(schema: StructType, allocator: BufferAllocator) extends AutoCloseable {
  private val releases = new Closer
  private val columns = schema.fields.map(field => releases.own(InputColumn.of(field.dataType, allocator))(_.close()))
  private val root = releases.own(VectorSchemaRoot.create(ArrowAccess.toArrowSchema(schema), allocator))(_.close())
  private val loader = new VectorLoader(root)
  private val isVariable = schema.fields.map(field => !UnsafeRow.isFixedLength(field.dataType))
  private val fixedBytes = UnsafeRow.calculateBitSetWidthInBytes(columns.length) + 8L * columns.length
  private var appended = 0

  /** Rows appended. */
  def rows: Int = appended

  /** Appends a row whose columns are those of `row` at `ordinals`. */
  def append(row: UnsafeRow, ordinals: Array[Int]): Unit = {
    var i = 0
    while (i < columns.length) {
      columns(i).append(row, ordinals(i))
      i += 1
    }
    appended += 1
  }

  /** Appends `count` rows of these columns, the first of them `from`. */
  def append(vectors: Array[ColumnVector], from: Int, count: Int): Unit = {
    columns.indices.foreach(i => columns(i).append(vectors(i), from, count))
    appended += count
  }

  /** Appends rows in which every column is NULL. */
  def appendNulls(count: Int): Unit = {
    columns.foreach(column => (0 until count).foreach(_ => column.appendNull()))
    appended += count
  }

  /** Bytes of a row that holds only the columns of `row` at `ordinals`. */
  def bytesOf(row: UnsafeRow, ordinals: Array[Int]): Long = {
    var bytes = fixedBytes
    var i = 0
    while (i < columns.length) {
      // The word of a variable-length value: its offset, and in the lower half its length.
      if (isVariable(i) && !row.isNullAt(ordinals(i))) bytes += (row.getLong(ordinals(i)).toInt + 7) / 8 * 8
      i += 1
    }
    bytes
  }

  /** Bytes of `count` rows of these columns. */
  def bytesOf(vectors: Array[ColumnVector], from: Int, count: Int): Long = {
    var bytes = 0L
    var i = 0
    while (i < columns.length) {
      bytes += columns(i).bytesOf(vectors(i), from, count)
      i += 1
    }
    bytes
  }

  /** What was appended. */
  def load(): VectorSchemaRoot = {
    val (nodes, buffers) = (new ArrayList[ArrowFieldNode], new ArrayList[ArrowBuf])
    columns.foreach(_.load(nodes, buffers))
    val batch = new ArrowRecordBatch(appended, nodes, buffers)
    try loader.load(batch)
    finally batch.close()
    root
  }

  /** Removes all rows and releases the vectors. */
  def clear(): Unit = {
    root.clear()
    columns.foreach(_.clear())
    appended = 0
  }

  override def close(): Unit = releases.close()
}
