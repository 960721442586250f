package io.flambeau.ml

import org.apache.spark.ml.Model
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.util.{DefaultParamsReadable, Identifiable, MLReader}
import org.apache.spark.sql.Dataset
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types.StructType

import io.flambeau.models.{ModelRef, OutputRole}
import io.flambeau.sql.ModelTask
import io.flambeau.train.{DatasetColumns, LabelColumn, LearningTask, PackageSpec, Program}

/** Parameters of [[TorchClassifier]] and its model. */
trait TorchClassifierParams extends TrainingParams with HasFeatures with HasHead with HasClassWeights with HasScoreColumns {
  override private[ml] def losses: Array[String] = HasTrainingLoss.Classification
  override private[ml] def metrics: Array[String] = HasTrainingLoop.ClassifierMetrics
  setDefault(loss -> "cross_entropy")
}

/**
 * A classifier over features: a linear layer, or hidden layers with an activation, trained inside the executors.
 *
 * {{{
 * new TorchClassifier().setFeaturesCol("content").setModelName("efficientnet_lite0").setLabelCol("label").setNumWorkers(4)
 * }}}
 *
 * Features are Spark ML's vectors or arrays of numbers. With `modelName` they are images, sounds or texts, and that model computes
 * their features, once for all epochs; it is not trained. Labels are 0, 1, … as StringIndexer makes them. The label column's
 * metadata name the classes. The same rows, seed and batch size give the same model with one worker and with several, up to
 * the rounding of floats.
 */
class TorchClassifier(override val uid: String) extends TorchTrainer[TorchClassificationModel] with TorchClassifierParams {
  def this() = this(Identifiable.randomUID("torchClassifier"))

  override private[ml] def newModel(): TorchClassificationModel = new TorchClassificationModel(uid)

  override private[ml] def check(schema: StructType, conf: SQLConf): Unit = {
    HeadColumns.check(columns(schema), $(featuresCol), featurizer(conf))
    columns(schema).checkNumber($(labelCol))
    checkShared(schema)
  }

  override private[ml] def datasetColumns(dataset: Dataset[_], conf: SQLConf): DatasetColumns = {
    val all = columns(dataset.schema)
    datasetOf(dataset, Seq(HeadColumns.input(all, dataset, $(featuresCol), featurizer(conf), skipsInvalid)), LabelColumn(all.number(dataset, $(labelCol))))
  }

  override private[ml] def training(schema: StructType, conf: SQLConf): (Program, LearningTask, PackageSpec) = {
    val labels = columns(schema).classLabels($(labelCol))
    labels.count.foreach(classes => thresholdsOf(classes, why => fail(why)))
    (
      headProgram,
      LearningTask.Classification(labels.count, get(classWeights).map(_.toSeq), $(balance)),
      HeadColumns.result(uid, labels.names, featurizer(conf)))
  }

  override private[ml] def smoothing: Double = $(labelSmoothing)

  override private[ml] def added(schema: StructType, conf: SQLConf): StructType =
    HeadColumns.withClasses(schema, $(rawPredictionCol), $(probabilityCol), $(predictionCol), skipsInvalid, why => fail(why))

  private def featurizer(conf: SQLConf): Option[ModelRef] = get(modelName).map(TrainingColumns.resolve(_, conf))

  override def copy(extra: ParamMap): TorchClassifier = defaultCopy[TorchClassifier](extra).withCallbackOf(this)
}

object TorchClassifier extends DefaultParamsReadable[TorchClassifier] {
  override def load(path: String): TorchClassifier = super.load(path)
}

/**
 * A fitted [[TorchClassifier]]: adds the scores, the probabilities of all classes and the most probable class, lazily, by one
 * forward pass inside the executors.
 */
class TorchClassificationModel(override val uid: String) extends Model[TorchClassificationModel] with TrainedModel with TorchClassifierParams {

  /** Number of classes. */
  def numClasses: Int = Outputs.size(scoresOf(TrainingColumns.resolve(needed(model), ModelStage.activeConf)).shape).toInt

  override private[ml] def evaluation(ref: ModelRef, schema: StructType): Evaluation = {
    val scores = scoresOf(ref)
    val outputs = Predictions.ofClasses(
      ref.spec, scores, $(rawPredictionCol), $(probabilityCol), $(predictionCol), thresholdsOf(Outputs.size(scores.shape), why => fail(why)))
    if (outputs.isEmpty) fail("predictionCol, probabilityCol and rawPredictionCol are all empty, so there is nothing to add")
    Evaluation(ref, Seq($(featuresCol)), ModelTask.Infer, outputs)
  }

  private def scoresOf(ref: ModelRef) = ref.spec.output(OutputRole.Scores).getOrElse(fail(s"model '${ref.name}' gives no scores"))

  override def copy(extra: ParamMap): TorchClassificationModel =
    copyValues(new TorchClassificationModel(uid), extra).withSummary(summaryIfAny).setParent(parent)
}

object TorchClassificationModel extends DefaultParamsReadable[TorchClassificationModel] {
  override def read: MLReader[TorchClassificationModel] = SavedPackage.reader(super.read)
  override def load(path: String): TorchClassificationModel = super.load(path)
}
