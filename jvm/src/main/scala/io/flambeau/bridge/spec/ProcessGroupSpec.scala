package io.flambeau.bridge.spec

/**
 * One worker's membership in the group of a training.
 *
 * @param ownHost
 *   the address of this process for the others, and the only one that it listens on
 * @param timeoutMs
 *   deadline of joining and of every wait for a peer
 * @param secret
 *   a secret that only the workers know
 */
final case class ProcessGroupSpec(rank: Int, world: Int, ownHost: String, timeoutMs: Long, secret: String) {

  /** Without the secret, for logs. */
  override def toString: String = s"ProcessGroupSpec($rank, $world, $ownHost, $timeoutMs)"
}

object ProcessGroupSpec {

  /** One worker by itself: no sockets, so no secret and no deadline. */
  val Alone: ProcessGroupSpec = ProcessGroupSpec(0, 1, "", 0, "")
}
