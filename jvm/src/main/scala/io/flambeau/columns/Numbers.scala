package io.flambeau.columns

import org.apache.arrow.memory.{ArrowBuf, BufferAllocator}
import org.apache.arrow.vector.BaseFixedWidthVector
import org.apache.arrow.vector.ipc.message.ArrowFieldNode
import org.apache.spark.sql.catalyst.expressions.{SpecializedGetters, UnsafeArrayData}
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.{ArrowColumnVector, ColumnVector}
import org.apache.spark.unsafe.Platform

/**
 * How numbers of one type are read.
 *
 * @param width
 *   bytes of one
 */
private[columns] sealed abstract class Numbers(val width: Int) {

  /** Copies the value at `ordinal` to `address`. */
  def copy(row: SpecializedGetters, ordinal: Int, address: Long): Unit

  /** Copies `count` values of a column; values at NULLs are arbitrary. A dictionary-encoded vector is decoded here. */
  def copy(column: ColumnVector, from: Int, count: Int, address: Long): Unit
}

private[columns] object Numbers {

  def of(dataType: DataType): Numbers = dataType match {
    case ByteType => Bytes
    case ShortType => Shorts
    case IntegerType => Ints
    case LongType => Longs
    case FloatType => Floats
    case DoubleType => Doubles
    case other => throw new IllegalArgumentException(s"no column of a model's input holds ${other.sql}")
  }

  object Bytes extends Numbers(1) {
    override def copy(row: SpecializedGetters, ordinal: Int, address: Long): Unit = Platform.putByte(null, address, row.getByte(ordinal))
    override def copy(column: ColumnVector, from: Int, count: Int, address: Long): Unit =
      Platform.copyMemory(column.getBytes(from, count), Platform.BYTE_ARRAY_OFFSET.toLong, null, address, count.toLong)
  }

  object Shorts extends Numbers(2) {
    override def copy(row: SpecializedGetters, ordinal: Int, address: Long): Unit = Platform.putShort(null, address, row.getShort(ordinal))
    override def copy(column: ColumnVector, from: Int, count: Int, address: Long): Unit =
      Platform.copyMemory(column.getShorts(from, count), Platform.SHORT_ARRAY_OFFSET.toLong, null, address, 2L * count)
  }

  object Ints extends Numbers(4) {
    override def copy(row: SpecializedGetters, ordinal: Int, address: Long): Unit = Platform.putInt(null, address, row.getInt(ordinal))
    override def copy(column: ColumnVector, from: Int, count: Int, address: Long): Unit =
      Platform.copyMemory(column.getInts(from, count), Platform.INT_ARRAY_OFFSET.toLong, null, address, 4L * count)
  }

  object Longs extends Numbers(8) {
    override def copy(row: SpecializedGetters, ordinal: Int, address: Long): Unit = Platform.putLong(null, address, row.getLong(ordinal))
    override def copy(column: ColumnVector, from: Int, count: Int, address: Long): Unit =
      Platform.copyMemory(column.getLongs(from, count), Platform.LONG_ARRAY_OFFSET.toLong, null, address, 8L * count)
  }

  object Floats extends Numbers(4) {
    override def copy(row: SpecializedGetters, ordinal: Int, address: Long): Unit = Platform.putFloat(null, address, row.getFloat(ordinal))
    override def copy(column: ColumnVector, from: Int, count: Int, address: Long): Unit =
      Platform.copyMemory(column.getFloats(from, count), Platform.FLOAT_ARRAY_OFFSET.toLong, null, address, 4L * count)
  }

  object Doubles extends Numbers(8) {
    override def copy(row: SpecializedGetters, ordinal: Int, address: Long): Unit = Platform.putDouble(null, address, row.getDouble(ordinal))
    override def copy(column: ColumnVector, from: Int, count: Int, address: Long): Unit =
      Platform.copyMemory(column.getDoubles(from, count), Platform.DOUBLE_ARRAY_OFFSET.toLong, null, address, 8L * count)
  }
}

