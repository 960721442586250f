package io.flambeau.bridge

import org.apache.arrow.memory.{AllocationListener, BufferAllocator}
import org.apache.arrow.vector.VectorSchemaRoot
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.execution.arrow.ArrowWriter
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types.{ArrayType, FloatType, StructType}
import org.scalatest.exceptions.TestFailedException

import io.flambeau.FlambeauSuite
import io.flambeau.bridge.spec.{Fault, InferenceSettings, OutputRequest, Task}
import io.flambeau.models.{ModelRef, ModelSpec}
import io.flambeau.spark.ArrowAccess

/**
 * The boundary without a query: calls that are wrong or fail halfway. After each test the base suite checks that no Arrow memory,
 * allocator or native handle is left.
 */
class BoundarySuite extends FlambeauSuite {

  private val schema = new StructType().add("x", ArrayType(FloatType))
  private val directory = FlambeauSuite.packages.resolve("tiny").toString
  private val featurize = Seq(OutputRequest(Task.Featurize, 0, 0, nullOnError = false))
  private def settings = InferenceSettings.of(SQLConf.get)

  private def ref: ModelRef = ModelRef("tiny", directory, ModelSpec.fromJson(NativePackages.describe(directory)))

  private def withAllocator[T](listener: AllocationListener)(body: BufferAllocator => T): T = {
    val allocator = ArrowAccess.rootAllocator().newChildAllocator("boundary-test", listener, 0, Long.MaxValue)
    try body(allocator)
    finally {
      val left = allocator.getAllocatedMemory
      allocator.close()
      assert(left == 0, "bytes left in the task's allocator")
    }
  }

  private def withBatch[T](allocator: BufferAllocator, rows: Seq[Seq[Float]])(body: VectorSchemaRoot => T): T = {
    val root = VectorSchemaRoot.create(ArrowAccess.toArrowSchema(schema), allocator)
    try {
      val writer = ArrowWriter.create(root)
      rows.foreach(row => writer.write(InternalRow(ArrayData.toArrayData(row.toArray))))
      writer.finish()
      body(root)
    } finally root.close()
  }

  private def evaluateOnce(allocator: BufferAllocator, rows: Seq[Seq[Float]]): Seq[Float] =
    withBatch(allocator, rows) { root =>
      val session = ModelSession.open(ref.spec.hash, directory, schema, featurize, settings, allocator)
      try {
        val result = session.evaluate(root)
        try result.column(0).getArray(rows.size - 1).toFloatArray.toSeq
        finally result.close()
      } finally session.close()
    }

  test("a batch goes down and comes back") {
    withAllocator(AllocationListener.NOOP)(allocator =>
      assert(evaluateOnce(allocator, Seq(Seq(0f, 0f, 0f, 0f), Seq(1f, 2f, 3f, 4f))) == Seq(2f, 4f, 6f)))
  }

  test("an allocation refused at any acquire of ours leaves nothing behind") {
    // If an allocation fails while Arrow exports, loads or imports, Arrow itself leaks memory (seen with 18.3.0). So the steps
    // here are only those where the bridge itself allocates a C struct.
    def asksForStruct(frames: Array[StackTraceElement]): Boolean = {
      val at = frames.indexWhere(f => f.getMethodName == "allocateNew" && f.getClassName.startsWith("org.apache.arrow.c.Arrow"))
      at >= 0 && frames.drop(at + 1).headOption.exists(_.getClassName.startsWith(classOf[CStructs].getName))
    }
    final class Watch(refuse: Int) extends AllocationListener {
      var ours = 0
      override def onPreAllocation(size: Long): Unit = if (asksForStruct(Thread.currentThread.getStackTrace)) {
        ours += 1
        if (ours == refuse) throw new IllegalStateException(s"acquire $refuse refused by the test")
      }
    }
    // Counts the acquires of an undisturbed run first, so that the loop below cannot be empty.
    val counting = new Watch(refuse = -1)
    withAllocator(counting)(evaluateOnce(_, Seq(Seq(1f, 2f, 3f, 4f))))
    assert(counting.ours >= 4)
    (1 to counting.ours).foreach { step =>
      val refusing = new Watch(step)
      val failure = intercept[Throwable](withAllocator(refusing)(evaluateOnce(_, Seq(Seq(1f, 2f, 3f, 4f)))))
      assert(!failure.isInstanceOf[TestFailedException], s"at acquire $step")
      assert(refusing.ours == step)
    }
  }

