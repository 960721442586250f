package io.flambeau.ml

import org.apache.spark.ml.param.{BooleanParam, DoubleParam, IntParam, Param, Params, ParamValidators}
import org.apache.spark.ml.param.shared.HasSeed

import io.flambeau.bridge.spec.{MetricName, Precision}

/** Length of the training, batches, workers, and what is written meanwhile. */
trait HasTrainingLoop extends Params with HasSeed {

  private[ml] def metrics: Array[String]

  /** Rows of one step over all workers together; default 64. */
  final val batchSize: IntParam = new IntParam(
    this, "batchSize", "rows of one step, over all workers together", ParamValidators.gt(0))

  /** Rows of one pass in a worker; gradients are added up over a step. Not set: the worker's whole part of the step. */
  final val microBatchSize: IntParam = new IntParam(
    this, "microBatchSize", "rows of one pass in a worker; gradients are added up over the step; not set: the worker's whole part of a step",
    ParamValidators.gt(0))

  /** Whether rows that do not fill an epoch's last batch are left out of that epoch; default false. */
  final val dropLast: BooleanParam = new BooleanParam(
    this, "dropLast", "whether rows that do not fill an epoch's last batch are left out of that epoch; other rows in each epoch")

  /** Steps after which an epoch ends. Not set: when all rows were used. */
  final val stepsPerEpoch: IntParam = new IntParam(
    this, "stepsPerEpoch", "steps after which an epoch ends, with other rows in each epoch; not set: when all rows were used", ParamValidators.gt(0))

  /** Maximum number of passes over the data; default 20. */
  final val maxEpochs: IntParam = new IntParam(
    this, "maxEpochs", "maximum number of passes over the data", ParamValidators.inRange(1, HasTrainingLoop.MostEpochs))

  /** Training ends after this many epochs without a better metric. Not set: never. Needs `validationIndicatorCol`. */
  final val patience: IntParam = new IntParam(
    this, "patience", "training ends after this many epochs without a better metric on the validation rows; not set: never; needs validationIndicatorCol",
    ParamValidators.gt(0))

  /** Least improvement of the metric that counts as better; default 0. */
  final val minDelta: DoubleParam = new DoubleParam(
    this, "minDelta", "least improvement of the metric that counts as better", StageParams.notNegative)

  /** Metric on the validation rows that compares epochs; default `loss`. */
  final val metric: Param[String] = new Param[String](
    this, "metric", s"metric on the validation rows that early stopping and restoreBest compare: ${metrics.mkString(", ")}",
    (name: String) => metrics.contains(name))

  /** Whether the result has the parameters of the best epoch, given validation rows; default true. */
  final val restoreBest: BooleanParam = new BooleanParam(
    this, "restoreBest", "whether the result has the parameters of the epoch that was best on the validation rows, or those of the last")

  /** `f32` (default) or `bf16`. */
  final val precision: Param[String] = new Param[String](
    this, "precision", "numbers of the forward and backward pass: f32 or bf16 (parameters stay f32)", StageParams.oneOf("precision", Precision.names))

  /** Spark tasks that train together; default 1. */
  final val numWorkers: IntParam = new IntParam(
    this, "numWorkers", "Spark tasks that train one model together; all must run at the same time",
    ParamValidators.inRange(1, HasTrainingLoop.MostWorkers))

  /** Folder for checkpoints, on any Hadoop file system that all executors see. Not set: none are written. */
  final val checkpointDir: Param[String] = new Param[String](
    this, "checkpointDir", "folder for checkpoints, on a Hadoop file system that all executors see; not set: none are written", StageParams.notEmpty _)

  /** Epochs between checkpoints; default 1. */
  final val checkpointEpochs: IntParam = new IntParam(
    this, "checkpointEpochs", "epochs between two checkpoints", ParamValidators.gt(0))

  /** Steps between checkpoints, in addition to those at the ends of epochs. Not set: none in between. */
  final val checkpointSteps: IntParam = new IntParam(
    this, "checkpointSteps", "steps between two checkpoints, beside those at the ends of epochs; not set: none in between", ParamValidators.gt(0))

  /** How many checkpoints of a fit are kept, the newest; default 2. */
  final val keepCheckpoints: IntParam = new IntParam(
    this, "keepCheckpoints", "how many checkpoints of a fit are kept, the newest", ParamValidators.gt(0))

