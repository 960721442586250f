package io.flambeau.bridge

import scala.collection.mutable.ArrayBuffer

import org.apache.arrow.c.{ArrowArray, ArrowSchema}
import org.apache.arrow.memory.BufferAllocator

/**
 * The C Data structs of one native call. Each is registered for release at the moment it is allocated: if its content was
 * not moved away by the other side, its release callback runs here, then its memory is freed.
 */
private[bridge] final class CStructs private (allocator: BufferAllocator) extends AutoCloseable {
  private val closers = ArrayBuffer.empty[() => Unit]

  def array(): ArrowArray = {
    val struct = ArrowArray.allocateNew(allocator)
    closers += { () =>
      try if (struct.snapshot().release != 0) struct.release()
      finally struct.close()
    }
    struct.markReleased()
    struct
  }

  def schema(): ArrowSchema = {
    val struct = ArrowSchema.allocateNew(allocator)
    closers += { () =>
      try if (struct.snapshot().release != 0) struct.release()
      finally struct.close()
    }
    struct.markReleased()
    struct
  }

  override def close(): Unit = {
    var failure: Throwable = null
    closers.reverseIterator.foreach { closer =>
      try closer()
      catch { case cause: Throwable => if (failure == null) failure = cause else failure.addSuppressed(cause) }
    }
    closers.clear()
    if (failure != null) throw failure
  }
}

private[bridge] object CStructs {
  def using[T](allocator: BufferAllocator)(body: CStructs => T): T = {
    val structs = new CStructs(allocator)
    var failure: Throwable = null
    try body(structs)
    catch { case cause: Throwable => failure = cause; throw cause }
    finally {
      if (failure == null) structs.close()
      else
        try structs.close()
        catch { case cause: Throwable => failure.addSuppressed(cause) }
    }
  }
}
