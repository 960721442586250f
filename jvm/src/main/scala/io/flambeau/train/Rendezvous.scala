package io.flambeau.train

import java.net.{DatagramSocket, InetAddress, InetSocketAddress}

import scala.util.Using

import org.apache.spark.{BarrierTaskContext, SparkEnv, TaskContext}

import io.flambeau.bridge.spec.ProcessGroupSpec
import io.flambeau.bridge.{ProcessGroup, TrainingDataset}
import io.flambeau.spark.{DriverChannel, SparkAccess}
import io.flambeau.ui.RunEpoch

/**
 * How the workers of one job find each other and exchange statistics of their rows: all of them make the same calls in the same order, on their task
 * threads. A single worker needs no messages.
 *
 * They use a board on the driver ([[DriverBoard]]), over Spark's RPC. A question takes milliseconds, while Spark's `allGather`
 * takes a second, and no other port is opened. Waiting for others has no deadline, since one worker's rows may take long. If a
 * peer fails, Spark kills the stage's other tasks, and waiting checks for that.
 */
private[train] sealed trait Rendezvous {
  def rank: Int
  def world: Int

  /** The messages of all workers, by rank. */
  def gather(message: String): Seq[String]

  /** The group for the gradients; the caller closes it. Canceling `dataset` stops waiting for the others. */
  def join(dataset: TrainingDataset): ProcessGroup

  /** Tells the others why this worker fails, before it ends. */
  def fail(failure: Failure): Unit

  /** Why the first worker failed, if it reported that. */
  def failureOfPeer: Option[Failure]

  /** The statistics of all workers together. */
  final def agree(stats: DatasetStats): DatasetStats = gather(stats.json).map(DatasetStats.parse).reduce(_ merge _)

  /** Whether the driver ends this training after this epoch. The workers wait for that together. */
  def stopsAfter(epoch: RunEpoch): Boolean

  /** The message of rank 0. */
  final def fromRankZero(message: => String): String = gather(if (rank == 0) message else "").head
}

private[train] object Rendezvous {
  private val ShortestPauseMillis = 1L
  private val LongestPauseMillis = 100L

  /**
   * @param driver
   *   for a single worker, only used after epochs
   * @param timeoutMillis
   *   deadline of joining a group and of every wait for a peer in it
   */
  def of(task: TaskContext, workers: Int, driver: => DriverChannel.Caller, timeoutMillis: Long): Rendezvous =
    if (workers == 1) new Alone(task, driver) else new Barrier(BarrierTaskContext.get(), workers, driver, timeoutMillis)

  /** Asks until there is an answer, at growing intervals, or until the task is killed. */
  private def await[T](task: TaskContext, ask: => Option[T]): T = {
    var pauseMillis = ShortestPauseMillis
    var found = ask
    while (found.isEmpty) {
      SparkAccess.stopIfKilled(task)
      Thread.sleep(pauseMillis)
      pauseMillis = math.min(2 * pauseMillis, LongestPauseMillis)
      found = ask
    }
    found.get
  }

  private final class Alone(task: TaskContext, driver: => DriverChannel.Caller) extends Rendezvous {
    override def rank: Int = 0
    override def world: Int = 1
    override def gather(message: String): Seq[String] = Seq(message)
    override def join(dataset: TrainingDataset): ProcessGroup = ProcessGroup.alone(dataset)
    override def fail(failure: Failure): Unit = ()
    override def failureOfPeer: Option[Failure] = None
    override def stopsAfter(epoch: RunEpoch): Boolean = await(task, DriverBoard.stopsAfter(driver, epoch))
  }

  private final class Barrier(context: BarrierTaskContext, override val world: Int, driver: DriverChannel.Caller, timeoutMillis: Long)
      extends Rendezvous {
    override val rank: Int = context.partitionId()
    private val board = new DriverBoard.Client(driver, context.stageAttemptNumber())
    private var rounds = 0L

    override def gather(message: String): Seq[String] = {
      rounds += 1
      val keys = (0 until world).map(of => s"round/$rounds/$of")
      board.put(keys(rank), message)
      awaitOthers(board.look(keys))
    }

    /** Waits until there is an answer; ends with the failure of another worker that reports one. */
    private def awaitOthers[T](ask: => Option[T]): T = await(context, ask.orElse { board.stopIfOneFailed(); None })

    override def stopsAfter(epoch: RunEpoch): Boolean =
      fromRankZero(awaitOthers(DriverBoard.stopsAfter(driver, epoch)).toString).toBoolean

    override def join(dataset: TrainingDataset): ProcessGroup =
      ProcessGroup.open(dataset, ProcessGroupSpec(rank, world, ownAddress, timeoutMillis, board.secret), board)

    override def fail(failure: Failure): Unit = board.fail(failure)

    override def failureOfPeer: Option[Failure] = board.failure

    /**
     * The address of the host that Spark advertises for this executor. If that host's name maps to its loopback, as in Debian's
     * /etc/hosts, and others are elsewhere: the local address of this process's route to the driver.
     */
    private def ownAddress: String = {
      val hosts = context.getTaskInfos().toSeq.map(info => host(info.address))
      val named = InetAddress.getByName(hosts(rank))
      val elsewhere = hosts.exists(other => other != hosts(rank))
      (if (named.isLoopbackAddress && elsewhere) towardsDriver.getOrElse(named) else named).getHostAddress
    }

    private def towardsDriver: Option[InetAddress] = {
      val conf = SparkEnv.get.conf
      // Connecting a datagram socket sends nothing; it only finds the route.
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
