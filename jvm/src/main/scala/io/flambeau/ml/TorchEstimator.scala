package io.flambeau.ml

import org.apache.spark.ml.Model
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.util.{DefaultParamsReadable, Identifiable, MLReader}
import org.apache.spark.sql.Dataset
import org.apache.spark.sql.functions.lit
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types.{DoubleType, StructField, StructType}

import io.flambeau.bridge.spec.{LossName, MetricName}
import io.flambeau.models.{InputKind, ModelRef, OutputSpec}
import io.flambeau.sql.ModelTask
import io.flambeau.train.{DatasetColumns, LabelColumn, LearningTask, PackageSpec, Program}

/** Parameters of [[TorchEstimator]] and its model. */
trait TorchEstimatorParams extends TrainingParams with HasProgram with HasPairs with HasAugmentation with HasClassWeights with HasScoreColumns {
  override private[ml] def losses: Array[String] = HasTrainingLoss.All :+ HasTrainingLoss.MethodExample
  override private[ml] def metrics: Array[String] = (HasTrainingLoop.ClassifierMetrics ++ HasTrainingLoop.RegressorMetrics).distinct
  setDefault(loss -> "cross_entropy")

  /** Whether rows are pairs, without labels. */
  private[ml] final def ofPairs: Boolean = $(loss) == LossName.Contrastive.name

  /** Whether labels are classes, and exactly one is right. */
  private[ml] final def ofClasses: Boolean = $(loss) == "cross_entropy"

  private[ml] final def outputOf(ref: ModelRef, fail: String => Nothing): OutputSpec = get(outputName) match {
    case None => ref.spec.outputs.head
    case Some(name) =>
      ref.spec.outputs.find(_.name == name).getOrElse(fail(s"model '${ref.name}' has no output '$name'; it has ${ref.spec.outputs.map(_.name).mkString(", ")}"))
  }
}

/**
 * Trains a TorchScript program with parameters, whole or in part: fine-tunes a network end to end, inside the executors.
 *
 * {{{
 * new TorchEstimator().setModelName("/models/net").setFeaturesCol("content").setFrozen(Array("backbone*")).setLoss("cross_entropy")
 * }}}
 *
 * The program is a trainable package, made from a PyTorch module with `flambeau.export.trainable`. Its inputs are of any kind.
 * The loss has a name, or is a method of the program (`method:NAME`) that takes the output and the labels and returns each
 * row's loss. With `cross_entropy`, labels are classes and the model adds Spark ML's columns of a classifier. With any other
 * loss it adds the output as the prediction: a number, a vector, or arrays of arrays as `infer` returns them. With `contrastive` there are
 * no labels: outputs of rows and of their partners (`pairCol`) become similar, and those of others do not.
 */
class TorchEstimator(override val uid: String) extends TorchTrainer[TorchEstimatorModel] with TorchEstimatorParams {
  def this() = this(Identifiable.randomUID("torchEstimator"))

  override private[ml] def newModel(): TorchEstimatorModel = new TorchEstimatorModel(uid)

  override private[ml] def datasetParams: Seq[String] = super.datasetParams ++ Seq(loss.name, pairCol.name)

  override private[ml] def check(schema: StructType, conf: SQLConf): Unit = {
    val ref = program(conf)
    val all = columns(schema)
    inputColumns(ref).zipWithIndex.foreach { case (column, index) => all.input(column, ref, index) }
    val output = outputOf(ref, why => fail(why))
    checkPairs(all, ref, output)
    if (ofClasses) all.checkNumber($(labelCol)) else if (!ofPairs) all.checkTargets($(labelCol), output.shape)
    if (ofClasses && output.shape.length != 1) {
      fail(s"cross_entropy takes one score for each class, output '${output.name}' has shape ${output.shape.mkString("[", ", ", "]")}: " +
        "use a loss of the program's own (method:NAME), or bce")
    }
    if (ofClasses) thresholdsOf(Outputs.size(outputOf(ref, why => fail(why)).shape), why => fail(why))
    else if (isSet(thresholds)) fail(s"thresholds need classes: use them with the loss cross_entropy, not with ${$(loss)}")
    if (augmentation.isDefined && !ref.spec.inputs.exists(_.kind == InputKind.Image))
      fail(s"augmentFlip, augmentShift and augmentColorJitter are for images; '${ref.name}' does not take images")
    if ($(metricMethods).nonEmpty && !hasValidation) fail("metricMethods are for validation rows: set validationIndicatorCol")
    $(metricMethods).find(TorchEstimator.HistoryNames).foreach(name =>
      fail(s"a metric of metricMethods cannot have the name $name: the history has a column of it"))
    checkShared(schema)
  }

  override private[ml] def datasetColumns(dataset: Dataset[_], conf: SQLConf): DatasetColumns = {
    val ref = program(conf)
    val all = columns(dataset.schema)
    val inputs = inputColumns(ref).zipWithIndex.map { case (column, index) => all.input(dataset, column, ref, index) }
    val label =
      if (ofClasses) LabelColumn(all.number(dataset, $(labelCol)))
      else if (ofPairs) LabelColumn(lit(0.0)) // not read
      else all.targets(dataset, $(labelCol), outputOf(ref, why => fail(why)).shape)
    val pairs = if (ofPairs) Seq(all.input(dataset, $(pairCol), ref, 0)).map(pair => pair.copy(name = TorchEstimator.PairOf + pair.name)) else Nil
    datasetOf(dataset, inputs, label.copy(range = if ($(loss) == "bce") Some((0.0, 1.0)) else None)).copy(pairs = pairs)
  }

