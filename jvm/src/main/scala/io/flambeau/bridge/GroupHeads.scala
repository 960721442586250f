package io.flambeau.bridge

import scala.util.Using

import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.{BigIntVector, Float4Vector, Float8Vector}
import org.apache.arrow.vector.complex.ListVector

import io.flambeau.bridge.spec.GroupsSpec

/** One group's head: `parameters` are each layer's weight `[out, in]` followed by its bias, layer after layer. */
final case class GroupHead(group: Long, rows: Long, loss: Double, parameters: Array[Float])

object GroupHeads {

  /** Trains one head for each group of a finished dataset's `__group`, and returns them by group. */
  def train(dataset: TrainingDataset, spec: GroupsSpec, allocator: BufferAllocator): Seq[GroupHead] = CStructs.using(allocator) { structs =>
    val array = structs.array()
    val schema = structs.schema()
    NativeCalls.counted(NativeBridge.trainGroups(dataset.handle.get, Json.write(spec), array.memoryAddress, schema.memoryAddress))
    Using.resource(structs.imported(array, schema)) { root =>
      val groups = root.getVector("group").asInstanceOf[BigIntVector]
      val rows = root.getVector("rows").asInstanceOf[BigIntVector]
      val losses = root.getVector("loss").asInstanceOf[Float8Vector]
      val parameters = root.getVector("parameters").asInstanceOf[ListVector]
      val values = parameters.getDataVector.asInstanceOf[Float4Vector]
      (0 until root.getRowCount).map { i =>
        val (from, to) = (parameters.getElementStartIndex(i), parameters.getElementEndIndex(i))
        GroupHead(groups.get(i), rows.get(i), losses.get(i), Array.tabulate(to - from)(j => values.get(from + j)))
      }
    }
  }
}
