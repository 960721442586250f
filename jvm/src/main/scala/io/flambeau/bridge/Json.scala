package io.flambeau.bridge

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import com.fasterxml.jackson.module.scala.DefaultScalaModule

/** JSON for the few structured arguments and answers of native calls; Jackson is Spark's own. */
private[flambeau] object Json {
  private val mapper = new ObjectMapper().registerModule(DefaultScalaModule)

  def write(value: Any): String = mapper.writeValueAsString(value)

  def read(text: String): JsonNode = mapper.readTree(text)

  /** JSON has no NaN: it comes as null. */
  def double(node: JsonNode): Double = if (node == null || node.isNull) Double.NaN else node.asDouble
}
