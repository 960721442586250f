package io.flambeau.ml

import java.util.UUID

import org.apache.hadoop.fs.Path
import org.apache.spark.ml.{Estimator, Model}
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.util.DefaultParamsWritable
import org.apache.spark.sql.Dataset
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types.StructType

import io.flambeau.{FlambeauAnalysisException, FlambeauException}
import io.flambeau.bridge.spec.{ImageLimits, LossName, MetricName, Precision, ScheduleSpec, TrainingSettings, ValidationSpec}
import io.flambeau.models.{HadoopSettings, ModelRef}
import io.flambeau.train._

/** Parameters of every estimator and its model. */
trait TrainingParams extends HasTrainingColumns with HasTrainingLoss with HasOptimizer with HasTrainingLoop with HasInvalid

/**
 * Shared by the estimators: from parameters and columns to a job, and from its results to models.
 *
 * `fit` with several parameter maps reads and featurizes the rows once for all maps that use the same rows (columns, featurizer,
 * batch size, workers), and trains them over that one dataset. Heads that differ only in how they are optimized are trained together,
 * others one after another.
 */
abstract class TorchTrainer[M <: Model[M] with TrainedModel] extends Estimator[M] with TrainingParams with DefaultParamsWritable {

  /** The rows to train on. */
  private[ml] def datasetColumns(dataset: Dataset[_], conf: SQLConf): DatasetColumns

  /** The training over these rows, its loss, and the description of its package. */
  private[ml] def training(schema: StructType, conf: SQLConf): (Program, LearningTask, PackageSpec)

  /** Fails if columns and parameters do not fit. */
  private[ml] def check(schema: StructType, conf: SQLConf): Unit

  /** Parameters that decide which rows are trained on, and how they are read. */
  private[ml] def datasetParams: Seq[String] = TorchTrainer.DatasetParams

  /** The package that prepares rows which are not numbers, if there are such rows. */
  private[ml] def reader(conf: SQLConf): Option[ModelRef] = None

  /** The model without parameters. */
  private[ml] def newModel(): M

  private var callback = Option.empty[EpochCallback]

  /**
   * Calls this after each epoch of a fit, on the driver; the workers wait meanwhile. It sees the epoch's losses and metrics, and may stop the training,
   * which then ends as with `patience`. With an error the fit fails. It is not a parameter: copies have it, a saved estimator does not.
   */
  def setEpochCallback(value: EpochCallback): this.type = {
    callback = Option(value)
    this
  }

  /** For `copy`. */
  private[ml] final def withCallbackOf(other: TorchTrainer[M]): this.type = {
    callback = other.callback
    this
  }

  /** A schedule that parameters cannot name, for a [[LearningRateRange]]. */
  private var rising = Option.empty[ScheduleSpec]

  /**
   * Tries learning rates: makes `steps` steps, each with a greater rate, and notes their losses. The result suggests a rate. Nothing else of
   * this estimator changes; validation rows are not used, and no checkpoint is written.
   *
   * @param from
   *   the first rate
   * @param to
   *   the last rate, if the loss has not exploded before
   */
  def findLearningRate(dataset: Dataset[_], from: Double = 1e-6, to: Double = 1.0, steps: Int = 100): LearningRateRange = {
    if (!(from > 0 && from < to && steps > LearningRateRange.LeastSteps))
      fail(s"learning rates are tried from a small one to a large one, in more than ${LearningRateRange.LeastSteps} steps: not from $from to $to in $steps")
    val trial = copy(ParamMap.empty).asInstanceOf[TorchTrainer[M]]
    Seq(validationIndicatorCol, patience, checkpointDir, checkpointSteps, resumeFrom, logDir).foreach(trial.clear(_))
    trial.set(learningRate, from).set(maxEpochs, steps).set(stepsPerEpoch, 1).set(metric, "loss")
    trial.rising = Some(LearningRateRange.schedule(from, to, steps))
    val seen = new LearningRateRange.Seen
    trial.setEpochCallback(seen)
    // The loss may become infinite in one step: that is an answer too.
    try { trial.fit(dataset); () }
    catch { case diverged: FlambeauException if diverged.getCondition == "FLAMBEAU_DIVERGED" && seen.isEnough => () }
    seen.range
  }

  override def fit(dataset: Dataset[_]): M = fitAll(dataset, Seq(this)).head

  override def fit(dataset: Dataset[_], paramMaps: Seq[ParamMap]): Seq[M] =
    fitAll(dataset, paramMaps.map(map => copy(map).asInstanceOf[TorchTrainer[M]]))

  override def transformSchema(schema: StructType): StructType = {
    val conf = ModelStage.activeConf
    check(schema, conf)
    added(schema, conf)
  }

  /** The schema of the model's results. */
  private[ml] def added(schema: StructType, conf: SQLConf): StructType

  private[ml] final def columns(schema: StructType): TrainingColumns = new TrainingColumns(schema, why => fail(why))

  private[ml] final def fail(why: String): Nothing = throw new FlambeauAnalysisException("FLAMBEAU_BAD_ARGUMENT", s"$uid: $why")

  private[ml] final def skipsInvalid: Boolean = $(handleInvalid) != HasInvalid.Error

