package io.flambeau.bridge

import java.util.concurrent.atomic.AtomicLong

import io.flambeau.bridge.spec.ProcessGroupSpec

/** A worker's membership in the group of one training. Its trainers are closed before it. */
final class ProcessGroup private (val handle: AtomicLong, val rank: Int, val world: Int) extends AutoCloseable {
  override def close(): Unit = NativeCalls.close(handle.getAndSet(0))
}

object ProcessGroup {

  /** One worker by itself: no sockets. */
  def alone(dataset: TrainingDataset): ProcessGroup = open(dataset, ProcessGroupSpec.Alone, NoBoard)

  /**
   * Joins, and waits until all have joined, the deadline has passed or `dataset` was canceled.
   *
   * @param dataset
   *   this worker's own
   * @param board
   *   where they find one another; called on this thread until all have joined
   */
  def open(dataset: TrainingDataset, spec: ProcessGroupSpec, board: Board): ProcessGroup = {
    NativeLibrary.ensureLoaded()
    new ProcessGroup(new AtomicLong(NativeBridge.joinProcessGroup(dataset.handle.get, Json.write(spec), board)), spec.rank, spec.world)
  }

  private object NoBoard extends Board {
    override def put(key: String, value: Array[Byte]): Unit = ()
    override def look(key: String): Array[Byte] = null
  }
}
