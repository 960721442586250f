package io.flambeau.ml

import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.util.{DefaultParamsReadable, Identifiable, MLReader}
import org.apache.spark.sql.Dataset
import org.apache.spark.sql.catalyst.expressions.{Cast, GetArrayItem, Literal}
import org.apache.spark.sql.types.{DoubleType, StructField, StructType}

import io.flambeau.train.{DatasetColumns, LearningTask}

/** Parameters of [[GroupedTorchRegressor]] and its model. */
trait GroupedTorchRegressorParams extends GroupedParams {
  override private[ml] def losses: Array[String] = HasTrainingLoss.Regression

  setDefault(loss -> "mse")

  override private[ml] def added(schema: StructType): StructType = {
    HeadColumns.refuseExisting(schema, Seq($(predictionCol)), why => fail(why))
    schema.add(StructField($(predictionCol), DoubleType, nullable = skipsInvalid))
  }
}

/**
 * One small regressor for every group of the rows (one per shop, machine or country), thousands of them in one job.
 *
 * {{{
 * new GroupedTorchRegressor().setGroupCol("shop").setHiddenLayers(Array(8)).setNumWorkers(16).fit(sales)
 * }}}
 *
 * Each of `numWorkers` tasks gets all rows of its groups and trains their heads together. The result is the same as if each group
 * were trained alone. `batchSize` counts the rows of one group; not set: all of them. Not supported: parameters that watch, stop or
 * save one training, and `modelName`, `dropout`, `clipNorm` and `bf16`.
 */
class GroupedTorchRegressor(override val uid: String) extends GroupedTorchTrainer[GroupedTorchRegressionModel] with GroupedTorchRegressorParams {
  def this() = this(Identifiable.randomUID("groupedTorchRegressor"))

  override private[ml] def learning(dataset: Dataset[_], columns: DatasetColumns): LearningTask = LearningTask.Regression

  override private[ml] def newModel(): GroupedTorchRegressionModel = new GroupedTorchRegressionModel(uid)

  override def copy(extra: ParamMap): GroupedTorchRegressor = defaultCopy(extra)
}

object GroupedTorchRegressor extends DefaultParamsReadable[GroupedTorchRegressor] {
  override def load(path: String): GroupedTorchRegressor = super.load(path)
}

/** A fitted [[GroupedTorchRegressor]]: gives each row the prediction of its own group's model. */
class GroupedTorchRegressionModel(override val uid: String) extends GroupedTorchModel[GroupedTorchRegressionModel] with GroupedTorchRegressorParams {

  override private[ml] def outputColumns(outputs: Int): Seq[Output] =
    Seq(Output($(predictionCol), DoubleType, values => Cast(GetArrayItem(values, Literal(0)), DoubleType)))

  override def copy(extra: ParamMap): GroupedTorchRegressionModel = handOver(copyValues(new GroupedTorchRegressionModel(uid), extra))
}

object GroupedTorchRegressionModel extends DefaultParamsReadable[GroupedTorchRegressionModel] {
  override def read: MLReader[GroupedTorchRegressionModel] = GroupedTorchModel.reader(super.read)
  override def load(path: String): GroupedTorchRegressionModel = super.load(path)
}
