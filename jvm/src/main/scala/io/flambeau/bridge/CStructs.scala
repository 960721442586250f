package io.flambeau.bridge

import scala.util.Using

import org.apache.arrow.c.{ArrowArray, ArrowSchema, BaseStruct, CDataDictionaryProvider, Data}
import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.{FieldVector, VectorSchemaRoot}
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.vectorized.{ArrowColumnVector, ColumnarBatch, ColumnVector}

import io.flambeau.spark.ArrowAccess

/**
 * The C Data structs of one native call. Each is registered for release when it is allocated: if the other side did not move its
 * content away, its release callback runs here, then its memory is freed.
 */
private[bridge] final class CStructs private (allocator: BufferAllocator) extends AutoCloseable {
  private val releases = new Closer

  def array(): ArrowArray = {
    val struct = ArrowArray.allocateNew(allocator)
    freeAtEnd(struct)(struct.snapshot().release != 0)
    struct.markReleased()
    struct
  }

  def schema(): ArrowSchema = {
    val struct = ArrowSchema.allocateNew(allocator)
    freeAtEnd(struct)(struct.snapshot().release != 0)
    // As `markReleased` of newer Arrows does.
    val content = struct.snapshot()
    content.release = 0
    struct.save(content)
    struct
  }

  /** For native code to read: these vectors, which are lent and not copied. */
  def of(rows: VectorSchemaRoot): ArrowArray = {
    val struct = array()
    Data.exportVectorSchemaRoot(allocator, rows, null, struct)
    struct
  }

  /** For native code to read: the columns of batches. */
  def of(columns: StructType): ArrowSchema = {
    val struct = schema()
    Data.exportSchema(allocator, ArrowAccess.toArrowSchema(columns), null, struct)
    struct
  }

  private def freeAtEnd(struct: BaseStruct)(hasContent: => Boolean): Unit = releases.atEnd {
    try if (hasContent) struct.release()
    finally struct.close()
  }

  /** The vectors that native code wrote into both. The caller closes them. */
  def imported(array: ArrowArray, schema: ArrowSchema): VectorSchemaRoot = Using.resource(new CDataDictionaryProvider()) { provider =>
    // The importer closes the structs that it gets, and ours are closed with the call.
    val (content, described) = (ArrowArray.wrap(array.memoryAddress), ArrowSchema.wrap(schema.memoryAddress))
    // Created here and not by the importer, which would not close it if the import failed halfway.
    val root = VectorSchemaRoot.create(Data.importSchema(allocator, described, provider), allocator)
    try {
      Data.importIntoVectorSchemaRoot(allocator, content, root, provider)
      root
    } catch {
      case cause: Throwable =>
        root.close()
        throw cause
    }
  }

  /** The same as a batch of Spark. The caller closes it. */
  def importedBatch(array: ArrowArray, schema: ArrowSchema): ColumnarBatch = {
    val root = imported(array, schema)
    val columns = root.getFieldVectors.toArray(Array.empty[FieldVector])
    new ColumnarBatch(columns.map(new ArrowColumnVector(_): ColumnVector), root.getRowCount)
  }

  override def close(): Unit = releases.close()
}

private[bridge] object CStructs {
  def using[T](allocator: BufferAllocator)(body: CStructs => T): T = Using.resource(new CStructs(allocator))(body)
}
