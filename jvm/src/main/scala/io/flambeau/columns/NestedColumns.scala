package io.flambeau.columns

import org.apache.arrow.memory.{ArrowBuf, BufferAllocator}
import org.apache.arrow.vector.complex.ListVector
import org.apache.arrow.vector.ipc.message.ArrowFieldNode
import org.apache.spark.sql.catalyst.expressions.{SpecializedGetters, UnsafeArrayData, UnsafeRow}
import org.apache.spark.sql.execution.vectorized.WritableColumnVector
import org.apache.spark.sql.vectorized.{ArrowColumnVector, ColumnVector}
import org.apache.spark.unsafe.Platform
import org.apache.spark.unsafe.types.UTF8String

/** A column of variable-length values: the values one after another, and the offset of each. */
private[columns] abstract class OffsetColumn(allocator: BufferAllocator) extends InputColumn(allocator) {
  protected val offsets = new GrowingBuffer(allocator)

  /** Bytes or elements so far. */
  private var end = 0L

  /** Ends a value of this length. Arrow's offsets are 32 bits wide. */
  protected final def endAfter(length: Int): Unit = {
    if (offsets.size == 0) offsets.appendInt(0)
    end += length
    offsets.appendInt(Math.toIntExact(end))
  }

  override protected def appendNothing(): Unit = endAfter(0)

  override def load(nodes: java.util.List[ArrowFieldNode], buffers: java.util.List[ArrowBuf]): Unit = {
    super.load(nodes, buffers)
    if (offsets.size == 0) offsets.appendInt(0)
    buffers.add(offsets.toArrow)
  }

  override def clear(): Unit = {
    super.clear()
    offsets.clear()
    end = 0
  }

  override def close(): Unit = {
    super.close()
    offsets.close()
  }
}

/** A column of byte strings or texts. */
private[columns] final class BytesColumn(isText: Boolean, allocator: BufferAllocator) extends OffsetColumn(allocator) {
  private val bytes = new GrowingBuffer(allocator)

  override protected def appendValue(row: SpecializedGetters, ordinal: Int): Unit = add(row match {
    // Points into the row, for bytes as well.
    case unsafe: UnsafeRow => unsafe.getUTF8String(ordinal)
    case unsafe: UnsafeArrayData => unsafe.getUTF8String(ordinal)
    case other if isText => other.getUTF8String(ordinal)
    case other => UTF8String.fromBytes(other.getBinary(ordinal))
  })

  private def add(value: UTF8String): Unit = {
    val length = value.numBytes
    Platform.copyMemory(value.getBaseObject, value.getBaseOffset, null, bytes.append(length.toLong), length.toLong)
    endAfter(length)
  }

  override def bytesOf(column: ColumnVector, from: Int, rows: Int): Long = {
    var sum = 4L * rows
    var i = from
    while (i < from + rows) {
      if (!column.isNullAt(i)) sum += valueOf(column, i).numBytes
      i += 1
    }
    sum
  }

  override protected def appendValues(column: ColumnVector, from: Int, rows: Int): Unit = {
    var i = from
    while (i < from + rows) {
      if (column.isNullAt(i)) appendNothing() else add(valueOf(column, i))
      i += 1
    }
  }

  private def valueOf(column: ColumnVector, row: Int): UTF8String = column match {
    // Points into the vector, or into its dictionary, for bytes as well.
    case writable: WritableColumnVector => writable.getUTF8String(row)
    case other if isText => other.getUTF8String(row)
    case other => UTF8String.fromBytes(other.getBinary(row))
  }

  override def load(nodes: java.util.List[ArrowFieldNode], buffers: java.util.List[ArrowBuf]): Unit = {
    super.load(nodes, buffers)
    buffers.add(bytes.toArrow)
  }

  override def clear(): Unit = {
    super.clear()
    bytes.clear()
  }

  override def close(): Unit = {
    super.close()
    bytes.close()
  }
}

