package io.flambeau.ml

import org.apache.spark.sql.types.{BinaryType, LongType, StringType, StructType}

/** Mistakes are found before anything runs, by transformSchema and transform alike, and say what to do. */
class StageChecksSuite extends StageSuite {

  private val schema = new StructType().add("id", LongType).add("content", BinaryType).add("text", StringType)

  private def refused(stage: ModelStage, parts: String*): Unit = {
    val empty = spark.createDataFrame(java.util.List.of[org.apache.spark.sql.Row](), schema)
    assertFails("FLAMBEAU_BAD_ARGUMENT", stage.uid +: parts: _*)(stage.transformSchema(schema))
    assertFails("FLAMBEAU_BAD_ARGUMENT", stage.uid +: parts: _*)(stage.transform(empty))
    ()
  }

  private def tensors = new TorchModelTransformer().setModel("tiny")

  test("columns") {
    refused(imageFeaturizer.setInputCol("picture"), "no column 'picture'", "id, content, text")
    refused(imageFeaturizer.setInputCol("text"), "takes \"BINARY\"", "column 'text' is STRING")
    refused(imageFeaturizer.setOutputCol("text"), "already a column 'text'")
    refused(imageFeaturizer.setHandleInvalid("keep").setErrorCol("id"), "already a column 'id'")
    refused(imageFeaturizer.setHandleInvalid("keep").setErrorCol("features"), "'features' would be added twice")
    refused(imageFeaturizer.setErrorCol("why"), "set handleInvalid to keep")
  }

  test("parameters that are not set, or not possible") {
    refused(new DeepImageFeaturizer(), "modelName is not set")
    refused(new DeepImageFeaturizer().setModelName("image_tiny").setInputCol("content"), "outputCol is not set")
    refused(new TorchModelTransformer(), "model is not set")
    intercept[IllegalArgumentException](imageFeaturizer.setHandleInvalid("ignore"))
    intercept[IllegalArgumentException](imageFeaturizer.setOutputType("matrix"))
    intercept[IllegalArgumentException](new DeepImagePredictor().setTopK(0))
    intercept[IllegalArgumentException](tensors.set(tensors.inputMapping, "[1]"))
  }

  test("models") {
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "nowhere")(imageFeaturizer.setModelName("nowhere").transformSchema(schema))
    assertFails("FLAMBEAU_BAD_MODEL", "bad_toml")(imageFeaturizer.setModelName("bad_toml").transformSchema(schema))
    refused(imageFeaturizer.setModelName("tiny"), "models with one input of kind image", "x (tensor)", "TorchModelTransformer")
    refused(
      new DeepTextFeaturizer().setInputCol("text").setOutputCol("f").setModelName("image_tiny"), "of kind text", "use DeepImageFeaturizer")
    refused(new DeepAudioFeaturizer().setInputCol("content").setOutputCol("f").setModelName("tiny"), "of kind audio")
  }

  test("mappings") {
    refused(tensors, "no column 'x'")
    refused(tensors.setInputMapping(Map("id" -> "y")), "inputMapping names the input 'y'", "has x")
    refused(tensors.setInputMapping(Map("id" -> "x", "text" -> "x")), "several columns: id, text")
    refused(tensors.setInputMapping(Map.empty), "no column to input 'x'")
    refused(tensors.setInputMapping(Map("text" -> "x")), "shape [4]", "column 'text' is STRING")
    refused(tensors.setInputMapping(Map("id" -> "x")).setOutputMapping(Map("embedding" -> "e")), "names the output 'embedding'", "features, logits")
    refused(tensors.setInputMapping(Map("id" -> "x")).setOutputMapping(Map.empty), "outputMapping is empty")
  }
}
