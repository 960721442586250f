package io.flambeau.train

import java.net.{DatagramSocket, InetAddress, InetSocketAddress}

import scala.util.Using

import org.apache.spark.{BarrierTaskContext, SparkEnv, TaskContext}

import io.flambeau.bridge.spec.GroupSpec
import io.flambeau.bridge.{TrainingFeed, TrainingGroup}
import io.flambeau.spark.{DriverChannel, SparkAccess}

/**
 * How the workers of one job find each other and agree: all of them make the same calls in the same order, on their task
 * threads. One worker by itself asks nobody.
 *
 * They meet on a board that the driver keeps ([[MeetingPoint]]), over Spark's RPC: a question takes milliseconds, where Spark's
 * `allGather` takes a second, and nothing else listens. Waiting for what others say has no deadline of its own, since rows of one
 * worker may take long: where a peer fails, Spark kills the stage's other tasks, and waiting looks for that.
 */
private[train] sealed trait Rendezvous {
  def rank: Int
  def world: Int

  /** What all workers say, by rank. */
  def gather(message: String): Seq[String]

  /** The group for the gradients; the caller closes it. Canceling `feed` ends the wait for the others. */
  def join(feed: TrainingFeed): TrainingGroup

  /** Tells the others why this worker fails, before they lose it. */
  def fail(failure: Failure): Unit

  /** Why the first worker failed, if it said so. */
  def failureOfPeer: Option[Failure]

  /** What all workers know together. */
  final def agree(facts: Facts): Facts = gather(facts.json).map(Facts.parse).reduce(_ merge _)

  /** What rank 0 says. */
  final def fromRankZero(message: => String): String = gather(if (rank == 0) message else "").head
}

private[train] object Rendezvous {
  private val ShortestPauseMillis = 1L
  private val LongestPauseMillis = 100L

  /**
   * @param driver
   *   asked where there are several workers
   * @param timeoutMillis
   *   deadline of joining a group and of every wait for a peer in it
   */
  def of(task: TaskContext, workers: Int, driver: => DriverChannel.Caller, timeoutMillis: Long): Rendezvous =
    if (workers == 1) new Alone else new Barrier(BarrierTaskContext.get(), workers, driver, timeoutMillis)

  private final class Alone extends Rendezvous {
    override def rank: Int = 0
    override def world: Int = 1
    override def gather(message: String): Seq[String] = Seq(message)
    override def join(feed: TrainingFeed): TrainingGroup = TrainingGroup.alone(feed)
    override def fail(failure: Failure): Unit = ()
    override def failureOfPeer: Option[Failure] = None
  }

  private final class Barrier(context: BarrierTaskContext, override val world: Int, driver: DriverChannel.Caller, timeoutMillis: Long)
      extends Rendezvous {
    override val rank: Int = context.partitionId()
    private val board = new MeetingPoint.Client(driver, context.stageAttemptNumber())
    private var rounds = 0L

    override def gather(message: String): Seq[String] = {
      rounds += 1
      val keys = (0 until world).map(of => s"round/$rounds/$of")
      board.put(keys(rank), message)
      await(board.look(keys))
    }

    /** Asks until there is an answer, ever less often, or until the task is killed or another one said that it failed. */
    private def await[T](look: => Option[T]): T = {
      var pauseMillis = ShortestPauseMillis
      var found = look
      while (found.isEmpty) {
        SparkAccess.stopIfKilled(context)
        board.stopIfOneFailed()
        Thread.sleep(pauseMillis)
        pauseMillis = math.min(2 * pauseMillis, LongestPauseMillis)
        found = look
      }
      found.get
    }

    override def join(feed: TrainingFeed): TrainingGroup =
      TrainingGroup.open(feed, GroupSpec(rank, world, ownAddress, timeoutMillis, board.secret), board)

    override def fail(failure: Failure): Unit = board.fail(failure)

    override def failureOfPeer: Option[Failure] = board.failure

    /**
     * The address of the host that Spark advertises for this executor. Where that host's own name stands for its loopback, as in
     * Debian's /etc/hosts, and others are elsewhere: the address from which this process reaches the driver.
     */
    private def ownAddress: String = {
      val hosts = context.getTaskInfos().toSeq.map(info => host(info.address))
      val named = InetAddress.getByName(hosts(rank))
      val elsewhere = hosts.exists(other => other != hosts(rank))
      (if (named.isLoopbackAddress && elsewhere) towardsDriver.getOrElse(named) else named).getHostAddress
    }

    private def towardsDriver: Option[InetAddress] = {
      val conf = SparkEnv.get.conf
      // Connecting a datagram socket sends nothing; it only asks the machine for the way.
      val found = conf.getOption("spark.driver.host").flatMap { driverHost =>
        Using(new DatagramSocket()) { socket =>
          socket.connect(new InetSocketAddress(driverHost, conf.getInt("spark.driver.port", 1)))
          socket.getLocalAddress
        }.toOption
      }
      found.filterNot(address => address.isAnyLocalAddress || address.isLoopbackAddress)
    }

    /** A worker's host, without its executor's port. */
    private def host(address: String): String = address.take(address.lastIndexOf(':')).stripPrefix("[").stripSuffix("]")
  }
}
