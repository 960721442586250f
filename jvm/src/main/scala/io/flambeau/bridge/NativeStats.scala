package io.flambeau.bridge

/** The counters of the native side. */
private[bridge] final case class Totals(
    rowsForwarded: Long, forwards: Long, modelLoads: Long, modelsInMemory: Long, modelsEvicted: Long, weightsBytes: Long, liveHandles: Long)

/** Counters of the whole process since it loaded the native library; for tests and monitoring. */
object NativeStats {
  private def read: Totals = {
    NativeLibrary.ensureLoaded()
    Json.as[Totals](NativeBridge.stats())
  }

  /** Rows that went through a forward pass. */
  def rowsForwarded: Long = read.rowsForwarded

  /** Forward passes. */
  def forwards: Long = read.forwards

  /** Handles (models and sessions) that are open now. */
  def liveHandles: Long = read.liveHandles

  /** Models whose weights are in memory now; each counts once, however many tasks use it. */
  def modelsInMemory: Long = read.modelsInMemory

  /** Bytes of their weights. */
  def weightsBytes: Long = read.weightsBytes

  /** Models that were dropped from memory because no task used them: see `spark.flambeau.models.idleBytes`. */
  def modelsEvicted: Long = read.modelsEvicted

  /** Times a program was loaded from its file. */
  def modelLoads: Long = read.modelLoads
}
