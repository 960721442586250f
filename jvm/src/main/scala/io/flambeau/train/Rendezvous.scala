package io.flambeau.train

import org.apache.spark.{BarrierTaskContext, TaskContext}

import io.flambeau.bridge.{TrainingFeed, TrainingGroup, TrainingStore}

/**
 * How the workers of one job find each other and agree: all of them make the same calls in the same order, on their task
 * threads. One worker by itself asks nobody.
 *
 * Rank 0 opens a store and tells the driver its port, where the others ask for it ([[MeetingPoint]]); everything else goes through
 * that store. Each takes milliseconds, where Spark's `allGather` takes a second. Waiting for what others say has no deadline of its
 * own, since rows of one worker may take long: where a peer fails, Spark kills the stage's other tasks, and waiting looks for that.
 */
private[train] sealed trait Rendezvous extends AutoCloseable {
  def rank: Int
  def world: Int

  /** What all workers say, by rank. */
  def gather(message: String): Seq[String]

  /** The group for the gradients; the caller closes it, before this. Cancelling `feed` ends the wait for the others. */
  def join(feed: TrainingFeed): TrainingGroup

  /** What all workers know together. */
  final def agree(facts: Facts): Facts = gather(facts.json).map(Facts.parse).reduce(_ merge _)

  /** What rank 0 says. */
  final def fromRankZero(message: => String): String = gather(if (rank == 0) message else "").head
}

private[train] object Rendezvous {
  private val ShortestPauseMillis = 1L
  private val LongestPauseMillis = 100L

  /**
   * The caller closes it.
   *
   * @param driver
   *   asked where there are several workers
   * @param timeoutMillis
   *   deadline of joining a group and of each answer of the store
   */
  def of(task: TaskContext, workers: Int, driver: => DriverChannel.Caller, timeoutMillis: Long): Rendezvous =
    if (workers == 1) new Alone else new Barrier(BarrierTaskContext.get(), workers, driver, timeoutMillis)

  private final class Alone extends Rendezvous {
    override def rank: Int = 0
    override def world: Int = 1
    override def gather(message: String): Seq[String] = Seq(message)
    override def join(feed: TrainingFeed): TrainingGroup = TrainingGroup.alone(feed)
    override def close(): Unit = ()
  }

  private final class Barrier(context: BarrierTaskContext, override val world: Int, driver: DriverChannel.Caller, timeoutMillis: Long)
      extends Rendezvous {
    override val rank: Int = context.partitionId()
    private val own = host(rank)
    private val zero = host(0)
    private val store = if (rank == 0) serve() else TrainingStore.connect(zero, port(), rank, world, timeoutMillis)
    private var rounds = 0L

    private def serve(): TrainingStore = {
      val served = TrainingStore.open(own, world, timeoutMillis)
      try MeetingPoint.tell(driver, context.stageAttemptNumber(), served.port)
      catch {
        case cause: Throwable =>
          served.close()
          throw cause
      }
      served
    }

    private def port(): Int = await(MeetingPoint.ask(driver, context.stageAttemptNumber()))

    /** Rank 0 goes on when all have heard: they could not, if it closed the store meanwhile. */
    override def gather(message: String): Seq[String] = {
      val all = say(message).hear()
      val read = say("")
      if (rank == 0) read.hear()
      all
    }

    private def say(message: String): Round = {
      rounds += 1
      store.say(rounds, message)
      new Round(rounds)
    }

    private final class Round(number: Long) {
      def hear(): Seq[String] = await(store.heard(number))
    }

    /** Asks until there is an answer, ever less often, or until the task is killed. */
    private def await[T](look: => Option[T]): T = {
      var pauseMillis = ShortestPauseMillis
      var found = look
      while (found.isEmpty) {
        SparkAccess.stopIfKilled(context)
        Thread.sleep(pauseMillis)
        pauseMillis = math.min(2 * pauseMillis, LongestPauseMillis)
        found = look
      }
      found.get
    }

    override def join(feed: TrainingFeed): TrainingGroup =
      TrainingGroup.open(feed, rank, world, zero, store.port, own, timeoutMillis, Some(store))

    override def close(): Unit = store.close()

    /** A worker's host, without its executor's port. */
    private def host(of: Int): String = {
      val address = context.getTaskInfos()(of).address
      address.take(address.lastIndexOf(':')).stripPrefix("[").stripSuffix("]")
    }
  }
}
