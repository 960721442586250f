package io.flambeau.train

import org.apache.spark.ml.{Pipeline, PipelineModel}
import org.apache.spark.ml.evaluation.{MulticlassClassificationEvaluator, RegressionEvaluator}
import org.apache.spark.ml.feature.StringIndexer
import org.apache.spark.ml.functions.vector_to_array
import org.apache.spark.ml.linalg.Vector
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.tuning.{CrossValidator, CrossValidatorModel, ParamGridBuilder}
import org.apache.spark.sql.functions.{col, expr, lit, when}

import io.flambeau.Flambeau
import io.flambeau.conf.FlambeauConf
import io.flambeau.ml._

/** Heads as Spark ML's estimators: their models, use in pipelines and searches, saving and loading. */
class HeadsSuite extends TrainingSuite {

  test("a linear classifier learns, and its columns are Spark ML's") {
    val rows = points(300)
    val model = classifier.fit(rows)
    val predicted = model.transform(rows)
    assert(accuracy(predicted) > 0.95)
    assert(predicted.schema.fieldNames.toSeq.takeRight(3) == Seq("rawPrediction", "probability", "prediction"))
    predicted.select("rawPrediction", "probability", "prediction").collect().foreach { row =>
      val (raw, probability) = (row.getAs[Vector](0), row.getAs[Vector](1))
      assert(raw.argmax == row.getDouble(2) && probability.argmax == row.getDouble(2))
      assert(math.abs(probability.toArray.sum - 1) < 1e-9)
    }
    assert(model.numClasses == 3 && model.hasSummary && model.summary.rows == 300)
    val history = model.summary.history.orderBy("epoch").collect()
    assert(history.map(_.getAs[Int]("epoch")).toSeq == (1 to 10))
    assert(history.last.getAs[Double]("trainLoss") < history.head.getAs[Double]("trainLoss") / 2)
    assert(history.forall(_.getAs[Long]("samples") == 300))
    assert(classifier.transformSchema(rows.schema).fieldNames.toSeq == predicted.schema.fieldNames.toSeq)
  }

  test("thresholds decide as Spark ML's do") {
    val rows = points(300)
    val model = classifier.fit(rows)
    def withThresholds(values: Double*) = {
      val copied = model.copy(ParamMap(model.thresholds -> values.toArray))
      copied.transform(rows).select("probability", "prediction").collect().map(r => (r.getAs[Vector](0).toArray, r.getDouble(1)))
    }
    withThresholds(0.1, 0.8, 0.5).foreach { case (p, prediction) =>
      assert(prediction == Seq(p(0) / 0.1, p(1) / 0.8, p(2) / 0.5).zipWithIndex.maxBy(_._1)._2)
    }
    assert(withThresholds(0.5, 0.5, 0).forall { case (p, prediction) => p(2) == 0 || prediction == 2 })
    assertFails("FLAMBEAU_BAD_ARGUMENT")(model.copy(ParamMap(model.thresholds -> Array(0.5, 0.5))).transform(rows))
    assertFails("FLAMBEAU_BAD_ARGUMENT")(classifier.setThresholds(Array(0.5, 0.5)).fit(rows.withColumn("label", col("label").as("label", names))))
    withFolder { folder =>
      model.setThresholds(Array(0.1, 0.8, 0.5)).save(s"$folder/model")
      assert(TorchClassificationModel.load(s"$folder/model").getThresholds.toSeq == Seq(0.1, 0.8, 0.5))
    }
  }

  test("what this driver trained is usable whatever models.allow says; a copy elsewhere is bound by it") {
    val rows = points(300)
    withFolder { folder =>
      withConf(FlambeauConf.ModelsAllow.key -> s"$folder/nothing-here") {
        val model = classifier.fit(rows)
        assert(accuracy(model.transform(rows)) > 0.95)
        model.savePackage(s"$folder/copy")
        assertFails("FLAMBEAU_UNKNOWN_MODEL", FlambeauConf.ModelsAllow.key)(spark.sql(s"SELECT classify(array(1, 2), '$folder/copy')").collect())
      }
    }
  }

  private def names =
    new org.apache.spark.sql.types.MetadataBuilder()
      .withMetadata(org.apache.spark.ml.attribute.NominalAttribute.defaultAttr.withName("label").withValues("a", "b", "c").toMetadata()).build()

  test("hidden layers tell apart what a line cannot") {
    val circle = points(400).withColumn("p", vector_to_array(col("features")))
      .withColumn("label", when(expr("p[0] * p[0] + p[1] * p[1] < 10"), 1.0).otherwise(0.0))
    val linear = accuracy(classifier.setMaxEpochs(30).fit(circle).transform(circle))
    val deep = accuracy(classifier.setMaxEpochs(30).setHiddenLayers(Array(16, 16)).setActivation("tanh").fit(circle).transform(circle))
    assert(linear < 0.85 && deep > 0.9, s"linear $linear, deep $deep")
  }

  test("a regressor finds the line; several targets at once") {
    val rows = line(400)
    val evaluator = new RegressionEvaluator().setMetricName("rmse")
    assert(evaluator.evaluate(regressor.fit(rows).transform(rows)) < 0.05)
    val both = rows.withColumn("label", expr("array(label, 1 - label)"))
    val model = regressor.fit(both)
    model.transform(both).select("label", "prediction").collect().foreach { row =>
      val wanted = row.getSeq[Double](0)
      assert(row.getAs[Vector](1).toArray.zip(wanted).forall { case (p, w) => math.abs(p - w) < 0.2 })
    }
  }

