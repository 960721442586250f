package io.flambeau.bridge

import java.util.concurrent.atomic.AtomicLong

import io.flambeau.bridge.spec.GroupSpec

/** A worker's membership in the group of one training. Its trainers are closed before it. */
final class TrainingGroup private (val handle: AtomicLong, val rank: Int, val world: Int) extends AutoCloseable {
  override def close(): Unit = NativeBridge.close(handle.getAndSet(0))
}

object TrainingGroup {

  /** One worker by itself: no sockets. */
  def alone(feed: TrainingFeed): TrainingGroup = open(feed, GroupSpec.Alone, NoBoard)

  /**
   * Joins, and waits until all have joined, the deadline has passed or `feed` was canceled.
   *
   * @param feed
   *   this worker's own
   * @param board
   *   where they find one another; called on this thread until all have joined
   */
  def open(feed: TrainingFeed, spec: GroupSpec, board: Board): TrainingGroup = {
    NativeLibrary.ensureLoaded()
    new TrainingGroup(new AtomicLong(NativeBridge.openGroup(feed.handle.get, Json.write(spec), board)), spec.rank, spec.world)
  }

  private object NoBoard extends Board {
    override def put(key: String, value: Array[Byte]): Unit = ()
    override def look(key: String): Array[Byte] = null
  }
}
