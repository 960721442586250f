package io.flambeau.bridge

import java.util.concurrent.atomic.AtomicLong

/** The workers of one training, as one of them sees it. Its trainers close before it does. */
final class TrainingGroup private (val handle: AtomicLong, val rank: Int, val world: Int) extends AutoCloseable {
  override def close(): Unit = NativeBridge.close(handle.getAndSet(0))
}

object TrainingGroup {

  /** One worker by itself: no sockets. */
  def alone(feed: TrainingFeed): TrainingGroup = open(feed, 0, 1, "", 0, "", NoBoard)

  /**
   * Joins, and waits until all have joined, the deadline has passed or `feed` was cancelled.
   *
   * @param feed
   *   this worker's own
   * @param ownHost
   *   the address by which the others reach this process, the only one that it listens on
   * @param timeoutMillis
   *   deadline of joining and of every wait for a peer
   * @param secret
   *   what all workers know, and nobody else
   * @param board
   *   where they find one another; asked on this thread until all have joined
   */
  def open(feed: TrainingFeed, rank: Int, world: Int, ownHost: String, timeoutMillis: Long, secret: String, board: Board): TrainingGroup = {
    NativeLibrary.ensureLoaded()
    val spec = Json.write(
      Map[String, Any]("rank" -> rank, "world" -> world, "own_host" -> ownHost, "timeout_ms" -> timeoutMillis, "secret" -> secret))
    new TrainingGroup(new AtomicLong(NativeBridge.openGroup(feed.handle.get, spec, board)), rank, world)
  }

  private object NoBoard extends Board {
    override def put(key: String, value: Array[Byte]): Unit = ()
    override def look(key: String): Array[Byte] = null
  }
}