  test("in a pipeline with a string label, saved and loaded with its package, registered in SQL") {
    withFolder { folder =>
      val rows = points(150).withColumn("kind", when(col("label") === 0, "ant").when(col("label") === 1, "bee").otherwise("cow")).drop("label")
      val indexer = new StringIndexer().setInputCol("kind").setOutputCol("label").setStringOrderType("alphabetAsc")
      val fitted = new Pipeline().setStages(Array(indexer, classifier)).fit(rows)
      def answers(model: PipelineModel) = sorted(model.transform(rows).select("id", "probability", "prediction"))
      val before = answers(fitted)
      fitted.save(s"$folder/fitted")
      val loaded = PipelineModel.load(s"$folder/fitted")
      assert(answers(loaded) == before)
      val model = loaded.stages(1).asInstanceOf[TorchClassificationModel]
      assert(!model.hasSummary && model.getMaxEpochs == 10 && model.getModel.startsWith("file:"))
      model.savePackage(s"$folder/package")
      Flambeau.register(spark, "kinds", s"$folder/package")
      rows.createOrReplaceTempView("kinds_rows")
      val top = rowsOf("SELECT kind, kinds(features)[0].label FROM kinds_rows")
      assert(top.count(r => r.getString(0) == r.getString(1)) > 140)
      spark.sql("DROP TEMPORARY FUNCTION kinds")
      classifier.setClassWeights(Array(1, 2, 3)).save(s"$folder/estimator")
      assert(TorchClassifier.load(s"$folder/estimator").getClassWeights.toSeq == Seq(1.0, 2.0, 3.0))
    }
  }

  test("cross-validated, the models of one call share one reading of the rows") {
    val rows = points(200).cache()
    val estimator = classifier.setMaxEpochs(5)
    val grid = new ParamGridBuilder().addGrid(estimator.learningRate, Array(0.05, 1e-6)).build()
    val evaluator = new MulticlassClassificationEvaluator().setMetricName("accuracy")
    val validator = new CrossValidator().setEstimator(estimator).setEvaluator(evaluator).setEstimatorParamMaps(grid).setNumFolds(2).setParallelism(2)
    val fitted: CrossValidatorModel = validator.fit(rows)
    assert(fitted.avgMetrics(0) > 0.9 && fitted.avgMetrics(1) < fitted.avgMetrics(0))
    val counted = spark.sparkContext.longAccumulator
    val read = rows.as[(Int, Vector, Double, Double, Boolean)](org.apache.spark.sql.Encoders.product)
      .map { row => counted.add(1); row }(org.apache.spark.sql.Encoders.product)
      .toDF("id", "features", "label", "weight", "held")
    val models = estimator.fit(read, grid.toSeq :+ ParamMap.empty)
    assert(models.length == 3 && counted.value == 200)
    assert(distance(probabilities(models(0), rows), probabilities(models(2), rows)) == 0.0)
    assert(models(1).getLearningRate == 1e-6 && distance(probabilities(models(0), rows), probabilities(models(1), rows)) > 0.05)
    rows.unpersist()
  }

  test("weights and classes count") {
    val rows = points(300)
    val onlyOdd = rows.withColumn("weight", when(col("id") % 2 === 1, 1.0).otherwise(0.0))
    val none = rows.withColumn("weight", lit(1.0))
    val a = probabilities(classifier.setWeightCol("weight").fit(none), rows)
    assert(distance(a, probabilities(classifier.fit(rows), rows)) < 1e-6)
    assert(distance(a, probabilities(classifier.setWeightCol("weight").fit(onlyOdd), rows)) > 1e-4)
    val few = rows.where("label < 2 AND (label = 0 OR id % 15 = 1)")
    val recall = (m: TorchClassificationModel) => m.transform(few).where("label = 1 AND prediction = 1").count()
    val plain = recall(classifier.setMaxEpochs(1).setLearningRate(0.01).fit(few))
    val balanced = recall(classifier.setMaxEpochs(1).setLearningRate(0.01).setBalance(true).fit(few))
    assert(balanced >= plain)
    assert(classifier.fit(rows.where("label < 2").withColumn("label", col("label") === 1)).numClasses == 2)
  }

  test("over a pretrained model: featurized once, the package takes pictures") {
    withFolder { folder =>
      val rows = pictures((0 until 40).map(i => i -> picture(if (i % 2 == 0) 0xa00000 + i else 0x0000a0 + (i << 16))): _*).withColumn("label", col("id") % 2)
      val estimator = classifier.setModelName("image_tiny").setFeaturesCol("content").setMaxEpochs(15)
      val (model, featurized) = countingRows(estimator.fit(rows))
      assert(featurized == 40)
      assert(accuracy(model.transform(rows)) == 1.0)
      model.savePackage(s"$folder/package")
      rows.createOrReplaceTempView("colored")
      val best = rowsOf(s"SELECT label, classify(content, '$folder/package', 1)[0].index FROM colored")
      assert(best.forall(r => r.getInt(0) == r.getInt(1)))
      val bad = rows.union(pictures(40 -> "no picture".getBytes, 41 -> null).withColumn("label", lit(0)))
      assertFails("FLAMBEAU_BAD_INPUT")(estimator.fit(bad))
      val skipping = estimator.setHandleInvalid("skip").fit(bad)
      assert(skipping.summary.rows == 40 && skipping.summary.skippedRows == 2)
      assert(skipping.transform(bad).count() == 40)
    }
  }
}
