package io.flambeau.ml

import org.apache.spark.ml.Model
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.util.{DefaultParamsReadable, Identifiable, MLReader}
import org.apache.spark.sql.Dataset
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types.{ArrayType, DoubleType, StructField, StructType}

import io.flambeau.models.ModelRef
import io.flambeau.sql.ModelTask
import io.flambeau.train.{DatasetColumns, InputColumn, LearningTask, PackageSpec, Program}

/** Parameters of [[TorchRegressor]] and its model. */
trait TorchRegressorParams extends TrainingParams with HasFeatures with HasHead {
  override private[ml] def losses: Array[String] = HasTrainingLoss.Regression
  override private[ml] def metrics: Array[String] = HasTrainingLoop.RegressorMetrics
  setDefault(loss -> "mse")
}

/**
 * A regressor over features: a linear layer, or hidden layers with an activation, trained inside the executors.
 *
 * Features as for [[TorchClassifier]]. Labels are numbers, or vectors or arrays of numbers for several targets at once. They
 * are used as they are, so scale features and labels (StandardScaler) if their spread is far from one.
 */
class TorchRegressor(override val uid: String) extends TorchTrainer[TorchRegressionModel] with TorchRegressorParams {
  def this() = this(Identifiable.randomUID("torchRegressor"))

  override private[ml] def newModel(): TorchRegressionModel = new TorchRegressionModel(uid)

  override private[ml] def check(schema: StructType, conf: SQLConf): Unit = {
    HeadColumns.check(columns(schema), $(featuresCol), featurizer(conf))
    columns(schema).checkTargets($(labelCol))
    checkShared(schema)
  }

  override private[ml] def datasetColumns(dataset: Dataset[_], conf: SQLConf): DatasetColumns = {
    val all = columns(dataset.schema)
    datasetOf(dataset, Seq(HeadColumns.input(all, dataset, $(featuresCol), featurizer(conf), skipsInvalid)), all.targets(dataset, $(labelCol)))
  }

  override private[ml] def training(schema: StructType, conf: SQLConf): (Program, LearningTask, PackageSpec) =
    (headProgram, LearningTask.Regression, HeadColumns.result(uid, None, featurizer(conf)))

  override private[ml] def added(schema: StructType, conf: SQLConf): StructType = {
    HeadColumns.refuseExisting(schema, Seq($(predictionCol)), why => fail(why))
    val kind = schema($(labelCol)).dataType match {
      case VectorType | _: ArrayType => VectorType
      case _ => DoubleType
    }
    schema.add(StructField($(predictionCol), kind, nullable = skipsInvalid))
  }

  private def featurizer(conf: SQLConf): Option[ModelRef] = get(modelName).map(TrainingColumns.resolve(_, conf))

  override def copy(extra: ParamMap): TorchRegressor = defaultCopy[TorchRegressor](extra).withCallbackOf(this)
}

object TorchRegressor extends DefaultParamsReadable[TorchRegressor] {
  override def load(path: String): TorchRegressor = super.load(path)
}

/** A fitted [[TorchRegressor]]: adds the predicted number, or a vector of them, lazily, by one forward pass inside the executors. */
class TorchRegressionModel(override val uid: String) extends Model[TorchRegressionModel] with TrainedModel with TorchRegressorParams {

  override private[ml] def evaluation(ref: ModelRef, schema: StructType): Evaluation =
    Evaluation(ref, Seq($(featuresCol)), ModelTask.Infer, Predictions.ofNumbers(ref.spec, ref.spec.outputs.head, $(predictionCol)))

  override def copy(extra: ParamMap): TorchRegressionModel =
    copyValues(new TorchRegressionModel(uid), extra).withSummary(summaryIfAny).setParent(parent)
}

object TorchRegressionModel extends DefaultParamsReadable[TorchRegressionModel] {
  override def read: MLReader[TorchRegressionModel] = SavedPackage.reader(super.read)
  override def load(path: String): TorchRegressionModel = super.load(path)
}

/** Features of heads: a column as it is, or through a featurizer. */
private[ml] object HeadColumns {
  def check(columns: TrainingColumns, features: String, featurizer: Option[ModelRef]): Unit =
    featurizer.fold(columns.checkFeatures(features))(columns.checkFeaturizer(features, _))

  def input(columns: TrainingColumns, dataset: Dataset[_], features: String, featurizer: Option[ModelRef], nullOnError: Boolean): InputColumn =
    featurizer.fold(columns.features(dataset, features))(columns.featurized(dataset, features, _, nullOnError))

  def result(uid: String, labels: Option[Seq[String]], featurizer: Option[ModelRef]): PackageSpec = PackageSpec(
    uid, labels, featurizer.fold("NOASSERTION")(_.spec.license), s"trained by $uid${featurizer.fold("")(ref => s" over ${ref.spec.name}")}", featurizer)

  def refuseExisting(schema: StructType, names: Seq[String], fail: String => Nothing): Unit =
    names.find(schema.fieldNames.contains).foreach(name => fail(s"there is already a column '$name'"))

  /** The schema with a classifier's columns, those that have a name. */
  def withClasses(schema: StructType, raw: String, probability: String, prediction: String, nullable: Boolean, fail: String => Nothing): StructType = {
    val fields = Seq(raw -> VectorType, probability -> VectorType, prediction -> DoubleType)
      .collect { case (name, kind) if name.nonEmpty => StructField(name, kind, nullable) }
    refuseExisting(schema, fields.map(_.name), fail)
    StructType(schema.fields ++ fields)
  }
}
