package io.flambeau.ml

import java.nio.file.Files

import org.apache.spark.ml.{Pipeline, PipelineModel}
import org.apache.spark.ml.classification.LogisticRegression
import org.apache.spark.ml.evaluation.MulticlassClassificationEvaluator
import org.apache.spark.ml.linalg.Vector
import org.apache.spark.ml.tuning.{CrossValidator, CrossValidatorModel, ParamGridBuilder}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions.{col, when}

/** Saving and loading; a new JVM is tested from Python (tests/test_ml_stages.py). */
class PersistenceSuite extends StageSuite {

  /** Reds are 0, blues are 1. */
  private def labeled: DataFrame =
    pictures((0 until 40).map(i => i -> picture(if (i % 2 == 0) 0xa00000 + 0x30000 * (i % 10) else 0xa0 + 3 * (i % 10))): _*)
      .withColumn("label", when(col("id") % 2 === 0, 0.0).otherwise(1.0))

  test("a saved stage carries its package") {
    withFolder { folder =>
      val original = folder.resolve("original")
      copyPackage("image_tiny", original)
      val stage = imageFeaturizer.setModelName(original.toString).setHandleInvalid("keep").setErrorCol("why")
      val before = sorted(stage.transform(goodAndBad))
      stage.save(s"$folder/saved")
      delete(original)
      assertFails("FLAMBEAU_UNKNOWN_MODEL")(stage.transform(goodAndBad))
      val loaded = DeepImageFeaturizer.load(s"$folder/saved")
      assert(loaded.uid == stage.uid && loaded.getErrorCol == "why" && loaded.getModelName.endsWith("/saved/package"))
      assert(sorted(loaded.transform(goodAndBad)) == before)
      loaded.save(s"$folder/again")
      delete(folder.resolve("saved"))
      assert(sorted(DeepImageFeaturizer.load(s"$folder/again").transform(goodAndBad)) == before)
    }
  }

  test("a saved stage names its package, on request") {
    withFolder { folder =>
      imageFeaturizer.setSavePackage(false).save(s"$folder/name")
      assert(DeepImageFeaturizer.load(s"$folder/name").getModelName == "image_tiny")
      assert(!Files.exists(folder.resolve("name/package")))
      val relative = java.nio.file.Paths.get("").toAbsolutePath.relativize(io.flambeau.FlambeauSuite.packages.resolve("image_tiny"))
      imageFeaturizer.setSavePackage(false).setModelName(s"./$relative").save(s"$folder/path")
      val loaded = DeepImageFeaturizer.load(s"$folder/path")
      assert(loaded.getModelName.startsWith("file:///") && loaded.transform(goodAndBad.where("id < 3")).count() == 2)
    }
  }

  test("all stages, all parameters") {
    withFolder { folder =>
      val tensors = new TorchModelTransformer().setModel("tiny").setInputMapping(Map("a.b" -> "x"))
        .setOutputMapping(Map("logits" -> "l\"1\"")).setOutputType("vector").setHandleInvalid("skip")
      tensors.save(s"$folder/tensors")
      val loaded = TorchModelTransformer.load(s"$folder/tensors")
      assert(loaded.getInputMapping == Map("a.b" -> "x") && loaded.getOutputMapping == Map("logits" -> "l\"1\""))
      assert(loaded.getOutputType == "vector" && loaded.getHandleInvalid == "skip")
      new DeepImagePredictor().setModelName("image_tiny").setTopK(2).setDecodePredictions(false).save(s"$folder/predictor")
      val predictor = DeepImagePredictor.load(s"$folder/predictor")
      assert(predictor.getTopK == 2 && !predictor.getDecodePredictions && predictor.getOutputType == "vector")
      new DeepTextFeaturizer().setInputCol("t").save(s"$folder/text")
      assert(DeepTextFeaturizer.load(s"$folder/text").getInputCol == "t")
      new DeepAudioFeaturizer().setInputCol("s").save(s"$folder/audio")
      assert(DeepAudioFeaturizer.load(s"$folder/audio").getInputCol == "s")
    }
  }

  test("a model that is not there is not saved") {
    withFolder { folder =>
      assertFails("FLAMBEAU_UNKNOWN_MODEL")(imageFeaturizer.setModelName("nowhere").save(s"$folder/saved"))
      assert(!Files.exists(folder.resolve("saved")))
    }
  }

  test("a saved pipeline replaces itself") {
    withFolder { folder =>
      new Pipeline().setStages(Array(imageFeaturizer)).fit(goodAndBad).save(s"$folder/pipeline")
      val loaded = PipelineModel.load(s"$folder/pipeline")
      val before = sorted(loaded.transform(goodAndBad.where("id < 3")))
      loaded.write.overwrite().save(s"$folder/pipeline")
      assert(sorted(PipelineModel.load(s"$folder/pipeline").transform(goodAndBad.where("id < 3"))) == before)
    }
  }

  test("featurizer and logistic regression, cross-validated, saved and loaded") {
    withFolder { folder =>
      val regression = new LogisticRegression().setMaxIter(5)
      val pipeline = new Pipeline().setStages(Array(imageFeaturizer, regression))
      val grid = new ParamGridBuilder().addGrid(regression.regParam, Array(0.0, 10.0)).addGrid(regression.elasticNetParam, Array(1.0)).build()
      val evaluator = new MulticlassClassificationEvaluator().setMetricName("accuracy")
      val validator = new CrossValidator().setEstimator(pipeline).setEvaluator(evaluator).setEstimatorParamMaps(grid).setNumFolds(2).setSeed(1)
      val fitted = validator.fit(labeled)
      assert(fitted.avgMetrics(0) == 1.0 && fitted.avgMetrics(1) < 1.0)
      def predictions(model: CrossValidatorModel) =
        model.transform(labeled).select("id", "probability", "prediction").orderBy("id").collect()
          .map(r => (r.getInt(0), r.getAs[Vector](1), r.getDouble(2))).toSeq
      val before = predictions(fitted)
      fitted.save(s"$folder/fitted")
      val loaded = CrossValidatorModel.load(s"$folder/fitted")
      assert(predictions(loaded) == before)
      validator.save(s"$folder/validator")
      assert(CrossValidator.load(s"$folder/validator").fit(labeled).avgMetrics.toSeq == fitted.avgMetrics.toSeq)
    }
  }
}
