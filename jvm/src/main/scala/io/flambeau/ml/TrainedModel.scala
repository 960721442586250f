package io.flambeau.ml

import org.apache.spark.ml.param.Param
import org.apache.spark.sql.SparkSession

/**
 * Shared by fitted models: a package, made by a fit in this session or loaded with the model. It is always saved with
 * the model. It can also be saved alone, for `flambeau.register`, SQL and programs without Spark.
 */
trait TrainedModel extends ModelStage {

  /** The package with the trained program: a path or URI. Set by `fit` and by loading. */
  final val model: Param[String] =
    new Param[String](this, "model", "package with the trained program: a path or URI, set by fit and by loading", StageParams.notEmpty _)

  @transient private var trainingSummary: Option[TrainingSummary] = None

  final def getModel: String = $(model)

  override private[ml] def modelParam: Param[String] = model

  override private[ml] def carriesPackage: Boolean = true

  /** As in training. */
  override private[ml] def refusesNotFinite: Boolean = true

  /**
   * Copies the model's package into a new folder, on any Hadoop file system. It is a model like any other, for
   * `flambeau.register`, `featurize`, `classify`, `infer`.
   *
   * @throws java.nio.file.FileAlreadyExistsException
   *   if there is something at `path`
   */
  def savePackage(path: String): Unit = SavedPackage.copy(needed(model), path, SparkSession.active)

  /** Whether this model was fitted in this session. */
  def hasSummary: Boolean = trainingSummary.isDefined

  /** How its training went. */
  def summary: TrainingSummary = trainingSummary.getOrElse(fail("there is no summary: the model was loaded, not fitted in this session"))

  private[ml] def withSummary(value: Option[TrainingSummary]): this.type = {
    trainingSummary = value
    this
  }

  private[ml] def summaryIfAny: Option[TrainingSummary] = trainingSummary
}
