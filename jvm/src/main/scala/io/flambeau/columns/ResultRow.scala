package io.flambeau.columns

import org.apache.arrow.vector.BaseFixedWidthVector
import org.apache.arrow.vector.complex.ListVector
import org.apache.spark.sql.catalyst.expressions.{BaseGenericInternalRow, UnsafeArrayData}
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.{ArrowColumnVector, ColumnarBatch, ColumnVector}
import org.apache.spark.unsafe.Platform

/**
 * One row of a result batch. Arrays of numbers, at any depth of structs, come as [[UnsafeArrayData]], which Spark's generated code
 * copies into a row at once; it reads any other array number by number.
 *
 * The value that a getter returned is overwritten when the same column of another row is read. Used by the task's thread.
 */
private[flambeau] final class ResultRow(columns: Array[ColumnVector]) extends BaseGenericInternalRow {
  private val values = columns.map(ResultValue.of)
  private var at = 0

  /** This row, pointing at row `index` of the batch. */
  def pointTo(index: Int): ResultRow = {
    at = index
    this
  }

  override def numFields: Int = columns.length

  override def isNullAt(ordinal: Int): Boolean = columns(ordinal).isNullAt(at)

  override protected def genericGet(ordinal: Int): Any = if (isNullAt(ordinal)) null else values(ordinal).get(at)

  override def setNullAt(ordinal: Int): Unit = throw new UnsupportedOperationException("results are read only")

  override def update(ordinal: Int, value: Any): Unit = throw new UnsupportedOperationException("results are read only")
}

private[flambeau] object ResultRow {
  def of(batch: ColumnarBatch): ResultRow = new ResultRow(Array.tabulate(batch.numCols)(batch.column))
}

/** A column, read value by value. */
private abstract class ResultValue {

  /** The value of a row; it must not be NULL. */
  def get(row: Int): Any
}

private object ResultValue {
  def of(column: ColumnVector): ResultValue = (column, column.dataType) match {
    case (arrow: ArrowColumnVector, ArrayType(_: ByteType | _: ShortType | _: IntegerType | _: LongType | _: FloatType | _: DoubleType, _)) =>
      (arrow.getValueVector: Any) match {
        case list: ListVector => numbers(list).getOrElse(new AnyValue(column))
        case _ => new AnyValue(column)
      }
    case (_, StructType(fields)) => new StructValue(Array.tabulate(fields.length)(column.getChild))
    case _ => new AnyValue(column)
  }

  /** Only if no number is NULL. */
  private def numbers(list: ListVector): Option[ResultValue] = list.getDataVector match {
    case elements: BaseFixedWidthVector if elements.getNullCount == 0 => Some(new NumbersValue(list, elements))
    case _ => None
  }
}

private final class NumbersValue(list: ListVector, elements: BaseFixedWidthVector) extends ResultValue {
  private val width = elements.getTypeWidth
  private val start = if (elements.getValueCount == 0) 0L else elements.getDataBuffer.memoryAddress
  // Read without Arrow's checks, once a row: the vector does not change while it is read.
  private val offsets = list.getOffsetBuffer.memoryAddress
  private val array = new UnsafeArrayData
  private var bytes = Array.emptyByteArray

  override def get(row: Int): Any = {
    val first = Platform.getInt(null, offsets + 4L * row)
    val count = Platform.getInt(null, offsets + 4L * (row + 1)) - first
    val needed = UnsafeArrays.bytesNeeded(count, width)
    if (bytes.length < needed) bytes = new Array[Byte](needed)
    UnsafeArrays.fill(array, bytes, count, width, start + first.toLong * width)
    array
  }
}

private final class StructValue(fields: Array[ColumnVector]) extends ResultValue {
  private val row = new ResultRow(fields)
  override def get(at: Int): Any = row.pointTo(at)
}

private final class AnyValue(column: ColumnVector) extends ResultValue {
  private val batch = new ColumnarBatch(Array(column), Int.MaxValue)
  override def get(row: Int): Any = batch.getRow(row).get(0, column.dataType)
}
