package io.flambeau.columns

import scala.collection.mutable.ArrayBuffer

import org.apache.arrow.memory.{ArrowBuf, BufferAllocator}
import org.apache.arrow.vector.ipc.message.ArrowFieldNode
import org.apache.spark.sql.catalyst.expressions.SpecializedGetters
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.ColumnVector
import org.apache.spark.unsafe.Platform

/**
 * One column of a batch on its way into Arrow: values are appended from Spark's rows or columns and stored in Arrow's layout.
 * Everything is copied, since Spark overwrites its rows and vectors.
 *
 * Numbers lie in an [[UnsafeArrayData]] and in Spark's vectors as they do in Arrow, so lists of them are copied at once,
 * rows one after another. NULLs are kept as a list of positions: most columns have none.
 *
 * Owns its buffers. Used by the task's thread.
 */
private[columns] abstract class InputColumn(allocator: BufferAllocator) extends AutoCloseable {
  private val validity = new GrowingBuffer(allocator)
  private val absent = ArrayBuffer.empty[Int]

  /** Values appended, NULLs among them. */
  protected var count = 0

  /** Appends the value at `ordinal`. */
  final def append(row: SpecializedGetters, ordinal: Int): Unit =
    if (row.isNullAt(ordinal)) appendNull()
    else {
      appendValue(row, ordinal)
      count += 1
    }

  final def appendNull(): Unit = {
    appendNothing()
    absent += count
    count += 1
  }

  /** Appends all elements of an array. */
  def appendElements(array: SpecializedGetters, elements: Int): Unit = {
    var i = 0
    while (i < elements) {
      append(array, i)
      i += 1
    }
  }

  /** Appends `rows` rows of a column, the first of them `from`. */
  final def append(column: ColumnVector, from: Int, rows: Int): Unit = {
    appendValues(column, from, rows)
    if (column.hasNull) {
      var i = 0
      while (i < rows) {
        if (column.isNullAt(from + i)) absent += count + i
        i += 1
      }
    }
    count += rows
  }

  /** Bytes that these rows of a column take here. */
  def bytesOf(column: ColumnVector, from: Int, rows: Int): Long

  /** A value that is not NULL. */
  protected def appendValue(row: SpecializedGetters, ordinal: Int): Unit

  /** Appends the placeholder of a NULL. */
  protected def appendNothing(): Unit

  /** NULLs are counted too. */
  protected def appendValues(column: ColumnVector, from: Int, rows: Int): Unit

  /** Marks `count + position`. */
  protected final def markAbsent(position: Int): Unit = absent += count + position

  /** Adds this column's parts, depth first, as Arrow's loader expects them. */
  def load(nodes: java.util.List[ArrowFieldNode], buffers: java.util.List[ArrowBuf]): Unit = {
    nodes.add(new ArrowFieldNode(count.toLong, absent.length.toLong))
    buffers.add(if (absent.isEmpty) allocator.getEmpty else validityBits())
  }

  private def validityBits(): ArrowBuf = {
    validity.clear()
    val bytes = (count + 7) / 8
    val address = validity.append(bytes.toLong)
    Platform.setMemory(address, 0xff.toByte, bytes.toLong)
    absent.foreach { position =>
      val place = address + position / 8
      Platform.putByte(null, place, (Platform.getByte(null, place) & ~(1 << (position % 8))).toByte)
    }
    validity.toArrow
  }

  /** Forgets all values. */
  def clear(): Unit = {
    count = 0
    absent.clear()
  }

  override def close(): Unit = validity.close()
}

private[columns] object InputColumn {

  /** For values of this type, as rows store it: numbers, booleans, bytes, text; arrays and structs of them. */
  def of(dataType: DataType, allocator: BufferAllocator): InputColumn = dataType match {
    case BooleanType => new BooleanColumn(allocator)
    case BinaryType => new BytesColumn(isText = false, allocator)
    case _: StringType => new BytesColumn(isText = true, allocator)
    case ArrayType(element, _) => new ListColumn(of(element, allocator), allocator)
    case StructType(fields) => new StructColumn(fields.map(field => of(field.dataType, allocator)), allocator)
    case number => new NumberColumn(Numbers.of(number), allocator)
  }
}
