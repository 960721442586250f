package io.flambeau.columns

import org.apache.arrow.memory.{ArrowBuf, BufferAllocator}
import org.apache.spark.unsafe.Platform

/**
 * An off-heap buffer that is appended to. Its capacity doubles when needed and stays when it is emptied; the address
 * changes when it grows. Used by the task's thread.
 */
private[columns] final class GrowingBuffer(allocator: BufferAllocator) extends AutoCloseable {
  private var buffer: ArrowBuf = allocator.getEmpty
  private var address = 0L
  private var capacity = 0L
  private var used = 0L

  /** Bytes written. */
  def size: Long = used

  /** Where the first byte is, until the next `append`. */
  def start: Long = address

  /** Adds `bytes` uninitialized bytes and returns their address. */
  def append(bytes: Long): Long = {
    val end = used + bytes
    if (end > capacity) grow(end)
    val place = address + used
    used = end
    place
  }

  def appendInt(value: Int): Unit = Platform.putInt(null, append(4), value)

  def clear(): Unit = used = 0

  /** What was written, for Arrow to read. This object still owns it. */
  def toArrow: ArrowBuf = {
    buffer.readerIndex(0)
    buffer.writerIndex(used)
    buffer
  }

  private def grow(bytes: Long): Unit = {
    val larger = allocator.buffer(math.max(bytes, math.max(1024L, 2 * capacity)))
    Platform.copyMemory(null, address, null, larger.memoryAddress, used)
    buffer.close()
    buffer = larger
    address = larger.memoryAddress
    capacity = larger.capacity
  }

  override def close(): Unit = {
    buffer.close()
    buffer = allocator.getEmpty
    address = 0
    capacity = 0
    used = 0
  }
}