/** A column of numbers. */
private[columns] final class NumberColumn(numbers: Numbers, allocator: BufferAllocator) extends InputColumn(allocator) {
  private val width = numbers.width
  private val values = new GrowingBuffer(allocator)

  override protected def appendValue(row: SpecializedGetters, ordinal: Int): Unit = numbers.copy(row, ordinal, values.append(width.toLong))

  override protected def appendNothing(): Unit = Platform.setMemory(values.append(width.toLong), 0, width.toLong)

  override def appendElements(array: SpecializedGetters, elements: Int): Unit = array match {
    case unsafe: UnsafeArrayData => appendUnsafe(unsafe, elements)
    case other => super.appendElements(other, elements)
  }

  private def appendUnsafe(array: UnsafeArrayData, elements: Int): Unit = {
    UnsafeArrays.copyValues(array, elements, width, values.append(elements.toLong * width))
    if (UnsafeArrays.hasNull(array, elements)) (0 until elements).foreach(i => if (array.isNullAt(i)) markAbsent(i))
    count += elements
  }

  override def bytesOf(column: ColumnVector, from: Int, rows: Int): Long = rows.toLong * width

  override protected def appendValues(column: ColumnVector, from: Int, rows: Int): Unit = column match {
    case arrow: ArrowColumnVector =>
      val source = arrow.getValueVector.asInstanceOf[BaseFixedWidthVector].getDataBuffer.memoryAddress + from.toLong * width
      val bytes = rows.toLong * width
      Platform.copyMemory(null, source, null, values.append(bytes), bytes)
    case other =>
      var done = 0
      while (done < rows) {
        val part = math.min(rows - done, NumberColumn.PartRows)
        numbers.copy(other, from + done, part, values.append(part.toLong * width))
        done += part
      }
  }

  override def load(nodes: java.util.List[ArrowFieldNode], buffers: java.util.List[ArrowBuf]): Unit = {
    super.load(nodes, buffers)
    buffers.add(values.toArrow)
  }

  override def clear(): Unit = {
    super.clear()
    values.clear()
  }

  override def close(): Unit = {
    super.close()
    values.close()
  }
}

private[columns] object NumberColumn {

  /** Spark's vectors return their values in an array; one of this size stays in a core's cache. */
  private val PartRows = 4096
}

/** A column of booleans: one byte each while it grows, as in Spark; they become bits at the end. */
private[columns] final class BooleanColumn(allocator: BufferAllocator) extends InputColumn(allocator) {
  private val values = new GrowingBuffer(allocator)
  private val bits = new GrowingBuffer(allocator)

  override protected def appendValue(row: SpecializedGetters, ordinal: Int): Unit =
    Platform.putBoolean(null, values.append(1), row.getBoolean(ordinal))

  override protected def appendNothing(): Unit = Platform.putBoolean(null, values.append(1), false)

  override def bytesOf(column: ColumnVector, from: Int, rows: Int): Long = rows.toLong

  override protected def appendValues(column: ColumnVector, from: Int, rows: Int): Unit = {
    val address = values.append(rows.toLong)
    var i = 0
    while (i < rows) {
      Platform.putBoolean(null, address + i, !column.isNullAt(from + i) && column.getBoolean(from + i))
      i += 1
    }
  }

  override def load(nodes: java.util.List[ArrowFieldNode], buffers: java.util.List[ArrowBuf]): Unit = {
    super.load(nodes, buffers)
    buffers.add(packed())
  }

  private def packed(): ArrowBuf = {
    bits.clear()
    val bytes = (count + 7) / 8
    val address = bits.append(bytes.toLong)
    Platform.setMemory(address, 0, bytes.toLong)
    (0 until count).foreach { i =>
      if (Platform.getBoolean(null, values.start + i)) {
        val place = address + i / 8
        Platform.putByte(null, place, (Platform.getByte(null, place) | (1 << (i % 8))).toByte)
      }
    }
    bits.toArrow
  }

  override def clear(): Unit = {
    super.clear()
    values.clear()
  }

  override def close(): Unit = {
    super.close()
    values.close()
    bits.close()
  }
}
