package io.flambeau.train

import java.io.{FileNotFoundException, IOException}
import java.nio.file.{Files, Path, Paths}

import scala.collection.mutable
import scala.jdk.CollectionConverters._
import scala.util.Using

import org.apache.spark.TaskContext
import org.apache.spark.internal.Logging

import io.flambeau.bridge.spec.ExportSpec
import io.flambeau.bridge.{EpochRow, ErrorKind, Event, NativeException, Progress, Trainers}
import io.flambeau.files.LocalFiles
import io.flambeau.models.{ModelStore, PackageManifest}
import io.flambeau.spark.{DriverChannel, SparkAccess}
import io.flambeau.ui.RunEpoch

/**
 * Runs trainings that step together on one worker to the end, from their checkpoints if there are any. Used by the task's thread.
 *
 * @param runs
 *   which of the job's runs they are, in the trainers' order
 * @param driver
 *   takes rank 0's reports, and the files of its models
 */
private[train] final class TrainingLoop(
    task: TaskContext, job: JobSpec, rendezvous: Rendezvous, runs: Seq[Int], trainers: Trainers, scratch: Path, metrics: TrainingMetrics,
    driver: DriverChannel.Caller)
    extends Logging {

  private val leads = rendezvous.rank == 0
  private val members = runs.zipWithIndex.map { case (run, place) => new Member(run, place) }

  /** The results, on rank 0. */
  def go(): Seq[TrainedModelInfo] =
    try {
      members.foreach(_.resume())
      var progress = step()
      while (!progress.forall(_.finished)) progress = step()
      if (leads) members.zip(progress).map { case (member, end) => member.result(end) }
      else Nil
    } finally members.foreach(_.close())

  private def step(): Seq[Progress] = {
    SparkAccess.stopIfKilled(task)
    val progress = trainers.run(TrainingLoop.SliceMillis)
    if (leads) {
      val ended = members.zip(progress).flatMap { case (member, now) => member.note(now) }
      // The one that is furthest behind reports for all.
      val (member, now) = members.zip(progress).minBy { case (_, now) => (now.finished, now.step) }
      metrics.show(now)
      driver.send(Report.of(member.run, runs.length, job.runs.length, now, ended).json)
    }
    if (job.asksAfterEpochs) members.zip(progress).foreach { case (member, now) => if (now.epochEnded) member.ask(now) }
    progress
  }

  /** One of the trainings: its checkpoints, its log, its package. */
  private final class Member(val run: Int, place: Int) {
    private val spec = job.runs(run)
    private val checkpoints = new Checkpoints(spec.checkpoints, run, job.hadoop, scratch)
    private val board = spec.logDir.filter(_ => leads).map(new TensorBoardLog(_, job.hadoop))
    private var finished = false
    private val history = mutable.ArrayBuffer.empty[EpochRow]

    /** Rank 0 chooses a complete checkpoint, and tells the others even if that failed: they wait for it. */
    def resume(): Unit = {
      val found = rendezvous.fromRankZero(restored())
      DatasetStats.parse(found.takeWhile(_ != '\n')).failure.foreach(failure => throw failure.exception)
      val from = found.dropWhile(_ != '\n').drop(1)
      if (from.nonEmpty) {
        logInfo(s"worker ${rendezvous.rank} of ${rendezvous.world} continues from $from")
        if (!leads) checkpoints.load(from)(trainers.restoreCheckpoint(place, _))
      }
    }

    /** A line of statistics, which may hold a failure, and the path of rank 0's current checkpoint, empty if there is none. */
    private def restored(): String =
      try {
        spec.probe(job.hadoop)
        s"${DatasetStats.none.json}\n${checkpoints.resume(trainers.restoreCheckpoint(place, _)).getOrElse("")}"
      } catch {
        case cause: FileNotFoundException => refused("FLAMBEAU_BAD_ARGUMENT", cause.getMessage)
        case cause: IOException => DatasetStats.failed(Failure.of(Storage.failure(job.owner, cause))).json
        case cause: NativeException if cause.kind == ErrorKind.BadRequest =>
          refused("FLAMBEAU_BAD_ARGUMENT",
            s"${cause.getMessage}. Only numWorkers, microBatchSize, patience, minDelta, and maxEpochs with the schedule constant or step may change")
      }

    private def refused(condition: String, why: String): String =
      DatasetStats.failed(Failure(condition, s"${job.owner}: $why", Map("model" -> job.owner, "cause" -> why))).json

    /** Logs its state, for the last time at its end. Returns the epochs that ended since it did so before. */
    def note(progress: Progress): Seq[RunEpoch] = {
      if (!finished) log(progress)
      history ++= progress.ended
      progress.ended.map(RunEpoch(run, _))
    }

    private def log(progress: Progress): Unit = {
      finished = progress.finished
      if (progress.event == Event.Checkpoint) checkpoints.save(progress.step)(trainers.saveCheckpoint(place, _))
      board.foreach(board => logged(board.write(progress.ended)))
    }

    /** Stops if the driver wants that after the epoch that has just ended; all workers ask. */
    def ask(progress: Progress): Unit = {
      val stops = rendezvous.stopsAfter(RunEpoch(run, progress.ended.last))
      if (stops && !progress.finished) trainers.stop(place)
    }

    def result(progress: Progress): TrainedModelInfo = {
      val about = spec.result
      val folder = scratch.resolve(s"package-$run")
      val featurizer = about.featurizer.map(ref => Paths.get(ModelStore.localDirectory(ref)))
      trainers.savePackage(place, folder, ExportSpec(about.name, about.labels, about.license, about.description, featurizer.map(_.toString)))
      // The driver has the featurizer's own files.
      val theirs = featurizer.fold(Set.empty[String])(PackageManifest.in(_).files.map(_.name).toSet)
      try TrainingLoop.filesIn(folder).filterNot(file => theirs(file.getFileName.toString)).foreach(ModelFileReceiver.send(driver, task.taskAttemptId(), run, _))
      finally LocalFiles.deleteFolder(folder)
      TrainedModelInfo(task.taskAttemptId(), run, history.toList, progress.step, progress.event == Event.StoppedEarly)
    }

    def close(): Unit = board.foreach(board => logged(board.close()))

    private def logged(body: => Unit): Unit =
      Storage.of(s"logDir ${spec.logDir.getOrElse("")} cannot be written", "Free some space there, or set logDir to another folder.")(body)
  }
}

private[train] object TrainingLoop {
  private val SliceMillis = 200L

  private def filesIn(folder: Path): Seq[Path] = Using.resource(Files.list(folder))(_.iterator.asScala.toList)
}
