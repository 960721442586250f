package io.flambeau.ml

import org.apache.spark.ml.param.{Param, Params}
import org.apache.spark.ml.param.shared._

/*
 * The columns that estimators read and their models add: Spark ML's own shared parameters, with setters. Names, defaults and
 * documentation are Spark's.
 */

/** Columns of every estimator. */
trait HasTrainingColumns extends Params with HasLabelCol with HasPredictionCol with HasWeightCol with HasValidationIndicatorCol {

  def setLabelCol(value: String): this.type = set(labelCol, value)

  def setPredictionCol(value: String): this.type = set(predictionCol, value)

  def setWeightCol(value: String): this.type = set(weightCol, value)

  def setValidationIndicatorCol(value: String): this.type = set(validationIndicatorCol, value)
}

/** The column of features, and the model that computes them, if there is one. */
trait HasFeatures extends Params with HasFeaturesCol {

  /** Frozen featurizer. `featuresCol` then holds its input: images, sounds or texts. Not set: the column holds features. */
  final val modelName: Param[String] = new Param[String](
    this,
    "modelName",
    "model that computes the features for the head, and is not trained: a name (looked up in spark.flambeau.models.path, then in jars), " +
      "a path or a URI; featuresCol then holds images, sounds or texts; not set: featuresCol holds vectors or arrays of numbers",
    StageParams.notEmpty _)

  final def getModelName: String = $(modelName)

  def setModelName(value: String): this.type = set(modelName, value)

  def setFeaturesCol(value: String): this.type = set(featuresCol, value)
}

/**
 * The columns of class scores that classifiers add to the prediction (an empty name omits a column), and Spark ML's
 * `thresholds`. The prediction is the class with the largest probability / threshold; not set: the most probable class.
 */
trait HasScoreColumns extends Params with HasProbabilityCol with HasRawPredictionCol with HasThresholds {

  def setProbabilityCol(value: String): this.type = set(probabilityCol, value)

  def setRawPredictionCol(value: String): this.type = set(rawPredictionCol, value)

  def setThresholds(value: Array[Double]): this.type = set(thresholds, value)

  /** The thresholds, one for each of the classes, if any are set. */
  private[ml] final def thresholdsOf(classes: Long, fail: String => Nothing): Option[Seq[Double]] = get(thresholds).map { each =>
    if (each.length != classes) fail(s"thresholds has ${each.length} values, but there are $classes classes: give one for each, in the order of the labels")
    each.toSeq
  }
}
