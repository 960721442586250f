package io.flambeau.bridge

import scala.util.Using

import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.VectorSchemaRoot
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.execution.arrow.ArrowWriter
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types.{ArrayType, FloatType, StructType}

import io.flambeau.FlambeauSuite
import io.flambeau.bridge.spec.{InferenceSettings, OutputRequest, Task}
import io.flambeau.models.ModelSpec
import io.flambeau.spark.ArrowAccess

/**
 * What the boundary itself costs: `./gradlew boundaryBench` prints nanoseconds a call, the median of the rounds and the fastest one. The
 * model is a product of four numbers by three, so a batch of one row is little else than the call: two C structs down, two up.
 */
object BoundaryBench {

  private val Rounds = 15
  private val RoundNs = 200 * 1000 * 1000L
  private val schema = new StructType().add("x", ArrayType(FloatType))

  def main(arguments: Array[String]): Unit = Using.resource(ArrowAccess.rootAllocator().newChildAllocator("bench", 0, Long.MaxValue)) { allocator =>
    val directory = FlambeauSuite.packages.resolve("tiny").toString
    val hash = ModelSpec.fromJson(NativePackages.describe(directory)).hash
    val settings = InferenceSettings.of(new SQLConf)
    val outputs = Seq(OutputRequest(Task.Featurize, 0, 0, nullOnError = false))
    Using.resource(ModelSession.open(hash, directory, schema, outputs, settings, allocator)) { session =>
      measure("a number down, a number up")(session.estimateBytes(1))
      measure("an answer as JSON")(NativeBridge.stats())
      Seq(1, 1024).foreach { rows =>
        Using.resource(batch(allocator, rows))(root => measure(s"a batch of $rows rows")(session.evaluate(root).close()))
      }
    }
  }

  private def batch(allocator: BufferAllocator, rows: Int): VectorSchemaRoot = {
    val root = VectorSchemaRoot.create(ArrowAccess.toArrowSchema(schema), allocator)
    val writer = ArrowWriter.create(root)
    (0 until rows).foreach(row => writer.write(InternalRow(ArrayData.toArrayData(Array(row.toFloat, 1f, 2f, 3f)))))
    writer.finish()
    root
  }

  private def measure(what: String)(call: => Any): Unit = {
    val rounds = (0 to Rounds).map { _ =>
      val begun = System.nanoTime()
      var calls = 0
      while (System.nanoTime() - begun < RoundNs) {
        (0 until 16).foreach(_ => call)
        calls += 16
      }
      (System.nanoTime() - begun) / calls
    }.tail.sorted // the first one warms up
    println(f"$what%-28s ${rounds(Rounds / 2)}%10d ns a call (fastest round ${rounds.head})")
  }
}
