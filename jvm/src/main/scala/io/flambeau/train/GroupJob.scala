package io.flambeau.train

import java.io.IOException

import org.apache.arrow.memory.BufferAllocator
import org.apache.spark.TaskContext
import org.apache.spark.internal.Logging
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.execution.SQLExecution

import io.flambeau.FlambeauException
import io.flambeau.bridge.spec.{GroupsSettings, GroupsSpec}
import io.flambeau.bridge.{Closer, GroupHead, GroupHeads, NativeException, TrainingDataset}
import io.flambeau.spark.ArrowAccess
import io.flambeau.ui.TrainingReports

/**
 * Many small heads in one Spark job: each task gets all rows of its groups and trains their heads in one native call. Tasks are
 * independent, so there is no barrier, and a lost task is retried alone.
 */
private[flambeau] object GroupJob {

  /**
   * @param learning
   *   classes with their number, since a task sees only the labels of its own groups
   * @param settings
   *   the native specification without the values that depend on the rows
   * @return
   *   every group's head, in any order
   */
  def run(rows: DataFrame, owner: String, plan: DatasetPlan, learning: LearningTask, settings: GroupsSettings, head: Program.Head): Seq[GroupHead] = {
    val dataset = DatasetColumns.rows(rows)
    val worker = new GroupWorker(owner, plan, learning, settings, head)
    // No epochs and no workers that wait for one another: only its begin and its end are reported.
    TrainingReports.of(dataset.sparkSession.sparkContext, owner, runs = 0, workers = 0, settings.epochs) { _ =>
      val outcomes = SQLExecution.withNewExecutionId(dataset.queryExecution, Some(s"$owner: training of groups")) {
        dataset.queryExecution.toRdd.mapPartitions(part => Iterator.single(worker.run(TaskContext.get(), part))).collect()
      }
      outcomes.collectFirst { case Left(failure) => failure }.foreach(failure => throw failure.exception)
      outcomes.toSeq.flatMap(_.toSeq).flatten
    }
  }
}

/** One task. It owns what [[Worker]] owns, without group and trainer, and releases it in the same way. */
private[train] final class GroupWorker(owner: String, spec: DatasetPlan, learning: LearningTask, settings: GroupsSettings, head: Program.Head)
    extends Serializable with Logging {

  def run(task: TaskContext, rows: Iterator[InternalRow]): Either[Failure, Seq[GroupHead]] = {
    val releases = new Closer
    task.addTaskCompletionListener[Unit](_ => releases.close())
    try train(task, rows, releases)
    catch {
      case cause: NativeException =>
        val failure = Failures.translated(owner, 0, 1, cause)
        if (Failures.isLasting(cause)) Left(Failure.of(failure)) else Failures.rethrow(task, failure)
      case cause: FlambeauException => Left(Failure.of(cause))
      case cause: IOException if Storage.isLasting(cause) => Left(Failure.of(Storage.failure(owner, cause)))
    } finally releases.close()
  }

  private def train(task: TaskContext, rows: Iterator[InternalRow], releases: Closer): Either[Failure, Seq[GroupHead]] = {
    val scratch = releases.own(Scratch.ofTask())(Scratch.delete)
    val allocator = releases.own(
      ArrowAccess.rootAllocator().newChildAllocator(s"flambeau $owner, task ${task.taskAttemptId()}", 0, Long.MaxValue))(_.close())
    val writer = releases.own(new DatasetWriter(task, owner, spec, learning, rows, allocator))(_.close())
    val begun = writer.begin()
    if (writer.isEmpty) Right(Nil)
    else {
      val dataset = releases.own(writer.open(scratch, begun))(_.close())
      val stats = writer.writeAll(dataset).copy(featureSizes = begun.featureSizes, targetSizes = begun.targetSizes)
      dataset.finish()
      if (stats.skipped > 0) logWarning(s"$owner: ${stats.skippedText}")
      if (stats.rows == 0) Right(Nil) else Right(heads(task, dataset, stats, allocator, releases))
    }
  }

  private def heads(task: TaskContext, dataset: TrainingDataset, stats: DatasetStats, allocator: BufferAllocator, releases: Closer): Seq[GroupHead] = {
    val (outputs, weights) = NativeSpec.outputsOf(owner, learning, stats)
    val killMonitor = releases.own(new TaskKillMonitor(task))(_.close())
    val native = GroupsSpec(head.sized(stats.features, outputs), spec.inputs.head, weights, MemoryLimit.ofExecutor(), settings)
    killMonitor.over(() => dataset.cancel())(GroupHeads.train(dataset, native, allocator))
  }
}
