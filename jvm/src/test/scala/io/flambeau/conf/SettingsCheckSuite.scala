package io.flambeau.conf

import io.flambeau.FlambeauSuite
import io.flambeau.ml.TorchModelTransformer

/** A session's settings are checked when a function or a stage is used next. (For an application's: tests/test_setup.py.) */
class SettingsCheckSuite extends FlambeauSuite {

  private val Condition = "FLAMBEAU_BAD_SETTING"

  private def use(): Any = spark.sql("SELECT featurize(array(1, 2, 3, 4), 'tiny')")

  test("values out of range, of another type or misspelt are refused with unit and range") {
    for ((setting, value, part) <- Seq(
        (FlambeauConf.BatchRows, "-1", "a whole number of rows, 0 to 1000000"),
        (FlambeauConf.BatchRows, "2147483647", "0 to 1000000"),
        (FlambeauConf.BatchRows, "lots", "a whole number of rows"),
        (FlambeauConf.BatchRows, "", "default 0"),
        (FlambeauConf.BatchBytes, "0", "1 to 1g"),
        (FlambeauConf.BatchBytes, "-5m", "a size"),
        (FlambeauConf.BatchBytes, "2g", "1 to 1g"),
        (FlambeauConf.BatchBytes, "99999999999t", "1 to 1g"),
        (FlambeauConf.ImageMaxPixels, "0", "pixels, 1 to"),
        (FlambeauConf.ImageMaxPixels, "1e6", "whole number of pixels"),
        (FlambeauConf.Precision, "fp16", "f32, bf16, f16 or fastest"),
        (FlambeauConf.MinCosine, "2", "a number, 0.0 to 1.0"),
        (FlambeauConf.MinCosine, "-0.1", "a number"),
        (FlambeauConf.MinCosine, "NaN", "a number"))) {
      withConf(setting.key -> value)(assertFails(Condition, s"${setting.key} is '$value'", part)(use()))
    }
    use()
  }

  test("what is fixed when the application starts cannot be set by a session") {
    for ((setting, value) <- Seq(
        (FlambeauConf.LogLevel, "debug"), (FlambeauConf.DecodeThreads, "3"), (FlambeauConf.ModelsMaxBytes, "1g"),
        (FlambeauConf.NativeDirectory, "/tmp/elsewhere"), (FlambeauConf.Libtorch, "/opt/libtorch"))) {
      withConf(setting.key -> value)(assertFails(Condition, setting.key, "fixed when the application starts", "RESET")(use()))
      withConf(setting.key -> setting.default)(use())
    }
    withConf(FlambeauConf.NativeDirectory.key -> "hdfs://n/x")(assertFails(Condition, "not a URI")(use()))
    withConf(FlambeauConf.UdfPrefix + "late" -> "tiny")(assertFails(Condition, "flambeau_register('late', 'tiny')")(use()))
  }

  test("unknown names are refused with the one that was meant, or with all") {
    for ((key, meant) <- Seq(
        "model.path" -> "models.path", "models.paths" -> "models.path", "batchRows" -> "batch.rows", "batch.row" -> "batch.rows",
        "maxPixels" -> "image.maxPixels", "minCosine" -> "precision.minCosine", "native.dir" -> "native.directory",
        "precision.mincosine" -> "precision.minCosine")) {
      withConf(FlambeauConf.Prefix + key -> "1") {
        assertFails(Condition, s"no setting spark.flambeau.$key", s"did you mean spark.flambeau.$meant?")(use())
      }
    }
    withConf(FlambeauConf.Prefix + "color" -> "red")(assertFails(Condition, "the settings are", "spark.flambeau.udf.<name>")(use()))
    use()
  }

  test("every way to a model is checked, and a query that was analyzed before") {
    val analyzed = spark.range(1).selectExpr("featurize(array(1, 2, 3, 4), 'tiny') AS f")
    withConf(FlambeauConf.BatchRows.key -> "-1") {
      assertFails(Condition)(spark.sql("SELECT tiny_udf(array(1, 2, 3, 4))"))
      assertFails(Condition)(spark.sql("SELECT * FROM flambeau_register('checked', 'tiny')").collect())
      assertFails(Condition)(new TorchModelTransformer().setModel("tiny").transform(spark.sql("SELECT array(1, 2, 3, 4) AS x")))
      assertFails(Condition)(analyzed.collect())
    }
    assert(analyzed.head().getSeq[Float](0) == Seq(2f, 4f, 6f))
  }
}