  /** A checkpoint to continue from, or a folder of checkpoints (the newest is used). Not set: training starts from the beginning. */
  final val resumeFrom: Param[String] = new Param[String](
    this, "resumeFrom", "checkpoint to continue from, or folder of checkpoints (the newest is used); not set: training starts from the beginning",
    StageParams.notEmpty _)

  /** Folder for TensorBoard's event files. Not set: none are written. */
  final val logDir: Param[String] = new Param[String](
    this, "logDir", "folder for TensorBoard's event files, on a Hadoop file system; not set: none are written", StageParams.notEmpty _)

  /** Seconds that a worker waits for the others before it fails; default 120. */
  final val peerTimeout: IntParam = new IntParam(
    this, "peerTimeout", "seconds that a worker waits for another one before it fails", ParamValidators.gt(0))

  setDefault(
    batchSize -> 64, dropLast -> false, maxEpochs -> 20, minDelta -> 0.0, metric -> "loss", restoreBest -> true, precision -> "f32", numWorkers -> 1,
    checkpointEpochs -> 1, keepCheckpoints -> 2, peerTimeout -> 120, seed -> 0L)

  /** The native side's seed, which cannot be negative. */
  private[ml] final def nativeSeed: Long = $(seed) & Long.MaxValue

  def setSeed(value: Long): this.type = set(seed, value)
  final def getBatchSize: Int = $(batchSize)
  def setBatchSize(value: Int): this.type = set(batchSize, value)
  final def getMicroBatchSize: Int = $(microBatchSize)
  def setMicroBatchSize(value: Int): this.type = set(microBatchSize, value)
  final def getDropLast: Boolean = $(dropLast)
  def setDropLast(value: Boolean): this.type = set(dropLast, value)
  final def getStepsPerEpoch: Int = $(stepsPerEpoch)
  def setStepsPerEpoch(value: Int): this.type = set(stepsPerEpoch, value)
  final def getMaxEpochs: Int = $(maxEpochs)
  def setMaxEpochs(value: Int): this.type = set(maxEpochs, value)
  final def getPatience: Int = $(patience)
  def setPatience(value: Int): this.type = set(patience, value)
  final def getMinDelta: Double = $(minDelta)
  def setMinDelta(value: Double): this.type = set(minDelta, value)
  final def getMetric: String = $(metric)
  def setMetric(value: String): this.type = set(metric, value)
  final def getRestoreBest: Boolean = $(restoreBest)
  def setRestoreBest(value: Boolean): this.type = set(restoreBest, value)
  final def getPrecision: String = $(precision)
  def setPrecision(value: String): this.type = set(precision, value)
  final def getNumWorkers: Int = $(numWorkers)
  def setNumWorkers(value: Int): this.type = set(numWorkers, value)
  final def getCheckpointDir: String = $(checkpointDir)
  def setCheckpointDir(value: String): this.type = set(checkpointDir, value)
  final def getCheckpointEpochs: Int = $(checkpointEpochs)
  def setCheckpointEpochs(value: Int): this.type = set(checkpointEpochs, value)
  final def getCheckpointSteps: Int = $(checkpointSteps)
  def setCheckpointSteps(value: Int): this.type = set(checkpointSteps, value)
  final def getKeepCheckpoints: Int = $(keepCheckpoints)
  def setKeepCheckpoints(value: Int): this.type = set(keepCheckpoints, value)
  final def getResumeFrom: String = $(resumeFrom)
  def setResumeFrom(value: String): this.type = set(resumeFrom, value)
  final def getLogDir: String = $(logDir)
  def setLogDir(value: String): this.type = set(logDir, value)
  final def getPeerTimeout: Int = $(peerTimeout)
  def setPeerTimeout(value: Int): this.type = set(peerTimeout, value)
}

object HasTrainingLoop {

  /** The history has a row for each. */
  private val MostEpochs = 1000000.0

  /** Each has a shard of its own (DatasetColumns.MaxShards). */
  private val MostWorkers = 65536.0

  private[ml] val ClassifierMetrics = Seq(MetricName.Loss, MetricName.Accuracy, MetricName.Auc, MetricName.F1).map(_.name).toArray
  private[ml] val RegressorMetrics = Seq(MetricName.Loss, MetricName.Rmse, MetricName.Mae).map(_.name).toArray
}
