package io.flambeau.ml

import org.apache.spark.ml.param.{Param, Params}
import org.apache.spark.sql.Dataset
import org.apache.spark.sql.types.StructType

import io.flambeau.FlambeauAnalysisException
import io.flambeau.train.InputColumn

/** The column of groups. */
trait HasGroupCol extends Params {

  /** The column that names a row's group. No default. */
  final val groupCol: Param[String] = new Param[String](this, "groupCol", "column that says which model a row belongs to", StageParams.notEmpty _)

  final def getGroupCol: String = $(groupCol)
  def setGroupCol(value: String): this.type = set(groupCol, value)
}

/** Parameters of the estimators of many small models, and of their models. Driver only. */
trait GroupedParams extends Params with HasTrainingColumns with HasFeatures with HasHead with HasOptimizer with HasTrainingLoop with HasTrainingLoss
    with HasInvalid with HasGroupCol {
  override private[ml] def metrics: Array[String] = Array("loss")

  /** The schema with the columns that the model adds. */
  private[ml] def added(schema: StructType): StructType

  private[ml] final def fail(why: String): Nothing = throw new FlambeauAnalysisException("FLAMBEAU_BAD_ARGUMENT", s"$uid: $why")

  private[ml] final def columnsOf(schema: StructType): TrainingColumns = new TrainingColumns(schema, why => fail(why))

  private[ml] final def features(dataset: Dataset[_]): InputColumn = columnsOf(dataset.schema).features(dataset, $(featuresCol))

  private[ml] final def skipsInvalid: Boolean = $(handleInvalid) != HasInvalid.Error

  private[ml] final def checkColumns(schema: StructType): Unit = {
    columnsOf(schema).field(get(groupCol).getOrElse(fail("groupCol is not set")))
    columnsOf(schema).checkFeatures($(featuresCol))
  }
}
