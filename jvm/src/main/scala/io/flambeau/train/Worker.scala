package io.flambeau.train

import java.nio.file.{Files, Path, Paths}

import scala.util.Using

import org.apache.spark.TaskContext
import org.apache.spark.internal.Logging
import org.apache.spark.sql.catalyst.InternalRow

import io.flambeau.FlambeauException
import io.flambeau.bridge.{ArrowAccess, NativeException, Releases, Trainers, TrainingFeed, Unpacker}

/**
 * One worker: one Spark task, all on its thread. It writes its rows into a feed on local disk, agrees with the others on what
 * the data are, and runs the job's trainings over that feed, stack after stack.
 *
 * It owns, in this order: the rendezvous, a scratch folder, an Arrow allocator, the rows' vectors, the feed, the group and, while they run, a stack's
 * trainers and the thread that watches for kills. All are released, the newest first, when the task ends in whatever way.
 *
 * A failure that would come again is a value ([[Outcome.failure]]) that all workers agree on where they can; what another
 * attempt may mend (a lost peer) is thrown, and the stage's retry resumes from the last checkpoint.
 *
 * @param channel
 *   name of the job's [[DriverChannel]]
 */
private[train] final class Worker(job: JobSpec, metrics: TrainingMetrics, channel: String) extends Serializable with Logging {
  @transient private lazy val driver = DriverChannel.caller(channel)

  def run(task: TaskContext, rows: Iterator[InternalRow]): Outcome = {
    val releases = new Releases
    task.addTaskCompletionListener[Unit](_ => releases.close())
    try {
      val meeting = releases.own(Rendezvous.of(task, job.workers, driver, job.timeoutMillis))(_.close())
      train(task, meeting, rows, releases)
    } catch {
      // A peer that is gone before training begins; what else may fail there is a value already.
      case cause: NativeException =>
        Failures.rethrow(task, Failures.translated(job.owner, task.partitionId(), job.workers, cause))
    } finally releases.close()
  }

  private def train(task: TaskContext, meeting: Rendezvous, rows: Iterator[InternalRow], releases: Releases): Outcome = {
    val scratch = releases.own(Files.createTempDirectory(Paths.get(SparkAccess.localDirectory()), "flambeau-training-"))(Unpacker.deleteFolder)
    val allocator = releases.own(
      ArrowAccess.rootAllocator().newChildAllocator(s"flambeau ${job.owner}, task ${task.taskAttemptId()}", 0, Long.MaxValue))(_.close())
    val learning = job.runs.map(_.learning).find(_ != Learning.Numbers).getOrElse(Learning.Numbers)
    val feeder = releases.own(new RowFeeder(task, job.owner, job.feed, learning, rows, allocator))(_.close())
    val begun = meeting.agree(attempt(feeder.begin()))
    if (begun.failure.isDefined) Outcome(begun, Nil, begun.failure)
    else {
      val feed = releases.own(feeder.open(scratch, begun))(_.close())
      val fed = attempt {
        val facts = feeder.feedAll(feed)
        val sealedFeed = feed.seal()
        logInfo(s"worker ${meeting.rank} of ${meeting.world}: $sealedFeed")
        facts
      }
      val facts = meeting.agree(fed.copy(featureSizes = begun.featureSizes, targetSizes = begun.targetSizes))
      if (facts.failure.isDefined) Outcome(facts, Nil, facts.failure)
      else trainAll(task, meeting, feed, facts, scratch, releases)
    }
  }

  /** What this worker found, or why it cannot be: then all workers learn of it, instead of waiting. */
  private def attempt(facts: => Facts): Facts =
    try facts
    catch {
      case cause: FlambeauException => Facts.failed(Failure.of(cause))
      case cause: NativeException if Failures.isLasting(cause) => Facts.failed(Failure.of(Failures.translated(job.owner, 0, 1, cause)))
    }

  private def trainAll(
      task: TaskContext, meeting: Rendezvous, feed: TrainingFeed, facts: Facts, scratch: Path, releases: Releases): Outcome = {
    val watch = releases.own(new KillWatch(task))(_.close())
    try {
      val group = releases.own(watch.over(() => feed.cancel())(meeting.join(feed)))(_.close())
      val specs = job.runs.map(NativeSpec.of(job.owner, _, job.feed, facts))
      val trained = NativeSpec.stacks(job, facts).flatMap { runs =>
        Using.resource(Trainers.open(feed, group, runs.map(specs))) { trainers =>
          val loop = new StackLoop(task, job, meeting, runs, trainers, scratch, metrics, driver)
          watch.over(() => trainers.cancel())(loop.go())
        }
      }
      Outcome(facts, trained.sortBy(_.run), None)
    } catch {
      case cause: NativeException =>
        val failure = Failures.translated(job.owner, meeting.rank, meeting.world, cause)
        if (Failures.isLasting(cause)) Outcome(facts, Nil, Some(Failure.of(failure))) else Failures.rethrow(task, failure)
      case cause: FlambeauException => Outcome(facts, Nil, Some(Failure.of(cause)))
    }
  }
}