  test("stale, closed and made-up handles are errors of their call") {
    withAllocator(AllocationListener.NOOP) { allocator =>
      withBatch(allocator, Seq(Seq(1f, 2f, 3f, 4f))) { root =>
        val session = ModelSession.open(ref.spec.hash, directory, schema, featurize, settings, allocator)
        session.close()
        session.close()
        val failure = intercept[NativeException](session.evaluate(root))
        assert(failure.kind == ErrorKind.Internal && failure.getMessage.contains("not an open session handle"))
      }
    }
    assert(intercept[NativeException](NativeBridge.estimateBytes(987654321L, 1)).kind == ErrorKind.Internal)
    NativeBridge.close(987654321L)
  }

  test("null and misaligned addresses are errors, not crashes") {
    val model = NativeBridge.openModel(directory, Json.write(settings.model(ref.spec.hash, "cpu")))
    try {
      val request = Json.write(settings.session(featurize))
      Seq(0L, -8L, 3L).foreach { address =>
        assert(intercept[NativeException](NativeBridge.openSession(model, address, request)).getMessage.contains("null or misaligned"))
      }
    } finally NativeBridge.close(model)
  }

  test("arguments that are not what they should be are refused with their reason") {
    assert(intercept[NativeException](NativeBridge.openModel(directory, "{")).kind == ErrorKind.BadRequest)
    assert(intercept[NativeException](NativeBridge.describeModel("/nowhere")).kind == ErrorKind.BadModel)
    val wrong = new StructType().add("x", FloatType)
    withAllocator(AllocationListener.NOOP) { allocator =>
      val failure = intercept[NativeException](ModelSession.open(ref.spec.hash, directory, wrong, featurize, settings, allocator))
      assert(failure.kind == ErrorKind.BadRequest && failure.getMessage.contains("input 'x'"))
    }
  }

  test("injected failures are exceptions with message and place, and the next call works") {
    withAllocator(AllocationListener.NOOP) { allocator =>
      withBatch(allocator, Seq(Seq(1f, 2f, 3f, 4f))) { root =>
        Seq(
          (Fault.Panic, ErrorKind.Panic, "panic at rust/engine/src/faults.rs"), (Fault.Torch, ErrorKind.Torch, "invalid for input of size"),
          (Fault.Allocation, ErrorKind.OutOfMemory, "allocate")).foreach {
          case (fault, kind, text) =>
            val session = ModelSession.open(ref.spec.hash, directory, schema, featurize, settings.copy(fault = Some(fault)), allocator)
            try {
              val failure = intercept[NativeException](session.evaluate(root))
              assert(failure.getMessage.contains(text), fault.name)
              assert(failure.kind == kind)
            } finally session.close()
        }
      }
      assert(evaluateOnce(allocator, Seq(Seq(1f, 2f, 3f, 4f))) == Seq(2f, 4f, 6f))
    }
  }

  test("Java's own divisions by zero are exceptions still, compiled or not") {
    NativeLibrary.ensureLoaded()
    def divided(n: Int, by: Int): Int =
      try n / by
      catch { case _: ArithmeticException => -1 }
    assert((1 to 300000).forall(n => divided(n, 0) == -1 && divided(n, 1) == n))
    assert(Int.MinValue / divided(-1, 1) == Int.MinValue && Long.MinValue % divided(-1, 1) == 0)
  }
}
