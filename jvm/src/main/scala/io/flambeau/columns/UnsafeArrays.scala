package io.flambeau.columns

import org.apache.spark.sql.catalyst.expressions.UnsafeArrayData
import org.apache.spark.unsafe.Platform

/**
 * Spark's arrays as bytes: eight for the number of elements, a bit for each that is NULL (in words of eight bytes), then the
 * elements, one after another if they are numbers.
 */
private[columns] object UnsafeArrays {

  /** Copies the elements, `width` bytes each. */
  def copyValues(array: UnsafeArrayData, elements: Int, width: Int, address: Long): Unit =
    copy(
      array.getBaseObject, array.getBaseOffset + UnsafeArrayData.calculateHeaderPortionInBytes(elements.toLong), null, address,
      elements.toLong * width)

  /** Copies bytes; a few words at a time cost less than the call that copies many. */
  private def copy(from: AnyRef, fromOffset: Long, to: AnyRef, toOffset: Long, bytes: Long): Unit =
    if (bytes > FewBytes || bytes % 8 != 0) Platform.copyMemory(from, fromOffset, to, toOffset, bytes)
    else {
      var at = 0L
      while (at < bytes) {
        Platform.putLong(to, toOffset + at, Platform.getLong(from, fromOffset + at))
        at += 8
      }
    }

  private val FewBytes = 128L

  def hasNull(array: UnsafeArrayData, elements: Int): Boolean = {
    val words = (elements + 63) / 64
    var any = 0L
    var i = 0
    while (i < words) {
      any |= Platform.getLong(array.getBaseObject, array.getBaseOffset + 8L * (i + 1))
      i += 1
    }
    any != 0
  }

  /** An array without NULLs over `bytes`, of the values at `address`. The bytes must have room (see [[bytesNeeded]]). */
  def fill(array: UnsafeArrayData, bytes: Array[Byte], elements: Int, width: Int, address: Long): Unit = {
    val header = UnsafeArrayData.calculateHeaderPortionInBytes(elements)
    val offset = Platform.BYTE_ARRAY_OFFSET.toLong
    val size = bytesNeeded(elements, width)
    Platform.putLong(bytes, offset, elements.toLong)
    var at = 8
    while (at < header) {
      Platform.putLong(bytes, offset + at, 0L)
      at += 8
    }
    // The last word may not be full; what is behind the values is part of the row's bytes, which are compared and hashed.
    if (size > header) Platform.putLong(bytes, offset + size - 8, 0L)
    copy(null, address, bytes, offset + header, elements.toLong * width)
    array.pointTo(bytes, offset, size)
  }

  def bytesNeeded(elements: Int, width: Int): Int =
    Math.toIntExact(UnsafeArrayData.calculateHeaderPortionInBytes(elements.toLong) + (elements.toLong * width + 7) / 8 * 8)
}
