package io.flambeau.tools

import scala.util.Using

import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.VectorSchemaRoot
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.execution.arrow.ArrowWriter
import org.apache.spark.sql.types.StructType

import io.flambeau.bridge.ModelSession
import io.flambeau.bridge.spec.{InferenceSettings, OutputRequest}
import io.flambeau.models.{ModelRef, ModelStore}
import io.flambeau.spark.ArrowAccess

/** One row through a model without a query: through Arrow, boundary and engine as in a task, on the caller's thread. */
private[tools] object OneRow {

  /** Calls `use` with a session of the model and the row as a batch; both are released after it. */
  def apply[T](
      ref: ModelRef,
      schema: StructType,
      row: InternalRow,
      requests: Seq[OutputRequest],
      settings: InferenceSettings,
      allocator: BufferAllocator)(use: (ModelSession, VectorSchemaRoot) => T): T = Using.Manager { own =>
    val root = own(VectorSchemaRoot.create(ArrowAccess.toArrowSchema(schema), allocator))
    val writer = ArrowWriter.create(root)
    writer.write(row)
    writer.finish()
    use(own(ModelSession.open(ref.spec.hash, ModelStore.localDirectory(ref), schema, requests, settings, allocator)), root)
  }.get
}
