package io.flambeau.ml

import org.apache.hadoop.fs.Path
import org.apache.spark.ml.{Estimator, Model}
import org.apache.spark.ml.param.{Param, ParamMap, Params}
import org.apache.spark.ml.util.{DefaultParamsReadable, DefaultParamsWritable, Identifiable, MLReader, MLWriter}
import org.apache.spark.sql.{DataFrame, Dataset}
import org.apache.spark.sql.classic.ColumnConversions.toRichColumn
import org.apache.spark.sql.functions.{broadcast, col, xxhash64}
import org.apache.spark.sql.types.{DoubleType, StructField, StructType}

import io.flambeau.FlambeauAnalysisException
import io.flambeau.train.{FeedColumns, FeedInput, GroupJob}

/** What [[GroupedTorchRegressor]] asks and its model keeps. */
trait GroupedTorchRegressorParams extends Params with HasTrainingColumns with HasFeatures with HasHead with HasOptimizer with HasTrainingLoop with HasTrainingLoss with HasInvalid {
  override private[ml] def losses: Array[String] = HasTrainingLoss.Regression
  override private[ml] def metrics: Array[String] = Array("loss")

  /** The column that says which model a row belongs to. No default. */
  final val groupCol: Param[String] = new Param[String](this, "groupCol", "column that says which model a row belongs to", StageParams.notEmpty _)

  setDefault(loss -> "mse")

  final def getGroupCol: String = $(groupCol)
  def setGroupCol(value: String): this.type = set(groupCol, value)

  private[ml] final def fail(why: String): Nothing = throw new FlambeauAnalysisException("FLAMBEAU_BAD_ARGUMENT", s"$uid: $why")

  private[ml] final def columnsOf(schema: StructType): TrainingColumns = new TrainingColumns(schema, why => fail(why))

  private[ml] final def features(dataset: Dataset[_]): FeedInput = columnsOf(dataset.schema).features(dataset, $(featuresCol))

  private[ml] final def checkColumns(schema: StructType): Unit = {
    columnsOf(schema).field(get(groupCol).getOrElse(fail("groupCol is not set")))
    columnsOf(schema).checkFeatures($(featuresCol))
  }

  private[ml] final def added(schema: StructType): StructType = {
    HeadColumns.refuseExisting(schema, Seq($(predictionCol)), why => fail(why))
    schema.add(StructField($(predictionCol), DoubleType, nullable = $(handleInvalid) != HasInvalid.Error))
  }
}

/**
 * One small regressor for every group of the rows (a model a shop, a machine, a country), thousands of them in one job.
 *
 * {{{
 * new GroupedTorchRegressor().setGroupCol("shop").setHiddenLayers(Array(8)).setNumWorkers(16).fit(sales)
 * }}}
 *
 * Each of `numWorkers` tasks gets all rows of its groups and trains their heads together; a group's head is what it would be if
 * it were trained alone. `batchSize` is of a group's rows; not set: all of them. Of the parameters of [[TorchRegressor]]
 * those that watch, stop or save one training do not go with it, nor do `modelName`, `dropout`, `clipNorm` and `bf16`.
 */
class GroupedTorchRegressor(override val uid: String) extends Estimator[GroupedTorchRegressionModel] with GroupedTorchRegressorParams with DefaultParamsWritable {
  def this() = this(Identifiable.randomUID("groupedTorchRegressor"))

  override def fit(dataset: Dataset[_]): GroupedTorchRegressionModel = {
    check(dataset.schema)
    val all = columnsOf(dataset.schema)
    val group = dataset.col(ModelStage.quoted($(groupCol)))
    val feed = FeedColumns(
      Seq(features(dataset)), all.number(dataset, $(labelCol)), get(weightCol).filter(_.nonEmpty).map(all.number(dataset, _)), None,
      Some(org.apache.spark.sql.functions.when(group.isNotNull, xxhash64(group))))
    val frame = feed.frame(dataset, $(numWorkers), $(numWorkers))
    val head = Map[String, Any]("outputs" -> 1, "hidden" -> $(hiddenLayers).toSeq, "activation" -> $(activation))
    val settings = Map[String, Any](
      "loss" -> $(loss), "optimizer" -> optimizerSpec, "schedule" -> scheduleSpec, "batch_rows" -> get(batchSize), "epochs" -> $(maxEpochs),
      "seed" -> ($(seed) & Long.MaxValue))
    val heads = GroupJob.run(frame, uid, feed.spec(frame, $(numWorkers), $(handleInvalid) != HasInvalid.Error), settings, head)
    if (heads.isEmpty) fail("there is no row to train on")
    val session = dataset.sparkSession
    val keys = dataset.select(group.as($(groupCol))).where(group.isNotNull).distinct().withColumn(FeedColumns.Id, xxhash64(col(ModelStage.quoted($(groupCol)))))
    val rows = session.createDataFrame(heads.map(h => (h.group, h.rows, h.loss, h.parameters.toSeq)))
      .toDF(FeedColumns.Id, GroupedTorchRegressor.Rows, GroupedTorchRegressor.Loss, GroupedTorchRegressor.Parameters)
    val models = keys.join(rows, FeedColumns.Id).drop(FeedColumns.Id).collect()
    if (models.length != heads.length) fail(s"${models.length} groups share ${heads.length} hash values: rename a group")
    val schema = keys.join(rows, FeedColumns.Id).drop(FeedColumns.Id).schema
    copyValues(new GroupedTorchRegressionModel(uid).setParent(this)).withModels(session.createDataFrame(java.util.Arrays.asList(models: _*), schema))
  }

