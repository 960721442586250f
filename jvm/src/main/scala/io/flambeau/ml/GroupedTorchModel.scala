package io.flambeau.ml

import org.apache.hadoop.fs.Path
import org.apache.spark.ml.Model
import org.apache.spark.ml.util.{DefaultParamsWritable, MLReader, MLWriter}
import org.apache.spark.sql.{DataFrame, Dataset}
import org.apache.spark.sql.catalyst.expressions.Expression
import org.apache.spark.sql.functions.{broadcast, col}
import org.apache.spark.sql.types.{ArrayType, FloatType, StructType}

import io.flambeau.spark.ExpressionColumn

/**
 * Shared by the models of many groups: the table of heads, and each row's values from its own group's head. The table is joined
 * to the rows as a broadcast; the head is evaluated in the row's task.
 */
abstract class GroupedTorchModel[M <: GroupedTorchModel[M]] extends Model[M] with GroupedParams with DefaultParamsWritable {
  @transient private var table: Option[DataFrame] = None

  /** The columns to add, from the head's values, an array of `outputs` floats. */
  private[ml] def outputColumns(outputs: Int): Seq[Output]

  /** A row for each group: the group's column, `rows`, `loss` (mean over the last epoch, NaN if it diverged) and `parameters`. */
  def models: DataFrame = table.getOrElse(fail("the model has no groups"))

  private[ml] final def withModels(value: DataFrame): M = {
    table = Some(value)
    this.asInstanceOf[M]
  }

  /** `same` with this model's groups and parent. */
  private[ml] final def handOver(same: M): M = {
    table.foreach(same.withModels)
    same.setParent(parent)
  }

  /** How many outputs each head has. */
  private[ml] final def outputs: Int = {
    val metadata = models.schema(GroupedTorchModel.Parameters).metadata
    // Models that were saved before there were classes do not have it.
    if (metadata.contains(GroupedTorchModel.Outputs)) Math.toIntExact(metadata.getLong(GroupedTorchModel.Outputs)) else 1
  }

  /** `handleInvalid` decides about rows of a group that was not trained, as about rows without features. */
  override def transform(dataset: Dataset[_]): DataFrame = {
    transformSchema(dataset.schema)
    val (key, parameters, values, given) = ("__flambeau_group", "__flambeau_parameters", "__flambeau_features", "__flambeau_outputs")
    val heads = models.select(col(ModelStage.quoted($(groupCol))).as(key), col(GroupedTorchModel.Parameters).as(parameters))
    val withFeatures = dataset.select(col("*"), features(dataset).value.cast(ArrayType(FloatType)).as(values))
    val joined = withFeatures.join(broadcast(heads), withFeatures.col(ModelStage.quoted($(groupCol))) === heads.col(key), "left_outer")
    val head = GroupHeadOutput(
      ExpressionColumn.expression(joined.col(values)), ExpressionColumn.expression(joined.col(parameters)), $(hiddenLayers).toSeq, $(activation), outputs)
    val checked: Expression = $(handleInvalid) match {
      case HasInvalid.Error =>
        Required(head, uid, uid, s"there is no model for its group, or its features are NULL, NaN or infinite, or their number differs from the training rows")
      case _ => head
    }
    val own = dataset.columns.toSeq
    val all = joined.select(own.map(c => joined.col(ModelStage.quoted(c))) :+ ExpressionColumn.of(checked).as(given): _*)
    val kept = if ($(handleInvalid) == HasInvalid.Skip) all.where(all.col(given).isNotNull) else all
    val result = ExpressionColumn.expression(kept.col(given))
    kept.select(own.map(c => kept.col(ModelStage.quoted(c))) ++
        outputColumns(outputs).map(o => ExpressionColumn.of(o.value(result)).as(o.column, o.metadata)): _*)
  }

  override def transformSchema(schema: StructType): StructType = {
    checkColumns(schema)
    added(schema)
  }

  override def write: MLWriter = new GroupedTorchModel.Writer(this, super.write)
}

private[ml] object GroupedTorchModel {
  val Rows = "rows"
  val Loss = "loss"
  val Parameters = "parameters"

  /** Key of the metadata of `parameters`: how many outputs a head has. */
  val Outputs = "outputs"

  private val Folder = "models"

  private final class Writer(model: GroupedTorchModel[_], params: MLWriter) extends MLWriter {
    override protected def saveImpl(path: String): Unit = {
      params.session(sparkSession).save(path)
      model.models.write.parquet(new Path(path, Folder).toString)
    }
  }

  /** Reads the groups in addition to the contents of `params`. */
  def reader[M <: GroupedTorchModel[M]](params: MLReader[M]): MLReader[M] = new MLReader[M] {
    override def load(path: String): M =
      params.session(sparkSession).load(path).withModels(sparkSession.read.parquet(new Path(path, Folder).toString))
  }
}
