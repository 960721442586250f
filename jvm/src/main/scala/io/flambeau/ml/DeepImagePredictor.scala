package io.flambeau.ml

import org.apache.spark.ml.Transformer
import org.apache.spark.ml.param.{BooleanParam, IntParam, ParamMap, ParamValidators}
import org.apache.spark.ml.util.{DefaultParamsReadable, Identifiable, MLReader}
import org.apache.spark.sql.types.{ArrayType, FloatType, StructType}

import io.flambeau.models.{InputKind, ModelRef, OutputRole}
import io.flambeau.sql.ModelTask

/**
 * The classes of images.
 *
 * With `decodePredictions` (default): the `topK` most probable classes, best first, as
 * `array<struct<label: string, index: int, probability: float>>`, the same as `classify` in SQL. Without: the probabilities of
 * all classes in the order of the model's classes, as a vector (or an array, by `outputType`).
 */
class DeepImagePredictor(override val uid: String) extends SingleInputStage with HasOutputType {
  def this() = this(Identifiable.randomUID("deepImagePredictor"))

  /** Whether the result is labels with their probabilities (default), or the probabilities of all classes. */
  final val decodePredictions: BooleanParam = new BooleanParam(
    this, "decodePredictions", "whether the result is the topK labels with their probabilities, or the probabilities of all classes in the model's order")

  /** Maximum number of labels; default 5. */
  final val topK: IntParam = new IntParam(this, "topK", "maximum number of labels per row, with decodePredictions", ParamValidators.gt(0))

  setDefault(decodePredictions -> true, topK -> ModelTask.DefaultK, outputType -> HasOutputType.Vector)

  final def getDecodePredictions: Boolean = $(decodePredictions)

  def setDecodePredictions(value: Boolean): this.type = set(decodePredictions, value)

  final def getTopK: Int = $(topK)

  def setTopK(value: Int): this.type = set(topK, value)

  override private[ml] def kind: InputKind = InputKind.Image

  override private[ml] def evaluation(ref: ModelRef, schema: StructType): Evaluation = {
    val classes = Math.toIntExact(Outputs.size(requireModel(ref, OutputRole.Scores).shape))
    val task = ModelTask.Classify(if ($(decodePredictions)) $(topK) else classes)
    val output =
      if ($(decodePredictions)) Output(needed(outputCol), task.dataType(ref.spec), identity)
      else {
        val floats = ArrayType(FloatType, containsNull = false)
        Outputs.numbers(needed(outputCol), floats, classes.toLong, asVector)(InClassOrder(_, classes))
      }
    Evaluation(ref, Seq(needed(inputCol)), task, Seq(output))
  }

  override def copy(extra: ParamMap): Transformer = defaultCopy(extra)
}

object DeepImagePredictor extends DefaultParamsReadable[DeepImagePredictor] {
  override def read: MLReader[DeepImagePredictor] = SavedPackage.reader(super.read)
  override def load(path: String): DeepImagePredictor = super.load(path)
}
