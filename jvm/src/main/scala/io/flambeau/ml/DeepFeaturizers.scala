package io.flambeau.ml

import org.apache.spark.ml.Transformer
import org.apache.spark.ml.param.{Param, ParamMap}
import org.apache.spark.ml.util.{DefaultParamsReadable, Identifiable, MLReader}
import org.apache.spark.sql.types.{ArrayType, FloatType, StructType}

import io.flambeau.models.{InputKind, ModelRef, OutputRole, OutputSpec}
import io.flambeau.sql.ModelTask

/** A stage over a model with one input, of one kind. */
abstract class SingleInputStage extends PretrainedStage with HasInput with HasOutput with HasModelName {

  /** The kind that the model's input must have: image, text or audio. */
  private[ml] def kind: InputKind

  override private[ml] def modelParam: Param[String] = modelName

  /** Fails unless the model has this one input and an output of the role; gives that output. */
  private[ml] def requireModel(ref: ModelRef, role: OutputRole): OutputSpec = {
    val inputs = ref.spec.inputs
    if (inputs.length != 1 || inputs.head.kind != kind) {
      fail(s"it is for models with one input of kind $kind; model '${ref.name}' takes " +
        s"${inputs.map(i => s"${i.name} (${i.kind})").mkString(", ")}${SingleInputStage.advice(inputs.map(_.kind))}")
    }
    ref.spec.output(role).getOrElse(
      fail(s"model '${ref.name}' has no output of role $role; its outputs are " +
        s"${ref.spec.outputs.map(o => s"${o.name} (${o.role})").mkString(", ")}. TorchModelTransformer returns all of them"))
  }
}

private[ml] object SingleInputStage {
  def advice(kinds: Seq[InputKind]): String = kinds match {
    case Seq(InputKind.Image) => ": use DeepImageFeaturizer or DeepImagePredictor"
    case Seq(InputKind.Text) => ": use DeepTextFeaturizer"
    case Seq(InputKind.Audio) => ": use DeepAudioFeaturizer"
    case _ => ": use TorchModelTransformer"
  }
}

/** A stage that gives the model's features. */
abstract class DeepFeaturizer extends SingleInputStage with HasOutputType {

  setDefault(outputType -> HasOutputType.Vector)

  override private[ml] def evaluation(ref: ModelRef, schema: StructType): Evaluation = {
    val features = requireModel(ref, OutputRole.Features)
    val floats = ArrayType(FloatType, containsNull = false)
    val output = Outputs.numbers(needed(outputCol), floats, Outputs.size(features.shape), asVector)(identity)
    Evaluation(ref, Seq(needed(inputCol)), ModelTask.Featurize, Seq(output))
  }
}

/**
 * The features of images: `featurize` as a pipeline stage.
 *
 * {{{
 * new DeepImageFeaturizer().setInputCol("content").setOutputCol("features").setModelName("efficientnet_lite0")
 * }}}
 *
 * `CrossValidator` reads its input again for every fold and every set of parameters. A featurizer inside the pipeline runs each
 * time. If that costs too much, cache the featurized rows and cross-validate the estimator alone.
 */
class DeepImageFeaturizer(override val uid: String) extends DeepFeaturizer {
  def this() = this(Identifiable.randomUID("deepImageFeaturizer"))
  override private[ml] def kind: InputKind = InputKind.Image
  override def copy(extra: ParamMap): Transformer = defaultCopy(extra)
}

object DeepImageFeaturizer extends DefaultParamsReadable[DeepImageFeaturizer] {
  override def read: MLReader[DeepImageFeaturizer] = SavedPackage.reader(super.read)
  override def load(path: String): DeepImageFeaturizer = super.load(path)
}

/** The features (embeddings) of texts: `featurize` as a pipeline stage, over a column of strings. */
class DeepTextFeaturizer(override val uid: String) extends DeepFeaturizer {
  def this() = this(Identifiable.randomUID("deepTextFeaturizer"))
  override private[ml] def kind: InputKind = InputKind.Text
  override def copy(extra: ParamMap): Transformer = defaultCopy(extra)
}

object DeepTextFeaturizer extends DefaultParamsReadable[DeepTextFeaturizer] {
  override def read: MLReader[DeepTextFeaturizer] = SavedPackage.reader(super.read)
  override def load(path: String): DeepTextFeaturizer = super.load(path)
}

/** The features of sounds: `featurize` as a pipeline stage, over a column of encoded bytes (WAV, FLAC, MP3, OGG). */
class DeepAudioFeaturizer(override val uid: String) extends DeepFeaturizer {
  def this() = this(Identifiable.randomUID("deepAudioFeaturizer"))
  override private[ml] def kind: InputKind = InputKind.Audio
  override def copy(extra: ParamMap): Transformer = defaultCopy(extra)
}

object DeepAudioFeaturizer extends DefaultParamsReadable[DeepAudioFeaturizer] {
  override def read: MLReader[DeepAudioFeaturizer] = SavedPackage.reader(super.read)
  override def load(path: String): DeepAudioFeaturizer = super.load(path)
}
