package io.flambeau.sql

import io.flambeau.FlambeauException
import io.flambeau.bridge.{ErrorKind, NativeException}

/** A native failure of an evaluation as users meet it: cause, row, and what to change. */
private[flambeau] object EvaluationFailure {

  /**
   * The user's view of a native failure.
   *
   * @param model
   *   the model's name as the user wrote it
   * @param functions
   *   the functions that asked for this evaluation, e.g. `featurize`
   * @param partition
   *   the task's partition
   * @param firstRow
   *   index in that partition of the batch's first row, 0-based
   */
  def apply(cause: NativeException, model: String, functions: Seq[String], partition: Int, firstRow: Long): FlambeauException = {
    val names = functions.distinct.mkString(" and ")
    val where = if (cause.row >= 0) s", row ${firstRow + cause.row} of partition $partition" else s", partition $partition"
    val what = s"$names with model '$model'$where: ${cause.getMessage}"
    val strict = functions.distinct.filterNot(_.startsWith("try_"))
    val advice = cause.kind match {
      case ErrorKind.BadInput =>
        s"Use ${strict.map("try_" + _).mkString(" and ")} to get NULL for such rows instead (in a stage: set handleInvalid), or repair the row."
      case ErrorKind.BadModel if cause.getMessage.contains("Unknown builtin op") =>
        "Executors have PyTorch's own operators only: write this one with torch functions, and export again."
      case ErrorKind.BadModel => "Export the package again (python -m flambeau.export), or copy it again if it was damaged."
      case ErrorKind.BadRequest =>
        "Compare the call with the inputs and outputs that the package declares in model.toml (python -m flambeau.models show)."
      case ErrorKind.OutOfMemory =>
        "Lower spark.flambeau.batch.rows or spark.flambeau.batch.bytes, or raise spark.executor.memoryOverhead. On a GPU: run fewer tasks on it."
      case ErrorKind.Device =>
        "Set spark.flambeau.libtorch to a CUDA build of libtorch on every executor, or spark.flambeau.device=cpu. If this GPU worked before, " +
          "this executor cannot use it any more: spark.excludeOnFailure.enabled=true keeps tasks away from it."
      case ErrorKind.Torch => "The model's program failed on this batch: check that its inputs match the ones that it was exported for."
      case ErrorKind.Canceled => "The task was canceled."
      case _ => FlambeauException.Bug
    }
    val row = if (cause.row >= 0) Map("row" -> (firstRow + cause.row).toString) else Map.empty[String, String]
    new FlambeauException(
      cause.kind.condition,
      s"$what. $advice",
      Map("model" -> model, "cause" -> cause.getMessage, "partition" -> partition.toString) ++ row,
      cause)
  }
}
