package io.flambeau.models

import com.fasterxml.jackson.databind.annotation.JsonDeserialize

import io.flambeau.bridge.Json
import io.flambeau.conf.{Named, NamedValues}

/** The kind of an input. */
sealed abstract class InputKind(override val name: String) extends Named

object InputKind extends NamedValues[InputKind] {
  case object Image extends InputKind("image")
  case object Text extends InputKind("text")
  case object Audio extends InputKind("audio")
  case object Tensor extends InputKind("tensor")
  override val all: Seq[InputKind] = Seq(Image, Text, Audio, Tensor)
}

/** The role of an output. */
sealed abstract class OutputRole(override val name: String) extends Named

object OutputRole extends NamedValues[OutputRole] {
  case object Features extends OutputRole("features")
  case object Scores extends OutputRole("scores")
  case object Ctc extends OutputRole("ctc")
  case object Boxes extends OutputRole("boxes")
  case object BoxScores extends OutputRole("box_scores")
  case object BoxClasses extends OutputRole("box_classes")
  case object PixelScores extends OutputRole("pixel_scores")
  case object TokenScores extends OutputRole("token_scores")
  case object StartScores extends OutputRole("start_scores")
  case object EndScores extends OutputRole("end_scores")
  case object Other extends OutputRole("other")
  override val all: Seq[OutputRole] =
    Seq(Features, Scores, Ctc, Boxes, BoxScores, BoxClasses, PixelScores, TokenScores, StartScores, EndScores, Other)
}

/** An input as the package declares it; `dtype` and `shape` (of one row) are those of a tensor. */
final case class TensorSpec(name: String, kind: InputKind, dtype: String, @JsonDeserialize(contentAs = classOf[java.lang.Long]) shape: Seq[Long])

/**
 * An output: `shape` is of one row; `labels` is how many labels it has, 0 for none.
 *
 * @param entailment
 *   index of the label that says that one text follows from another ("entailment"), if there is one
 */
final case class OutputSpec(
    name: String, role: OutputRole, dtype: String, @JsonDeserialize(contentAs = classOf[java.lang.Long]) shape: Seq[Long], labels: Int,
    @JsonDeserialize(contentAs = classOf[java.lang.Integer]) entailment: Option[Int])

/**
 * The description of a package, as the native side read it. Only the native side parses model.toml.
 *
 * @param hash
 *   SHA-256 of model.toml, which itself holds the hashes of every other file: the identity of the content
 * @param trainable
 *   whether its program can be trained further
 */
final case class ModelSpec(
    name: String, hash: String, description: String, license: String, inputs: Seq[TensorSpec], outputs: Seq[OutputSpec], batchRows: Int,
    trainable: Boolean) {

  /** The first output of this role. */
  def output(role: OutputRole): Option[OutputSpec] = outputs.find(_.role == role)
}

object ModelSpec {
  def fromJson(text: String): ModelSpec = Json.as[ModelSpec](text)
}
