package io.flambeau.train

import java.io.IOException
import java.nio.file.Path
import java.util.UUID

import scala.util.Using

import org.apache.spark.{HashPartitioner, SparkContext, TaskContext}
import org.apache.spark.internal.Logging
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.execution.SQLExecution

import io.flambeau.FlambeauException
import io.flambeau.bridge.{EpochRow, NativeException, TrainableProgram}
import io.flambeau.spark.{Classic, DriverChannel}
import io.flambeau.ui.TrainingReports

/**
 * One training's result on the driver.
 *
 * @param directory
 *   the model's package, a folder of this machine
 * @param stats
 *   of the rows it was trained on
 */
private[flambeau] final case class TrainingResult(directory: Path, history: Seq[EpochRow], steps: Long, stoppedEarly: Boolean, stats: DatasetStats)

/**
 * The Spark job of a fit: one stage with a task for each worker, all at the same time (barrier mode) if there are several.
 * Driver only, on the thread that called `fit`.
 */
private[flambeau] object TrainingJob extends Logging {

  /**
   * The result of each run of the job, in order.
   *
   * @param rows
   *   the result of [[DatasetColumns.frame]]
   * @param calls
   *   the caller's function after each epoch, if there is one
   */
  def run(rows: DataFrame, job: JobSpec, calls: Option[EpochCalls]): Seq[TrainingResult] = {
    val dataset = DatasetColumns.rows(rows)
    val context = dataset.sparkSession.sparkContext
    check(context, job)
    val metrics = TrainingMetrics.register(context)
    TrainingReports.of(context, job.owner, job.runs.length, job.workers, job.runs.map(_.settings.epochs).max) { reports =>
      val trained = Using.resource(new ModelFileReceiver(job.owner))(results(dataset, job, metrics, _, reports, calls))
      calls.foreach(_.finish())
      trained
    }
  }

  private def results(
      dataset: Classic.Rows[_], job: JobSpec, metrics: TrainingMetrics, receiver: ModelFileReceiver, reports: TrainingReports,
      calls: Option[EpochCalls]): Seq[TrainingResult] = {
    val outcomes = withChannel(dataset.sparkSession.sparkContext, job.owner, receiver, reports, calls) { channel =>
      val worker = new Worker(job, metrics, channel)
      SQLExecution.withNewExecutionId(dataset.queryExecution, Some(s"${job.owner}: training")) {
        unwrapped(tasks(dataset.queryExecution.toRdd, worker, job.workers).collect())
      }
    }
    outcomes.flatMap(_.failure).headOption.foreach(failure => throw failure.exception)
    val stats = outcomes.head.stats
    if (stats.skipped > 0) logWarning(s"${job.owner}: ${stats.skippedText}")
    outcomes.flatMap(_.trained).toSeq.map { trained =>
      val folder = receiver.claim(trained.attempt, trained.run)
      TrainingResult(TrainedFiles.keep(folder, job.runs(trained.run).result.featurizer), trained.history, trained.steps, trained.stoppedEarly, stats)
    }
  }

  /**
   * Captures only the worker. Spark retries a barrier stage only if a shuffle follows it (the output of a last stage might
   * already be visible). So the outcomes go through a shuffle to a task that returns them.
   */
  private def tasks(rows: RDD[InternalRow], worker: Worker, workers: Int): RDD[WorkerResult] = {
    val work = (part: Iterator[InternalRow]) => Iterator.single(worker.run(TaskContext.get(), part))
    if (workers == 1) rows.mapPartitions(work)
    else rows.barrier().mapPartitions(work).map(outcome => (0, outcome)).partitionBy(new HashPartitioner(1)).values
  }

  /**
   * Runs `body` with the name of the workers' channel to the driver, for their board, their models, the Spark UI, and a progress bar if it is
   * enabled.
   */
  private def withChannel[T](context: SparkContext, owner: String, receiver: ModelFileReceiver, reports: TrainingReports, calls: Option[EpochCalls])(
      body: String => T): T = {
    val name = s"flambeau-training-${UUID.randomUUID()}"
    val shown = context.getConf.getBoolean("spark.ui.showConsoleProgress", defaultValue = false)
    val bar = if (shown) Some(ProgressBar.onConsole(owner)) else None
    val board = new DriverBoard(calls)
    val number = RecentTrainings.begin()
    def take(report: Report): Unit = {
      reports.epochs(report.ended)
      RecentTrainings.report(number, owner, report)
      bar.foreach(_.report(report))
    }
    try {
      val channel = new DriverChannel(name, message => take(Report.parse(message)), board.answer(_), part => receiver.take(FilePart.of(part)))
      try body(name)
      finally channel.close()
    } finally bar.foreach(_.close())
  }

  /** Flambeau's own failure instead of the SparkException around it, which is added as suppressed. */
  private def unwrapped[T](body: => T): T =
    try body
    catch {
      case failure: Exception =>
        Iterator.iterate[Throwable](failure)(_.getCause).takeWhile(_ != null).collectFirst { case ours: FlambeauException => ours } match {
          case Some(ours) if ours ne failure =>
            ours.addSuppressed(failure)
            throw ours
          case _ => throw failure
        }
    }

  /** Finds errors that would make the job fail, before it begins. */
  private def check(context: SparkContext, job: JobSpec): Unit = {
    ClearText.check(context.getConf, job)
    job.runs.map(_.program).distinct.foreach(checkProgram(job.owner, _))
    try job.runs.foreach(_.probe(job.hadoop))
    catch { case cause: IOException => throw Storage.failure(job.owner, cause) }
    if (job.workers > 1) Slots.require(context, job)
  }

  /** Checks that a package's program has the named method and parameters. It is loaded only for this check. */
  private def checkProgram(owner: String, program: Program): Unit = program match {
    case whole: Program.Package if whole.namesSomething =>
      try TrainableProgram.check(whole.spec)
      catch { case cause: NativeException => throw Failures.translated(owner, 0, 1, cause) }
    case _ => ()
  }
}