/** A column of arrays. */
private[columns] final class ListColumn(element: InputColumn, allocator: BufferAllocator) extends OffsetColumn(allocator) {

  override protected def appendValue(row: SpecializedGetters, ordinal: Int): Unit = {
    val array = row.getArray(ordinal)
    val elements = array.numElements()
    element.appendElements(array, elements)
    endAfter(elements)
  }

  override protected def appendValues(column: ColumnVector, from: Int, rows: Int): Unit = places(column) match {
    case Some(places) =>
      // Rows usually lie one after another: then all of them are one range of elements.
      var (start, length) = (0, 0)
      var i = from
      while (i < from + rows) {
        if (column.isNullAt(i)) appendNothing()
        else {
          val (first, elements) = (places.start(i), places.length(i))
          if (first != start + length) {
            if (length > 0) element.append(places.elements, start, length)
            start = first
            length = 0
          }
          length += elements
          endAfter(elements)
        }
        i += 1
      }
      if (length > 0) element.append(places.elements, start, length)
    case None =>
      var i = from
      while (i < from + rows) {
        if (column.isNullAt(i)) appendNothing()
        else {
          val array = column.getArray(i)
          element.appendElements(array, array.numElements())
          endAfter(array.numElements())
        }
        i += 1
      }
  }

  override def bytesOf(column: ColumnVector, from: Int, rows: Int): Long = {
    var sum = 4L * rows
    val known = places(column)
    var i = from
    while (i < from + rows) {
      if (!column.isNullAt(i)) {
        sum += (known match {
          case Some(places) => element.bytesOf(places.elements, places.start(i), places.length(i))
          // Other vectors show only the number of elements.
          case None => 8L * column.getArray(i).numElements()
        })
      }
      i += 1
    }
    sum
  }

  /** Where a vector keeps its rows' elements. */
  private def places(column: ColumnVector): Option[ElementPlaces] = column match {
    case writable: WritableColumnVector => Some(new SparkPlaces(writable))
    case arrow: ArrowColumnVector => arrow.getValueVector match {
        case list: ListVector => Some(new ArrowPlaces(list))
        case _ => None
      }
    case _ => None
  }

  override def load(nodes: java.util.List[ArrowFieldNode], buffers: java.util.List[ArrowBuf]): Unit = {
    super.load(nodes, buffers)
    element.load(nodes, buffers)
  }

  override def clear(): Unit = {
    super.clear()
    element.clear()
  }

  override def close(): Unit = {
    super.close()
    element.close()
  }
}

/** The elements of a vector of arrays, and the offset of each row's first element. */
private sealed abstract class ElementPlaces {
  def elements: ColumnVector
  def start(row: Int): Int
  def length(row: Int): Int
}

private final class SparkPlaces(vector: WritableColumnVector) extends ElementPlaces {
  override val elements: ColumnVector = vector.getChild(0)
  override def start(row: Int): Int = vector.getArrayOffset(row)
  override def length(row: Int): Int = vector.getArrayLength(row)
}

private final class ArrowPlaces(vector: ListVector) extends ElementPlaces {
  override val elements: ColumnVector = new ArrowColumnVector(vector.getDataVector)
  override def start(row: Int): Int = vector.getElementStartIndex(row)
  override def length(row: Int): Int = vector.getElementEndIndex(row) - vector.getElementStartIndex(row)
}

/** A column of structs: Spark's images. */
private[columns] final class StructColumn(fields: Array[InputColumn], allocator: BufferAllocator) extends InputColumn(allocator) {

  override protected def appendValue(row: SpecializedGetters, ordinal: Int): Unit = {
    val struct = row.getStruct(ordinal, fields.length)
    fields.indices.foreach(i => fields(i).append(struct, i))
  }

  override protected def appendNothing(): Unit = fields.foreach(_.appendNull())

  override protected def appendValues(column: ColumnVector, from: Int, rows: Int): Unit =
    fields.indices.foreach(i => fields(i).append(column.getChild(i), from, rows))

  override def bytesOf(column: ColumnVector, from: Int, rows: Int): Long =
    fields.indices.map(i => fields(i).bytesOf(column.getChild(i), from, rows)).sum

  override def load(nodes: java.util.List[ArrowFieldNode], buffers: java.util.List[ArrowBuf]): Unit = {
    super.load(nodes, buffers)
    fields.foreach(_.load(nodes, buffers))
  }

  override def clear(): Unit = {
    super.clear()
    fields.foreach(_.clear())
  }

  override def close(): Unit = {
    super.close()
    fields.foreach(_.close())
  }
}
