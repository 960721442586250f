package io.flambeau.ml

import org.apache.spark.ml.param.{Param, ParamMap}
import org.apache.spark.ml.util.{DefaultParamsReadable, Identifiable, MLReader}
import org.apache.spark.sql.Dataset
import org.apache.spark.sql.types.StructType

import io.flambeau.train.{DatasetColumns, LearningTask, NativeSpec}

/** Parameters of [[GroupedTorchClassifier]] and its model. */
trait GroupedTorchClassifierParams extends GroupedParams with HasClassWeights with HasScoreColumns {
  override private[ml] def losses: Array[String] = HasTrainingLoss.Classification

  setDefault(loss -> "cross_entropy")

  override private[ml] def added(schema: StructType): StructType = {
    if (Seq($(rawPredictionCol), $(probabilityCol), $(predictionCol)).forall(_.isEmpty)) {
      fail("predictionCol, probabilityCol and rawPredictionCol are all empty, so there is nothing to add")
    }
    HeadColumns.withClasses(schema, $(rawPredictionCol), $(probabilityCol), $(predictionCol), skipsInvalid, why => fail(why))
  }
}

/**
 * One small classifier for every group of the rows (one per shop, machine or country), thousands of them in one job.
 *
 * {{{
 * new GroupedTorchClassifier().setGroupCol("shop").setHiddenLayers(Array(8)).setNumWorkers(16).fit(visits)
 * }}}
 *
 * Labels are 0, 1, … as for [[TorchClassifier]]. All groups have the same classes. Their number comes from the label column's
 * metadata. Without metadata it is the largest label of all rows plus one, and the rows are read again to find it. Otherwise as
 * [[GroupedTorchRegressor]]. `balance` is not supported.
 */
class GroupedTorchClassifier(override val uid: String) extends GroupedTorchTrainer[GroupedTorchClassificationModel] with GroupedTorchClassifierParams {
  def this() = this(Identifiable.randomUID("groupedTorchClassifier"))

  /** Bad labels do not count here: the task that gets such a row fails or leaves it out. */
  override private[ml] def learning(dataset: Dataset[_], columns: DatasetColumns): LearningTask = {
    val classes = columnsOf(dataset.schema).classLabels($(labelCol)).count.getOrElse {
      val (found, different) = columns.classesAndLabels(dataset)
      NativeSpec.checkGaps(uid, found, different)
      math.max(2, found)
    }
    LearningTask.Classification(Some(classes), get(classWeights).map(_.toSeq), balance = false)
  }

  override private[ml] def smoothing: Double = $(labelSmoothing)

  override private[ml] def foreign: Seq[Param[_]] = super.foreign ++ Seq(balance).filter($(_))

  override private[ml] def newModel(): GroupedTorchClassificationModel = new GroupedTorchClassificationModel(uid)

  override def copy(extra: ParamMap): GroupedTorchClassifier = defaultCopy(extra)
}

object GroupedTorchClassifier extends DefaultParamsReadable[GroupedTorchClassifier] {
  override def load(path: String): GroupedTorchClassifier = super.load(path)
}

/**
 * A fitted [[GroupedTorchClassifier]]: gives each row the scores, the probabilities of all classes and the most probable class
 * by its own group's model.
 */
class GroupedTorchClassificationModel(override val uid: String)
    extends GroupedTorchModel[GroupedTorchClassificationModel]
    with GroupedTorchClassifierParams {

  /** Number of classes of each model. */
  def numClasses: Int = outputs

  override private[ml] def outputColumns(outputs: Int): Seq[Output] =
    Predictions.ofScores(
      identity, outputs.toLong, $(rawPredictionCol), $(probabilityCol), $(predictionCol), thresholdsOf(outputs.toLong, why => fail(why)))

  override def copy(extra: ParamMap): GroupedTorchClassificationModel = handOver(copyValues(new GroupedTorchClassificationModel(uid), extra))
}

object GroupedTorchClassificationModel extends DefaultParamsReadable[GroupedTorchClassificationModel] {
  override def read: MLReader[GroupedTorchClassificationModel] = GroupedTorchModel.reader(super.read)
  override def load(path: String): GroupedTorchClassificationModel = super.load(path)
}
