package io.flambeau.bridge

import java.util.concurrent.atomic.AtomicLong

import org.apache.arrow.memory.BufferAllocator
import org.apache.arrow.vector.VectorSchemaRoot
import org.apache.spark.TaskContext
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.vectorized.ColumnarBatch

import io.flambeau.bridge.spec.{InferenceSettings, OutputRequest}
import io.flambeau.conf.Engine

/**
 * Running totals of one session. Times in nanoseconds of the task thread's wall clock; tokens (of texts) or samples (of
 * sounds) with and without the padding that brings the rows of one pass to one length. Bad rows also in the order of [[BadRowCauses]].
 */
final case class Counters(
    rows: Long, forwards: Long, badRows: Long, loadNs: Long, prepareNs: Long, forwardNs: Long, convertNs: Long, peakNativeBytes: Long,
    realTokens: Long, paddedTokens: Long, passesAgain: Long, badByCause: Seq[Long]) {

  /** Cause -> bad rows, where there are any. */
  def badRowsByCause: Map[String, Long] = BadRowCauses.names.zip(badByCause).filter(_._2 > 0).toMap
}

object Counters {
  val Zero: Counters = Counters(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, BadRowCauses.names.map(_ => 0L))
}

/**
 * One task's evaluation of one model: used by the task thread only. It owns a model handle (the weights stay in the process
 * when it closes) and a session handle. Arrow arrays cross the boundary by the C Data Interface as one struct per batch;
 * every C struct registers its release when it is allocated. A result must be closed before the next `evaluate` and before the
 * input's vectors are reset, since it may share the input's buffers.
 *
 * @param facts
 *   what runs the model's program
 */
final class ModelSession private (model: AtomicLong, session: AtomicLong, val facts: ModelFacts, loadNs: Long, allocator: BufferAllocator)
    extends AutoCloseable {

  private val CounterCount = 10 + BadRowCauses.names.length
  private var totals = Counters.Zero.copy(loadNs = loadNs)

  def counters: Counters = totals

  /** Maximum native bytes of a batch of `rows` rows besides the input itself. */
  def estimateBytes(rows: Long): Long = NativeBridge.estimateBytes(session.get, rows)

  /** One column per request, in their order, as many rows as the input. */
  def evaluate(input: VectorSchemaRoot): ColumnarBatch = {
    val counters = new Array[Long](CounterCount)
    CStructs.using(allocator) { structs =>
      val in = structs.of(input)
      val out = structs.array()
      val outSchema = structs.schema()
      try NativeCalls.counted(NativeBridge.evaluate(session.get, in.memoryAddress, out.memoryAddress, outSchema.memoryAddress, counters))
      finally add(counters)
      structs.importedBatch(out, outSchema)
    }
  }

  private def add(c: Array[Long]): Unit = totals = totals.copy(
    rows = totals.rows + c(0), forwards = totals.forwards + c(1), badRows = totals.badRows + c(2),
    prepareNs = totals.prepareNs + c(3), forwardNs = totals.forwardNs + c(4), convertNs = totals.convertNs + c(5),
    peakNativeBytes = math.max(totals.peakNativeBytes, c(6)), realTokens = totals.realTokens + c(7), paddedTokens = totals.paddedTokens + c(8),
    passesAgain = totals.passesAgain + c(9), badByCause = totals.badByCause.zip(c.drop(10)).map { case (before, more) => before + more })

  override def close(): Unit =
    try NativeCalls.close(session.getAndSet(0))
    finally NativeCalls.close(model.getAndSet(0))
}

object ModelSession {

  /**
   * @param hash
   *   of the package's content
   * @param directory
   *   the package on this machine
   * @param input
   *   the model's inputs in its own order, types as checked on the driver
   * @param allocator
   *   the task's; the caller closes it after the session
   * @param agree
   *   returns the application's engine for a model (content and precision), given this process's choice; called if the settings
   *   do not choose one
   */
  def open(
      hash: String,
      directory: String,
      input: StructType,
      outputs: Seq[OutputRequest],
      settings: InferenceSettings,
      allocator: BufferAllocator,
      agree: (String, String) => String = (_, mine) => mine): ModelSession = {
    NativeLibrary.ensureLoaded()
    val started = System.nanoTime()
    val model = new AtomicLong(openModel(hash, directory, settings, agree))
    try {
      val loadNs = System.nanoTime() - started
      val session = CStructs.using(allocator) { structs =>
        new AtomicLong(NativeBridge.openSession(model.get, structs.of(input).memoryAddress, Json.write(settings.session(outputs))))
      }
      new ModelSession(model, session, factsOf(model.get), loadNs, allocator)
    } catch {
      case cause: Throwable =>
        NativeCalls.close(model.getAndSet(0))
        throw cause
    }
  }

  /** A handle of the model, with the engine of the whole application if this machine can run the model with it. */
  private def openModel(hash: String, directory: String, settings: InferenceSettings, agree: (String, String) => String): Long = {
    val device = TaskDevice.of(settings.device, TaskContext.get())
    def opened(settings: InferenceSettings): Long =
      NativeCalls.counted(NativeBridge.openModel(directory, Json.write(settings.model(hash, device))))
    val own = opened(settings)
    // A GPU has one engine.
    if (settings.engine != Engine.Auto || device != TaskDevice.Cpu) own
    else {
      val (mine, agreed) =
        try {
          val mine = factsOf(own).engine
          (mine, agree(s"$hash ${settings.precision}", mine))
        } catch { case cause: Throwable => NativeCalls.close(own); throw cause }
      if (agreed == mine) own
      else {
        NativeCalls.close(own)
        opened(settings.copy(engine = Engine.of(agreed)))
      }
    }
  }

  private def factsOf(model: Long): ModelFacts = Json.as[ModelFacts](NativeBridge.modelFacts(model))

  /** Loads the model into the process, where it stays like an unused one. */
  def load(hash: String, directory: String, settings: InferenceSettings): Unit = {
    NativeLibrary.ensureLoaded()
    NativeCalls.close(openModel(hash, directory, settings, (_, mine) => mine))
  }
}