  private def checkPairs(all: TrainingColumns, ref: ModelRef, output: OutputSpec): Unit = {
    if (ofPairs != isDefined(pairCol)) {
      fail(if (ofPairs) "the loss contrastive compares each row with its partner: set pairCol" else s"pairCol is for the loss contrastive, not for ${$(loss)}")
    }
    if (ofPairs) {
      if (ref.spec.inputs.length != 1)
        fail(s"the loss contrastive takes a program with one input, which reads featuresCol and pairCol; '${ref.name}' has ${ref.spec.inputs.length}")
      if (output.shape.length != 1)
        fail(s"the loss contrastive takes a vector for each row, output '${output.name}' has shape ${output.shape.mkString("[", ", ", "]")}")
      if (isDefined(classWeights) || $(balance)) fail("classWeights and balance do not go with the loss contrastive, which has no classes")
      all.input($(pairCol), ref, 0)
    }
  }

  override private[ml] def reader(conf: SQLConf): Option[ModelRef] = Some(program(conf)).filter(_.spec.inputs.exists(_.kind != InputKind.Tensor))

  override private[ml] def training(schema: StructType, conf: SQLConf): (Program, LearningTask, PackageSpec) = {
    val ref = program(conf)
    val output = outputOf(ref, why => fail(why))
    val method = Some($(loss)).filter(_.startsWith(HasTrainingLoss.Method)).map(_.stripPrefix(HasTrainingLoss.Method))
    val learning =
      if (ofClasses) LearningTask.Classification(Some(Outputs.size(output.shape).toInt), get(classWeights).map(_.toSeq), $(balance))
      else LearningTask.Regression
    val labels = if (ofClasses) columns(schema).classLabels($(labelCol)).names else None
    (
      Program.Package(ref, output.name, parameterSettings, method, $(metricMethods).toSeq, augmentation), learning,
      PackageSpec(uid, labels, ref.spec.license, s"${ref.spec.name}, trained by $uid", None))
  }

  override private[ml] def namedLoss: LossName = if ($(loss).startsWith(HasTrainingLoss.Method)) LossName.Mse else super.namedLoss

  override private[ml] def smoothing: Double = $(labelSmoothing)

  override private[ml] def temperatureOfPairs: Double = $(temperature)

  override private[ml] def added(schema: StructType, conf: SQLConf): StructType = {
    val ref = program(conf)
    val number = Predictions.numbersType(ref.spec, outputOf(ref, why => fail(why)))
    val fields =
      if (ofClasses) Seq($(rawPredictionCol) -> VectorType, $(probabilityCol) -> VectorType, $(predictionCol) -> DoubleType).filter(_._1.nonEmpty)
      else Seq($(predictionCol) -> number)
    HeadColumns.refuseExisting(schema, fields.map(_._1), why => fail(why))
    StructType(schema.fields ++ fields.map { case (name, kind) => StructField(name, kind, nullable = skipsInvalid) })
  }

  private def program(conf: SQLConf): ModelRef = {
    val ref = TrainingColumns.resolve(get(modelName).getOrElse(fail("modelName is not set")), conf)
    if (!ref.spec.trainable) fail(s"model '${ref.name}' is a package for inference: make a trainable one with flambeau.export.trainable")
    ref
  }

  private def inputColumns(ref: ModelRef): Seq[String] = columnsOf(ref.spec.inputs.map(_.name), why => fail(why))

  override def copy(extra: ParamMap): TorchEstimator = defaultCopy[TorchEstimator](extra).withCallbackOf(this)
}

object TorchEstimator extends DefaultParamsReadable[TorchEstimator] {

  /** Before the name of an input, in the workers' rows: the partner's. */
  private val PairOf = "pair_of_"

  /** Columns of a history. */
  private val HistoryNames: Set[String] = MetricName.names.toSet ++ TrainingSummary.Columns

  override def load(path: String): TorchEstimator = super.load(path)
}

/** A fitted [[TorchEstimator]]: adds a classifier's columns, or the program's output as the prediction, lazily. */
class TorchEstimatorModel(override val uid: String) extends Model[TorchEstimatorModel] with TrainedModel with TorchEstimatorParams {

  override private[ml] def evaluation(ref: ModelRef, schema: StructType): Evaluation = {
    val output = outputOf(ref, why => fail(why))
    val outputs =
      if (ofClasses) Predictions.ofClasses(
        ref.spec, output, $(rawPredictionCol), $(probabilityCol), $(predictionCol), thresholdsOf(Outputs.size(output.shape), why => fail(why)))
      else Predictions.ofNumbers(ref.spec, output, $(predictionCol))
    Evaluation(ref, columnsOf(ref.spec.inputs.map(_.name), why => fail(why)), ModelTask.Infer, outputs)
  }

  override def copy(extra: ParamMap): TorchEstimatorModel =
    copyValues(new TorchEstimatorModel(uid), extra).withSummary(summaryIfAny).setParent(parent)
}

object TorchEstimatorModel extends DefaultParamsReadable[TorchEstimatorModel] {
  override def read: MLReader[TorchEstimatorModel] = SavedPackage.reader(super.read)
  override def load(path: String): TorchEstimatorModel = super.load(path)
}
