package io.flambeau.bridge

/** Counters of the whole process since it loaded the native library; for tests and monitoring. */
object NativeStats {
  private def read(name: String): Long = {
    NativeLibrary.ensureLoaded()
    Json.read(NativeBridge.stats()).get(name).asLong
  }

  /** Rows that went through a forward pass. */
  def rowsForwarded: Long = read("rows_forwarded")

  /** Forward passes. */
  def forwards: Long = read("forwards")

  /** Handles (models and sessions) that are open now. */
  def liveHandles: Long = read("live_handles")

  /** Models whose weights are in memory now; each counts once, however many tasks use it. */
  def modelsInMemory: Long = read("models_in_memory")

  /** Bytes of their weights. */
  def weightsBytes: Long = read("weights_bytes")

  /** Models that were dropped from memory because no task used them: see `spark.flambeau.models.idleBytes`. */
  def modelsEvicted: Long = read("models_evicted")

  /** Times a program was loaded from its file. */
  def modelLoads: Long = read("model_loads")
}