  private def check(schema: StructType): Unit = {
    checkColumns(schema)
    columnsOf(schema).checkNumber($(labelCol))
    get(weightCol).filter(_.nonEmpty).foreach(columnsOf(schema).checkNumber)
    val foreign = Seq(
      modelName, validationIndicatorCol, patience, microBatchSize, checkpointDir, checkpointSteps, resumeFrom, logDir, clipNorm, errorCol).filter(isSet(_)) ++
      Option.when($(dropout) > 0)(dropout) ++ Option.when($(precision) != "f32")(precision) ++ Option.when($(huberDelta) != 1.0)(huberDelta)
    foreign.headOption.foreach(param => fail(s"${param.name} does not go with groups"))
  }

  override def transformSchema(schema: StructType): StructType = {
    check(schema)
    added(schema)
  }

  override def copy(extra: ParamMap): GroupedTorchRegressor = defaultCopy(extra)
}

object GroupedTorchRegressor extends DefaultParamsReadable[GroupedTorchRegressor] {
  private[ml] val Rows = "rows"
  private[ml] val Loss = "loss"
  private[ml] val Parameters = "parameters"
  override def load(path: String): GroupedTorchRegressor = super.load(path)
}

/** A fitted [[GroupedTorchRegressor]]: gives each row the prediction of its own group's model. */
class GroupedTorchRegressionModel(override val uid: String) extends Model[GroupedTorchRegressionModel] with GroupedTorchRegressorParams with DefaultParamsWritable {
  @transient private var table: Option[DataFrame] = None

  /** A row for each group: the group's column, `rows`, `loss` (mean over the last epoch, NaN where it diverged) and `parameters`. */
  def models: DataFrame = table.getOrElse(fail("the model has no groups"))

  private[ml] def withModels(value: DataFrame): this.type = {
    table = Some(value)
    this
  }

  /** Rows of a group that was not trained are handled by `handleInvalid`, as rows without features are. */
  override def transform(dataset: Dataset[_]): DataFrame = {
    transformSchema(dataset.schema)
    val (key, parameters, values) = ("__flambeau_group", "__flambeau_parameters", "__flambeau_features")
    val heads = models.select(col(ModelStage.quoted($(groupCol))).as(key), col(GroupedTorchRegressor.Parameters).as(parameters))
    val fed = dataset.select(col("*"), features(dataset).value.as(values))
    val joined = fed.join(broadcast(heads), fed.col(ModelStage.quoted($(groupCol))) === heads.col(key), "left_outer")
    val output = GroupHeadOutput(toRichColumn(joined.col(values)).expr, toRichColumn(joined.col(parameters)).expr, $(hiddenLayers).toSeq, $(activation))
    val checked = $(handleInvalid) match {
      case HasInvalid.Error => Required(output, uid, uid, s"there is no model for its group, or its features are NULL or not as many as those trained on")
      case _ => output
    }
    val predicted = joined.select(dataset.columns.map(c => joined.col(ModelStage.quoted(c))).toSeq :+ ExpressionColumn.of(checked).as($(predictionCol)): _*)
    if ($(handleInvalid) == HasInvalid.Skip) predicted.where(predicted.col(ModelStage.quoted($(predictionCol))).isNotNull) else predicted
  }

  override def transformSchema(schema: StructType): StructType = {
    checkColumns(schema)
    added(schema)
  }

  override def write: MLWriter = new GroupedTorchRegressionModel.Writer(this, super.write)

  override def copy(extra: ParamMap): GroupedTorchRegressionModel = {
    val same = copyValues(new GroupedTorchRegressionModel(uid), extra)
    table.foreach(same.withModels)
    same.setParent(parent)
  }
}

object GroupedTorchRegressionModel extends DefaultParamsReadable[GroupedTorchRegressionModel] {
  private val Folder = "models"

  private final class Writer(model: GroupedTorchRegressionModel, params: MLWriter) extends MLWriter {
    override protected def saveImpl(path: String): Unit = {
      params.session(sparkSession).save(path)
      model.models.write.parquet(new Path(path, Folder).toString)
    }
  }

  override def read: MLReader[GroupedTorchRegressionModel] = {
    val params = super.read
    new MLReader[GroupedTorchRegressionModel] {
      override def load(path: String): GroupedTorchRegressionModel =
        params.session(sparkSession).load(path).withModels(sparkSession.read.parquet(new Path(path, Folder).toString))
    }
  }

  override def load(path: String): GroupedTorchRegressionModel = super.load(path)
}
