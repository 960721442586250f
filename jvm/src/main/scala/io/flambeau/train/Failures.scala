package io.flambeau.train

import org.apache.spark.TaskContext

import io.flambeau.FlambeauException
import io.flambeau.bridge.{ErrorKind, NativeException}
import io.flambeau.spark.SparkAccess

/** Native failures of a training as users see them: cause, worker, and the setting to change. */
private[train] object Failures {

  /** Failures that a retry may avoid: a lost peer, or memory that others use now. Everything else would happen again. */
  private val Passing = Set[ErrorKind](ErrorKind.Peer, ErrorKind.Canceled, ErrorKind.OutOfMemory)

  /** Whether a retry would fail again, so that the failure goes to the driver as a value. */
  def isLasting(cause: NativeException): Boolean = !Passing(cause.kind)

  /** Whether it only says that another worker failed. */
  def isOfPeer(cause: NativeException): Boolean = cause.kind == ErrorKind.Peer

  def translated(owner: String, rank: Int, world: Int, cause: NativeException): FlambeauException =
    // Once rows are in the dataset, a row is named by its id.
    if (cause.kind == ErrorKind.BadInput && cause.row >= 0) DatasetWriter.refusal(owner, cause.row, cause.getMessage, "")
    else ofWorker(owner, rank, world, cause)

  private def ofWorker(owner: String, rank: Int, world: Int, cause: NativeException): FlambeauException = {
    val advice = cause.kind match {
      case ErrorKind.Diverged =>
        "Scaling the features or warmupSteps help too. An id is the row's partition, times 2^33, plus its position there."
      case ErrorKind.Peer =>
        "The stage is tried again, from the last checkpoint if checkpointDir is set; look at the log of the worker that failed first. If none failed, raise peerTimeout."
      case ErrorKind.BadInput => "Repair the row, or filter it out."
      case ErrorKind.BadModel => "Export the package again (flambeau.export.trainable)."
      case ErrorKind.BadRequest => "Compare the parameters with docs/training.md."
      case ErrorKind.BadCheckpoint => "Use another checkpoint, or start without resumeFrom."
      case ErrorKind.Disk => Storage.ScratchAdvice
      case ErrorKind.OutOfMemory =>
        "Lower microBatchSize or batchSize, or raise spark.executor.memoryOverhead."
      case ErrorKind.Torch => "The program failed on this batch: check that labels and inputs match the program."
      case ErrorKind.Canceled => "The job was canceled."
      case _ => FlambeauException.Bug
    }
    val who = if (world == 1) owner else s"$owner, worker $rank of $world"
    new FlambeauException(
      cause.kind.condition, s"$who: ${cause.getMessage}. $advice", Map("model" -> owner, "cause" -> cause.getMessage, "rank" -> rank.toString), cause)
  }

  /** Ends the task with Spark's own exception if it failed because it was killed. */
  def rethrow(task: TaskContext, failure: FlambeauException): Nothing = {
    SparkAccess.stopIfKilled(task)
    throw failure
  }
}
