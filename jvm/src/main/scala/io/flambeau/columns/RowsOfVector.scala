package io.flambeau.columns

import org.apache.spark.sql.types.Decimal
import org.apache.spark.sql.vectorized.{ColumnarArray, ColumnarMap, ColumnVector}
import org.apache.spark.unsafe.types.UTF8String

/**
 * The rows of `column` from `first` on: a column that passes through next to the results of a part of a batch. It does not own
 * the column, so closing it frees nothing.
 */
private[flambeau] final class RowsOfVector(column: ColumnVector, first: Int) extends ColumnVector(column.dataType) {
  override def close(): Unit = ()
  override def hasNull: Boolean = column.hasNull
  // This counts the whole column, so it is an upper limit; Spark only checks whether it is 0.
  override def numNulls: Int = column.numNulls
  override def isNullAt(row: Int): Boolean = column.isNullAt(first + row)
  override def getBoolean(row: Int): Boolean = column.getBoolean(first + row)
  override def getByte(row: Int): Byte = column.getByte(first + row)
  override def getShort(row: Int): Short = column.getShort(first + row)
  override def getInt(row: Int): Int = column.getInt(first + row)
  override def getLong(row: Int): Long = column.getLong(first + row)
  override def getFloat(row: Int): Float = column.getFloat(first + row)
  override def getDouble(row: Int): Double = column.getDouble(first + row)
  override def getArray(row: Int): ColumnarArray = column.getArray(first + row)
  override def getMap(row: Int): ColumnarMap = column.getMap(first + row)
  override def getDecimal(row: Int, precision: Int, scale: Int): Decimal = column.getDecimal(first + row, precision, scale)
  override def getUTF8String(row: Int): UTF8String = column.getUTF8String(first + row)
  override def getBinary(row: Int): Array[Byte] = column.getBinary(first + row)
  // The fields of a struct go by the struct's rows.
  override def getChild(ordinal: Int): ColumnVector = new RowsOfVector(column.getChild(ordinal), first)
}
