package io.flambeau.ml

import org.apache.spark.ml.Estimator
import org.apache.spark.ml.param.Param
import org.apache.spark.ml.util.DefaultParamsWritable
import org.apache.spark.sql.Dataset
import org.apache.spark.sql.functions.{col, when, xxhash64}
import org.apache.spark.sql.types.{Metadata, MetadataBuilder, StructType}

import io.flambeau.bridge.spec.{GroupsSettings, ImageLimits, LossName}
import io.flambeau.train.{DatasetColumns, GroupJob, LabelColumn, LearningTask}

/**
 * Shared by the estimators of many small models: from rows to groups, one job, and a table with a head for each group. Runs
 * on the driver, on the thread that called `fit`; the table is in its memory.
 */
abstract class GroupedTorchTrainer[M <: GroupedTorchModel[M]] extends Estimator[M] with GroupedParams with DefaultParamsWritable {

  /** The kind of labels; classes with their number, which all groups share. May read the dataset. */
  private[ml] def learning(dataset: Dataset[_], columns: DatasetColumns): LearningTask

  /** The model without parameters and groups. */
  private[ml] def newModel(): M

  /** The native specification, as far as parameters alone decide it. */
  private[ml] final def settings: GroupsSettings = GroupsSettings(
    loss = LossName.of($(loss)), labelSmoothing = smoothing, huberDelta = $(huberDelta), optimizer = optimizerSpec, schedule = scheduleSpec,
    batchRows = get(batchSize), epochs = $(maxEpochs), seed = nativeSeed)

  /** If labels are classes. */
  private[ml] def smoothing: Double = 0.0

  /** Parameters that are set and have no meaning for groups. */
  private[ml] def foreign: Seq[Param[_]] = Seq[Param[_]](
    modelName, validationIndicatorCol, patience, microBatchSize, checkpointDir, checkpointSteps, resumeFrom, logDir, clipNorm, emaDecay, stepsPerEpoch,
    errorCol).filter(
    isSet(_)) ++
    Seq($(dropLast) -> dropLast, ($(dropout) > 0) -> dropout, ($(precision) != "f32") -> precision, ($(huberDelta) != 1.0) -> huberDelta).collect {
      case (true, one) => one
    }

  override def fit(dataset: Dataset[_]): M = {
    check(dataset.schema)
    val all = columnsOf(dataset.schema)
    val group = dataset.col(ModelStage.quoted($(groupCol)))
    val columns = DatasetColumns(
      Seq(features(dataset)), LabelColumn(all.number(dataset, $(labelCol))), get(weightCol).filter(_.nonEmpty).map(all.number(dataset, _)), None,
      Some(when(group.isNotNull, xxhash64(group))))
    val what = learning(dataset, columns)
    val frame = columns.frame(dataset, $(numWorkers), $(numWorkers))
    val plan = columns.plan(frame, $(numWorkers), skipsInvalid, None, ImageLimits.of(ModelStage.confOf(dataset.sparkSession)))
    val heads = GroupJob.run(frame, uid, plan, what, settings, headProgram)
    if (heads.isEmpty) fail("there is no row to train on")
    val session = dataset.sparkSession
    val keys =
      dataset.select(group.as($(groupCol))).where(group.isNotNull).distinct().withColumn(DatasetColumns.Id, xxhash64(col(ModelStage.quoted($(groupCol)))))
    val rows = session.createDataFrame(heads.map(h => (h.group, h.rows, h.loss, h.parameters.toSeq)))
      .toDF(DatasetColumns.Id, GroupedTorchModel.Rows, GroupedTorchModel.Loss, GroupedTorchModel.Parameters)
    val joined = keys.join(rows, DatasetColumns.Id).drop(DatasetColumns.Id)
    val models = joined.collect()
    if (models.length != heads.length) fail(s"${models.length} groups share ${heads.length} hash values: rename a group")
    val schema = StructType(joined.schema.map(f => if (f.name == GroupedTorchModel.Parameters) f.copy(metadata = outputsOf(what)) else f))
    copyValues(newModel().setParent(this)).withModels(session.createDataFrame(java.util.Arrays.asList(models: _*), schema))
  }

  /** How many outputs a head has. It is part of the table, saved or not. */
  private def outputsOf(what: LearningTask): Metadata = {
    val outputs = what match {
      case LearningTask.Classification(classes, _, _) => classes.getOrElse(throw new IllegalStateException("all groups' classes were counted"))
      case LearningTask.Regression => 1
    }
    new MetadataBuilder().putLong(GroupedTorchModel.Outputs, outputs.toLong).build()
  }

  private def check(schema: StructType): Unit = {
    checkColumns(schema)
    columnsOf(schema).checkNumber($(labelCol))
    get(weightCol).filter(_.nonEmpty).foreach(columnsOf(schema).checkNumber)
    foreign.headOption.foreach(param => fail(s"${param.name} is not supported for groups"))
  }

  override def transformSchema(schema: StructType): StructType = {
    check(schema)
    added(schema)
  }
}
