package io.flambeau.columns

import scala.collection.mutable.ArrayBuffer

import org.apache.spark.sql.catalyst.expressions.UnsafeRow
import org.apache.spark.unsafe.Platform

/**
 * Copies of rows that wait for the results of their batch, one after another in pages that are kept for the next batch. Used by
 * the task's thread.
 *
 * @param fields
 *   columns of a row
 */
private[flambeau] final class WaitingRows(fields: Int) {
  private val pages = ArrayBuffer.empty[Array[Byte]]
  private var page = -1
  private var free = 0
  // For each row: page, offset in the page, and size.
  private var places = new Array[Long](64)
  private var sizes = new Array[Int](64)
  private var count = 0
  private val row = new UnsafeRow(fields)

  def append(waiting: UnsafeRow): Unit = {
    val bytes = waiting.getSizeInBytes
    if (page < 0 || free + bytes > pages(page).length) turn(bytes)
    Platform.copyMemory(waiting.getBaseObject, waiting.getBaseOffset, pages(page), Platform.BYTE_ARRAY_OFFSET.toLong + free, bytes.toLong)
    if (count == sizes.length) {
      places = java.util.Arrays.copyOf(places, 2 * count)
      sizes = java.util.Arrays.copyOf(sizes, 2 * count)
    }
    places(count) = page.toLong << 32 | free
    sizes(count) = bytes
    count += 1
    free += bytes
  }

  /** The row at `index`. It is valid until the next call. */
  def apply(index: Int): UnsafeRow = {
    val place = places(index)
    row.pointTo(pages((place >>> 32).toInt), Platform.BYTE_ARRAY_OFFSET.toLong + place.toInt, sizes(index))
    row
  }

  /** Removes the last row, if there are more than `rows`. */
  def truncate(rows: Int): Unit = if (count > rows) {
    count = rows
    free = places(rows).toInt
    page = (places(rows) >>> 32).toInt
  }

  /** Removes all rows. Pages of the usual size are kept. */
  def clear(): Unit = {
    pages --= pages.filter(_.length != WaitingRows.PageBytes)
    page = -1
    free = 0
    count = 0
  }

  private def turn(bytes: Int): Unit = {
    page += 1
    free = 0
    if (page == pages.length) pages += new Array[Byte](math.max(bytes, WaitingRows.PageBytes))
    else if (bytes > pages(page).length) pages.insert(page, new Array[Byte](bytes))
  }
}

private[flambeau] object WaitingRows {

  /** Small: a batch of rows without texts or arrays fits. */
  private val PageBytes = 256 * 1024
}
