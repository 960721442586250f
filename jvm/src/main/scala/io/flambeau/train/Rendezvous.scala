package io.flambeau.train

import org.apache.spark.{BarrierTaskContext, TaskContext}

import io.flambeau.bridge.{Json, TrainingFeed, TrainingGroup, TrainingStore}

/**
 * How the workers of one job find each other and agree: all of them make the same calls in the same order, on their task
 * threads. One worker by itself asks nobody.
 */
private[train] sealed trait Rendezvous {
  def rank: Int
  def world: Int

  /** What all workers say, by rank. */
  def gather(message: String): Seq[String]

  /** The group for the gradients; the caller closes it. Owns nothing afterwards. Cancelling `feed` ends the wait for the others. */
  def join(feed: TrainingFeed, timeoutMillis: Long): Joined

  /** What all workers know together. */
  final def agree(facts: Facts): Facts = gather(facts.json).map(Facts.parse).reduce(_ merge _)

  /** What rank 0 says. */
  final def fromRankZero(message: => String): String = gather(if (rank == 0) message else "").head
}

/** A group and, on rank 0, the store that it met at. Closes both. */
private[train] final class Joined(val group: TrainingGroup, store: Option[TrainingStore]) extends AutoCloseable {
  override def close(): Unit =
    try group.close()
    finally store.foreach(_.close())
}

private[train] object Rendezvous {

  def of(task: TaskContext, workers: Int): Rendezvous =
    if (workers == 1) new Alone else new Barrier(BarrierTaskContext.get(), workers)

  private final class Alone extends Rendezvous {
    override def rank: Int = 0
    override def world: Int = 1
    override def gather(message: String): Seq[String] = Seq(message)
    override def join(feed: TrainingFeed, timeoutMillis: Long): Joined = new Joined(TrainingGroup.alone(feed), None)
  }

  private final class Barrier(context: BarrierTaskContext, override val world: Int) extends Rendezvous {
    override val rank: Int = context.partitionId()

    override def gather(message: String): Seq[String] = context.allGather(message).toSeq

    override def join(feed: TrainingFeed, timeoutMillis: Long): Joined = {
      val own = host(rank)
      val store = Option.when(rank == 0)(TrainingStore.open(own, timeoutMillis))
      try {
        val where = Json.read(fromRankZero(Json.write(Map[String, Any]("host" -> own, "port" -> store.fold(0)(_.port)))))
        val group = TrainingGroup.open(feed, rank, world, where.get("host").asText, where.get("port").asInt, own, timeoutMillis, store)
        new Joined(group, store)
      } catch {
        case cause: Throwable =>
          store.foreach(_.close())
          throw cause
      }
    }

    /** The executor's host, without its port. */
    private def host(of: Int): String = {
      val address = context.getTaskInfos()(of).address
      address.take(address.lastIndexOf(':')).stripPrefix("[").stripSuffix("]")
    }
  }
}
