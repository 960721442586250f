package io.flambeau.bridge

import java.util.concurrent.atomic.AtomicLong

import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.VectorSchemaRoot
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.vectorized.ColumnarBatch

import io.flambeau.bridge.spec.NearestSpec

/**
 * A search for the exact nearest neighbors of a block of queries among rows that come block by block. Used by the task's thread.
 * Blocks cross by the C Data Interface. The native side copies what it keeps: vectors may be reset after each call.
 */
final class NearestSearch private (handle: AtomicLong, allocator: BufferAllocator) extends AutoCloseable {

  /** Starts with these queries and forgets the ones before. */
  def begin(queries: VectorSchemaRoot): Unit = give(queries)(NativeBridge.nearestQueries(handle.get, _))

  /** Compares all queries with these rows. */
  def compare(rows: VectorSchemaRoot): Unit = give(rows)(NativeBridge.nearestRows(handle.get, _))

  /**
   * The neighbors, best first for each query: `query` int (its row among the queries), `id` long or binary, `score` double. The caller
   * closes it.
   */
  def finish(): ColumnarBatch = CStructs.using(allocator) { structs =>
    val (array, schema) = (structs.array(), structs.schema())
    NativeCalls.counted(NativeBridge.nearestResults(handle.get, array.memoryAddress, schema.memoryAddress))
    structs.importedBatch(array, schema)
  }

  private def give(rows: VectorSchemaRoot)(call: Long => Unit): Unit = CStructs.using(allocator) { structs =>
    NativeCalls.counted(call(structs.of(rows).memoryAddress))
  }

  override def close(): Unit = NativeCalls.close(handle.getAndSet(0))
}

object NearestSearch {

  /**
   * @param queries
   *   `id` (long or string) and `vector` (array of float)
   * @param rows
   *   likewise
   * @param allocator
   *   the task's; the caller closes it after the search
   */
  def open(spec: NearestSpec, queries: StructType, rows: StructType, allocator: BufferAllocator): NearestSearch = {
    NativeLibrary.ensureLoaded()
    CStructs.using(allocator) { structs =>
      val (ofQueries, ofRows) = (structs.of(queries), structs.of(rows))
      new NearestSearch(new AtomicLong(NativeBridge.openNearest(Json.write(spec), ofQueries.memoryAddress, ofRows.memoryAddress)), allocator)
    }
  }
}