  /** The label's, the weight's and the validation indicator's columns, checked. */
  private[ml] final def checkShared(schema: StructType): Unit = {
    if ($(labelCol).startsWith(TorchTrainer.OneVsRestLabel)) {
      fail(
        "OneVsRest takes Spark's own classifiers only; TorchClassifier and TorchEstimator support any number of classes, so fit them directly")
    }
    val all = columns(schema)
    get(weightCol).filter(_.nonEmpty).foreach(all.checkNumber)
    get(validationIndicatorCol).filter(_.nonEmpty).foreach(all.checkFlag)
    if (isDefined(patience) && !hasValidation) fail("patience needs validation rows: set validationIndicatorCol")
    if ($(metric) != "loss" && !hasValidation) fail(s"metric ${$(metric)} needs validation rows: set validationIndicatorCol")
    if (isDefined(microBatchSize) && $(microBatchSize) > $(batchSize)) fail(s"microBatchSize ${$(microBatchSize)} is more than batchSize ${$(batchSize)}")
    if ($(numWorkers) > $(batchSize)) fail(s"numWorkers ${$(numWorkers)} is more than batchSize ${$(batchSize)}: a worker would have no rows")
  }

  private[ml] final def hasValidation: Boolean = get(validationIndicatorCol).exists(_.nonEmpty)

  private[ml] final def datasetOf(dataset: Dataset[_], inputs: Seq[InputColumn], label: LabelColumn): DatasetColumns = {
    val all = columns(dataset.schema)
    DatasetColumns(
      inputs, label, get(weightCol).filter(_.nonEmpty).map(all.number(dataset, _)),
      get(validationIndicatorCol).filter(_.nonEmpty).map(all.flag(dataset, _)), None)
  }

  private def fitAll(dataset: Dataset[_], each: Seq[TorchTrainer[M]]): Seq[M] = {
    val session = dataset.sparkSession
    val conf = ModelStage.confOf(session)
    each.foreach(_.check(dataset.schema, conf))
    val models = each.zipWithIndex.groupBy { case (one, _) => one.feedKey }.toSeq.sortBy(_._2.head._2).flatMap { case (_, together) =>
      val first = together.head._1
      val fitName = s"$uid-${UUID.randomUUID().toString.take(8)}"
      val rows = first.datasetColumns(dataset, conf)
      val frame = rows.frame(dataset, first.getBatchSize, first.getNumWorkers)
      val job = JobSpec(
        uid, rows.plan(frame, first.getBatchSize, first.skipsInvalid, first.reader(conf), ImageLimits.of(conf)),
        together.zipWithIndex.map { case ((one, _), run) => one.runSpec(dataset.schema, conf, fitName, run) },
        first.getNumWorkers, first.getPeerTimeout * 1000L, HadoopSettings.of(conf), callback.isDefined)
      val calls = callback.map(call => new EpochCalls(EpochEnd.calls(call, together.map { case (one, index) => index -> one.getMaxEpochs })))
      val results =
        try TrainingJob.run(frame, job, calls)
        finally calls.foreach(_.close())
      together.zip(results).map { case ((one, index), result) =>
        val fitted = one.copyValues(newModel().setParent(one))
        fitted.set(fitted.model, result.directory.toUri.toString)
        fitted.withSummary(Some(TrainingSummary.of(session, result)))
        index -> fitted
      }
    }
    models.sortBy(_._1).map(_._2)
  }

  /** The values that must be equal for two parameter maps to share a dataset. */
  private def feedKey: Seq[Any] = datasetParams.filter(hasParam).map(name => get(getParam(name)).orElse(getDefault(getParam(name))))

  private def runSpec(schema: StructType, conf: SQLConf, fitName: String, run: Int): RunSpec = {
    val (program, learning, result) = training(schema, conf)
    val checkpoints = CheckpointSpec(
      get(checkpointDir).map(folder => new Path(new Path(folder, fitName), s"run-$run").toString), $(keepCheckpoints), get(resumeFrom))
    RunSpec(program, learning, settings, checkpoints, result, get(logDir).map(folder => new Path(folder, s"$fitName-$run").toString))
  }

  /** The loss if the program has no method for it. */
  private[ml] def namedLoss: LossName = LossName.of($(loss))

  /** Where rows are pairs. */
  private[ml] def temperatureOfPairs: Double = 1.0

  /** Where labels are classes. */
  private[ml] def smoothing: Double = 0.0

  /** The native specification, as far as parameters alone decide it. */
  private[ml] final def settings: TrainingSettings = TrainingSettings(
    loss = namedLoss,
    labelSmoothing = smoothing,
    huberDelta = $(huberDelta),
    temperature = temperatureOfPairs,
    optimizer = optimizerSpec,
    schedule = rising.getOrElse(scheduleSpec),
    clipNorm = get(clipNorm),
    emaDecay = get(emaDecay),
    batchRows = $(batchSize),
    microBatchRows = get(microBatchSize),
    epochs = $(maxEpochs),
    stepsPerEpoch = get(stepsPerEpoch),
    dropLast = $(dropLast),
    seed = nativeSeed,
    precision = Precision.of($(precision)),
    validation = ValidationSpec(MetricName.of($(metric)), get(patience), $(minDelta), $(restoreBest)),
    checkpointSteps = get(checkpointDir).flatMap(_ => get(checkpointSteps)),
    checkpointEpochs = get(checkpointDir).map(_ => $(checkpointEpochs)))
}

private[ml] object TorchTrainer {

  /** How Spark's OneVsRest begins the names of its labels. */
  private val OneVsRestLabel = "mc2b$"

  private val DatasetParams = Seq(
    "featuresCol", "labelCol", "weightCol", "validationIndicatorCol", "modelName", "inputMapping", "handleInvalid", "batchSize",
    "numWorkers", "peerTimeout", "groupCol")
}
