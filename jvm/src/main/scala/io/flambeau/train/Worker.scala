package io.flambeau.train

import java.io.IOException
import java.nio.file.Path

import scala.util.Using
import scala.util.control.NonFatal

import org.apache.spark.TaskContext
import org.apache.spark.internal.Logging
import org.apache.spark.sql.catalyst.InternalRow

import io.flambeau.FlambeauException
import io.flambeau.bridge.{Closer, NativeException, Trainers, TrainingFeed}
import io.flambeau.spark.{ArrowAccess, DriverChannel, SparkAccess}

/**
 * One worker: one Spark task, all on its thread. It writes its rows into a feed on local disk, exchanges facts about the data
 * with the others, and runs the job's trainings over that feed, those that step together at a time.
 *
 * It owns, in this order: an Arrow allocator, the rows' vectors, a scratch folder, the feed, the group and, while they run, some
 * trainers and the thread that watches for kills. All are released, the newest first, when the task ends for any reason.
 *
 * A failure that would happen again is a value ([[Outcome.failure]]), which all workers get. A failure that a retry may avoid (a
 * lost peer, a file system that does not answer) is thrown; then the stage's retry resumes from the last checkpoint.
 *
 * @param channel
 *   name of the job's [[DriverChannel]]
 */
private[train] final class Worker(job: JobSpec, metrics: TrainingMetrics, channel: String) extends Serializable with Logging {
  @transient private lazy val driver = DriverChannel.caller(channel)

  def run(task: TaskContext, rows: Iterator[InternalRow]): Outcome = {
    val releases = new Closer
    task.addTaskCompletionListener[Unit](_ => releases.close())
    val meeting = Rendezvous.of(task, job.workers, driver, job.timeoutMillis)
    try train(task, meeting, rows, releases)
    finally releases.close()
  }

  private def train(task: TaskContext, meeting: Rendezvous, rows: Iterator[InternalRow], releases: Closer): Outcome = {
    val allocator = releases.own(
      ArrowAccess.rootAllocator().newChildAllocator(s"flambeau ${job.owner}, task ${task.taskAttemptId()}", 0, Long.MaxValue))(_.close())
    val learning = job.runs.map(_.learning).find(_ != Learning.Numbers).getOrElse(Learning.Numbers)
    val feeder = releases.own(new RowFeeder(task, job.owner, job.feed, learning, rows, allocator))(_.close())
    lazy val scratch = releases.own(Scratch.ofTask())(Scratch.delete)
    def attempt(facts: => Facts): Facts =
      try facts
      catch { case NonFatal(cause) => Facts.failed(lasting(meeting, cause).getOrElse(throw cause)) }
    val begun = meeting.agree(attempt {
      val folder = scratch
      logDebug(s"worker ${meeting.rank} of ${meeting.world} writes to $folder")
      feeder.begin()
    })
    if (begun.failure.isDefined) Outcome(begun, Nil, begun.failure)
    else {
      // Opened before facts are exchanged, so that all workers get the failure if the disk is full.
      var opened = Option.empty[TrainingFeed]
      val fed = attempt {
        val feed = releases.own(feeder.open(scratch, begun))(_.close())
        opened = Some(feed)
        val facts = feeder.feedAll(feed)
        val sealedFeed = feed.seal()
        logInfo(s"worker ${meeting.rank} of ${meeting.world}: $sealedFeed")
        facts
      }
      val facts = meeting.agree(fed.copy(featureSizes = begun.featureSizes, targetSizes = begun.targetSizes))
      (facts.failure, opened) match {
        case (None, Some(feed)) => trainAll(task, meeting, feed, facts, scratch, releases)
        case (failure, _) => Outcome(facts, Nil, failure)
      }
    }
  }

  private def trainAll(
      task: TaskContext, meeting: Rendezvous, feed: TrainingFeed, facts: Facts, scratch: Path, releases: Closer): Outcome = {
    val watch = releases.own(new KillWatch(task))(_.close())
    try {
      val group = releases.own(watch.over(() => feed.cancel())(meeting.join(feed)))(_.close())
      val specs = job.runs.map(NativeSpec.of(job.owner, _, job.feed, facts))
      val trained = Trainers.together(specs).flatMap { runs =>
        Using.resource(Trainers.open(feed, group, runs.map(specs))) { trainers =>
          val loop = new StackLoop(task, job, meeting, runs, trainers, scratch, metrics, driver)
          watch.over(() => trainers.cancel())(loop.go())
        }
      }
      Outcome(facts, trained.sortBy(_.run), None)
    } catch {
      case NonFatal(cause) => Outcome(facts, Nil, Some(failed(task, meeting, cause)))
    }
  }

  /**
   * This worker's result; a failure is a value if a retry would fail in the same way. The others get it before this worker ends.
   * So all end with the same failure, and Spark does not retry the stage because of theirs.
   */
  private def failed(task: TaskContext, meeting: Rendezvous, cause: Throwable): Failure = lasting(meeting, cause) match {
    case Some(failure) =>
      try meeting.fail(failure)
      catch { case NonFatal(lost) => logWarning(s"the other workers could not be informed: $lost") }
      failure
    case None => cause match {
        case native: NativeException =>
          SparkAccess.stopIfKilled(task)
          val own = Failures.translated(job.owner, meeting.rank, meeting.world, native)
          (if (Failures.isOfPeer(native)) meeting.failureOfPeer else None).getOrElse(throw own)
        case io: IOException => throw Storage.failure(job.owner, io)
        case other => throw other
      }
  }

  /** The failure, if a retry would fail in the same way. */
  private def lasting(meeting: Rendezvous, cause: Throwable): Option[Failure] = cause match {
    case ours: FlambeauException => Some(Failure.of(ours))
    case native: NativeException if Failures.isLasting(native) =>
      Some(Failure.of(Failures.translated(job.owner, meeting.rank, meeting.world, native)))
    case io: IOException if Storage.isLasting(io) => Some(Failure.of(Storage.failure(job.owner, io)))
    case _ => None
  }
}
