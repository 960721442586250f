package io.flambeau.models

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.JsonNode

import io.flambeau.bridge.Json

/** An input as the package declares it. `kind`: image, text, audio or tensor; `dtype` and `shape` (of one row) are those of a tensor. */
final case class TensorSpec(name: String, kind: String, dtype: String, shape: Seq[Long])

/** An output: `role` is features, scores or other; `shape` is of one row; `labels` is how many labels it has, 0 for none. */
final case class OutputSpec(name: String, role: String, dtype: String, shape: Seq[Long], labels: Int)

/**
 * What a package says of itself, as the native side read it: the only parser of model.toml is there.
 *
 * @param hash
 *   SHA-256 of model.toml, which itself holds the hashes of every other file: the identity of the content
 * @param trainable
 *   whether its program can be trained further
 */
final case class ModelSpec(
    name: String, hash: String, description: String, license: String, inputs: Seq[TensorSpec], outputs: Seq[OutputSpec], batchRows: Int,
    trainable: Boolean = false) {

  /** The first output of this role. */
  def output(role: String): Option[OutputSpec] = outputs.find(_.role == role)
}

object ModelSpec {
  def fromJson(text: String): ModelSpec = {
    val root = Json.read(text)
    ModelSpec(
      name = root.get("name").asText,
      hash = root.get("hash").asText,
      description = root.get("description").asText,
      license = root.get("license").asText,
      inputs = elements(root.get("inputs")).map(n =>
        TensorSpec(n.get("name").asText, n.get("kind").asText, n.get("dtype").asText, shape(n))),
      outputs = elements(root.get("outputs")).map(n =>
        OutputSpec(n.get("name").asText, n.get("role").asText, n.get("dtype").asText, shape(n), n.get("labels").asInt)),
      batchRows = root.get("batch_rows").asInt,
      trainable = Option(root.get("trainable")).exists(_.asBoolean))
  }

  private def elements(node: JsonNode): Seq[JsonNode] = node.elements.asScala.toSeq

  private def shape(node: JsonNode): Seq[Long] = elements(node.get("shape")).map(_.asLong)
}
