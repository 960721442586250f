package io.flambeau.train

import java.io.IOException
import java.nio.file.Path

import scala.util.Using
import scala.util.control.NonFatal

import org.apache.spark.TaskContext
import org.apache.spark.internal.Logging
import org.apache.spark.sql.catalyst.InternalRow

import io.flambeau.FlambeauException
import io.flambeau.bridge.{Closer, NativeException, Trainers, TrainingDataset}
import io.flambeau.spark.{ArrowAccess, DriverChannel, SparkAccess}

/**
 * One worker: one Spark task, all on its thread. It writes its rows into a dataset on local disk, exchanges statistics of the data
 * with the others, and runs the job's trainings over that dataset, those that step together at a time.
 *
 * It owns, in this order: an Arrow allocator, the rows' vectors, a scratch folder, the dataset, the group and, while they run, some
 * trainers and the thread that watches for kills. All are released, the newest first, when the task ends for any reason.
 *
 * A failure that would happen again is a value ([[WorkerResult.failure]]), which all workers get. A failure that a retry may avoid (a
 * lost peer, a file system that does not answer) is thrown; then the stage's retry resumes from the last checkpoint.
 *
 * @param channel
 *   name of the job's [[DriverChannel]]
 */
private[train] final class Worker(job: JobSpec, metrics: TrainingMetrics, channel: String) extends Serializable with Logging {
  @transient private lazy val driver = DriverChannel.caller(channel)

  def run(task: TaskContext, rows: Iterator[InternalRow]): WorkerResult = {
    val releases = new Closer
    task.addTaskCompletionListener[Unit](_ => releases.close())
    val rendezvous = Rendezvous.of(task, job.workers, driver, job.timeoutMillis)
    try train(task, rendezvous, rows, releases)
    finally releases.close()
  }

  private def train(task: TaskContext, rendezvous: Rendezvous, rows: Iterator[InternalRow], releases: Closer): WorkerResult = {
    val allocator = releases.own(
      ArrowAccess.rootAllocator().newChildAllocator(s"flambeau ${job.owner}, task ${task.taskAttemptId()}", 0, Long.MaxValue))(_.close())
    val learning = job.runs.map(_.learning).find(_ != LearningTask.Regression).getOrElse(LearningTask.Regression)
    val writer = releases.own(new DatasetWriter(task, job.owner, job.dataset, learning, rows, allocator))(_.close())
    lazy val scratch = releases.own(Scratch.ofTask())(Scratch.delete)
    def attempt(stats: => DatasetStats): DatasetStats =
      try stats
      catch { case NonFatal(cause) => DatasetStats.failed(lasting(rendezvous, cause).getOrElse(throw cause)) }
    val begun = rendezvous.agree(attempt {
      val folder = scratch
      logDebug(s"worker ${rendezvous.rank} of ${rendezvous.world} writes to $folder")
      writer.begin()
    })
    if (begun.failure.isDefined) WorkerResult(begun, Nil, begun.failure)
    else {
      // Opened before statistics are exchanged, so that all workers get the failure if the disk is full.
      var opened = Option.empty[TrainingDataset]
      val written = attempt {
        val dataset = releases.own(writer.open(scratch, begun))(_.close())
        opened = Some(dataset)
        val stats = writer.writeAll(dataset)
        val summary = dataset.finish()
        logInfo(s"worker ${rendezvous.rank} of ${rendezvous.world}: $summary")
        stats
      }
      val stats = rendezvous.agree(written.copy(featureSizes = begun.featureSizes, targetSizes = begun.targetSizes))
      (stats.failure, opened) match {
        case (None, Some(dataset)) => trainAll(task, rendezvous, dataset, stats, scratch, releases)
        case (failure, _) => WorkerResult(stats, Nil, failure)
      }
    }
  }

  private def trainAll(
      task: TaskContext, rendezvous: Rendezvous, dataset: TrainingDataset, stats: DatasetStats, scratch: Path, releases: Closer): WorkerResult = {
    val killMonitor = releases.own(new TaskKillMonitor(task))(_.close())
    try {
      val group = releases.own(killMonitor.over(() => dataset.cancel())(rendezvous.join(dataset)))(_.close())
      val specs = job.runs.map(NativeSpec.of(job.owner, _, job.dataset, stats))
      val trained = Trainers.together(specs).flatMap { runs =>
        Using.resource(Trainers.open(dataset, group, runs.map(specs))) { trainers =>
          val loop = new TrainingLoop(task, job, rendezvous, runs, trainers, scratch, metrics, driver)
          killMonitor.over(() => trainers.cancel())(loop.go())
        }
      }
      WorkerResult(stats, trained.sortBy(_.run), None)
    } catch {
      case NonFatal(cause) => WorkerResult(stats, Nil, Some(failed(task, rendezvous, cause)))
    }
  }

  /**
   * This worker's result; a failure is a value if a retry would fail in the same way. The others get it before this worker ends.
   * So all end with the same failure, and Spark does not retry the stage because of theirs.
   */
  private def failed(task: TaskContext, rendezvous: Rendezvous, cause: Throwable): Failure = lasting(rendezvous, cause) match {
    case Some(failure) =>
      try rendezvous.fail(failure)
      catch { case NonFatal(lost) => logWarning(s"the other workers could not be informed: $lost") }
      failure
    case None => cause match {
        case native: NativeException =>
          SparkAccess.stopIfKilled(task)
          val own = Failures.translated(job.owner, rendezvous.rank, rendezvous.world, native)
          (if (Failures.isOfPeer(native)) rendezvous.failureOfPeer else None).getOrElse(throw own)
        case io: IOException => throw Storage.failure(job.owner, io)
        case other => throw other
      }
  }

  /** The failure, if a retry would fail in the same way. */
  private def lasting(rendezvous: Rendezvous, cause: Throwable): Option[Failure] = cause match {
    case ours: FlambeauException => Some(Failure.of(ours))
    case native: NativeException if Failures.isLasting(native) =>
      Some(Failure.of(Failures.translated(job.owner, rendezvous.rank, rendezvous.world, native)))
    case io: IOException if Storage.isLasting(io) => Some(Failure.of(Storage.failure(job.owner, io)))
    case _ => None
  }
}
