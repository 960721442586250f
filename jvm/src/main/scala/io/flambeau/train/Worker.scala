package io.flambeau.train

import java.io.IOException
import java.nio.file.{Files, Path, Paths}

import scala.jdk.CollectionConverters._
import scala.util.Using

import org.apache.spark.TaskContext
import org.apache.spark.internal.Logging
import org.apache.spark.sql.catalyst.InternalRow

import io.flambeau.FlambeauException
import io.flambeau.bridge.{ArrowAccess, NativeException, PackageManifest, Progress, Releases, Trainer, TrainingFeed, Unpacker}
import io.flambeau.models.ModelStore

/**
 * One worker: one Spark task, all on its thread. It writes its rows into a feed on local disk, agrees with the others on what
 * the data are, and runs the job's trainings one after another over that feed.
 *
 * It owns, in this order: the rendezvous, a scratch folder, an Arrow allocator, the rows' vectors, the feed, the group and, while one runs, a
 * trainer and the thread that watches for kills. All are released, the newest first, when the task ends in whatever way.
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
    val classes = job.runs.exists(_.learning.isInstanceOf[Learning.Classes])
    val feeder = releases.own(new RowFeeder(task, job.owner, job.feed, classes, rows, allocator))(_.close())
    val begun = meeting.agree(attempt(feeder.begin()))
    if (begun.failure.isDefined) Outcome(begun, Nil, begun.failure)
    else {
      val feed = releases.own(feeder.open(scratch, math.max(begun.features, 1)))(_.close())
      val fed = attempt {
        val facts = feeder.feedAll(feed)
        val sealedFeed = feed.seal()
        logInfo(s"worker ${meeting.rank} of ${meeting.world}: $sealedFeed")
        facts
      }
      val facts = meeting.agree(fed.copy(features = begun.features))
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
      val trained = job.runs.zipWithIndex.flatMap { case (run, index) =>
        val spec = NativeSpec.of(job.owner, run, job.feed, facts)
        Using.resource(Trainer.open(feed, group, spec)) { trainer =>
          watch.over(() => trainer.cancel())(new RunLoop(task, meeting, run, index, trainer, scratch).go())
        }
      }
      Outcome(facts, trained, None)
    } catch {
      case cause: NativeException =>
        val failure = Failures.translated(job.owner, meeting.rank, meeting.world, cause)
        if (Failures.isLasting(cause)) Outcome(facts, Nil, Some(Failure.of(failure))) else Failures.rethrow(task, failure)
      case cause: FlambeauException => Outcome(facts, Nil, Some(Failure.of(cause)))
    }
  }

  /** One training, from its checkpoint if there is one to its end. */
  private final class RunLoop(task: TaskContext, meeting: Rendezvous, run: RunSpec, index: Int, trainer: Trainer, scratch: Path) {
    private val checkpoints = new Checkpoints(run.checkpoints, job.hadoop, scratch)
    private val leads = meeting.rank == 0
    private val log = run.logDir.filter(_ => leads).map(new TensorBoardLog(_, job.hadoop))

    /** The result, on rank 0. */
    def go(): Option[Trained] =
      try {
        resume()
        var progress = step()
        while (!progress.finished) progress = step()
        Option.when(leads)(result(progress))
      } finally log.foreach(_.close())

    /** Rank 0 looks, and tells the others even if that failed: they wait for it. */
    private def resume(): Unit = {
      val found = meeting.fromRankZero(latest())
      Facts.parse(found.takeWhile(_ != '\n')).failure.foreach(failure => throw failure.exception)
      val from = found.dropWhile(_ != '\n').drop(1)
      if (from.nonEmpty) {
        logInfo(s"worker ${meeting.rank} of ${meeting.world} goes on from $from")
        checkpoints.load(from)(trainer.restoreCheckpoint)
      }
    }

    /** A line of facts, which may hold a failure, and the checkpoint's path, empty if there is none. */
    private def latest(): String =
      try s"${Facts.none.json}\n${checkpoints.latest().getOrElse("")}"
      catch {
        case cause: IOException =>
          val why = Option(cause.getMessage).getOrElse(cause.toString)
          Facts.failed(Failure("FLAMBEAU_BAD_ARGUMENT", s"${job.owner}: $why", Map("model" -> job.owner, "cause" -> why))).json
      }

    private def step(): Progress = {
      SparkAccess.stopIfKilled(task)
      val progress = trainer.run(Worker.SliceMillis)
      if (leads) {
        if (progress.event == "checkpoint") checkpoints.save(progress.step)(trainer.saveCheckpoint)
        metrics.show(progress)
        log.foreach(_.write(progress))
        driver.tell(Report.of(index, job.runs.length, progress).json)
      }
      progress
    }

    private def result(progress: Progress): Trained = {
      val folder = scratch.resolve(s"package-$index")
      val featurizer = run.result.featurizer.map(ref => Paths.get(ModelStore.localDirectory(ref)))
      trainer.savePackage(folder, run.result.name, run.result.labels, run.result.license, run.result.description, featurizer)
      // The driver has the featurizer's own files.
      val theirs = featurizer.fold(Set.empty[String])(PackageManifest.in(_).files.map(_.name).toSet)
      try Trained(Worker.filesIn(folder, theirs), progress.history, progress.step, progress.event == "stopped_early")
      finally Unpacker.deleteFolder(folder)
    }
  }
}

private[train] object Worker {
  private val SliceMillis = 200L

  private def filesIn(folder: Path, but: Set[String]): Seq[PackageFile] =
    Using.resource(Files.list(folder)) { paths =>
      paths.iterator.asScala.filterNot(file => but(file.getFileName.toString)).toList
        .map(file => PackageFile(file.getFileName.toString, Files.readAllBytes(file)))
    }
}
