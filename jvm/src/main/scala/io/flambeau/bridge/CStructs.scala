package io.flambeau.bridge

import scala.util.Using

import org.apache.arrow.c.{ArrowArray, ArrowSchema}
import org.apache.arrow.memory.BufferAllocator

/**
 * The C Data structs of one native call. Each is registered for release at the moment it is allocated: if its content was
 * not moved away by the other side, its release callback runs here, then its memory is freed.
 */
private[bridge] final class CStructs private (allocator: BufferAllocator) extends AutoCloseable {
  private val releases = new Releases

  def array(): ArrowArray = {
    val struct = ArrowArray.allocateNew(allocator)
    releases.atEnd {
      try if (struct.snapshot().release != 0) struct.release()
      finally struct.close()
    }
    struct.markReleased()
    struct
  }

  def schema(): ArrowSchema = {
    val struct = ArrowSchema.allocateNew(allocator)
    releases.atEnd {
      try if (struct.snapshot().release != 0) struct.release()
      finally struct.close()
    }
    struct.markReleased()
    struct
  }

  override def close(): Unit = releases.close()
}

private[bridge] object CStructs {
  def using[T](allocator: BufferAllocator)(body: CStructs => T): T = Using.resource(new CStructs(allocator))(body)
}
