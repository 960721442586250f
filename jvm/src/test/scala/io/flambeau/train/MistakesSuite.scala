package io.flambeau.train

import org.apache.spark.sql.functions.{col, lit, when}

/** Mistakes in parameters are errors before training begins; mistakes in rows are errors with the row. */
class MistakesSuite extends TrainingSuite {

  test("columns and parameters that do not fit") {
    val rows = points(30)
    assertFails("FLAMBEAU_BAD_ARGUMENT", "no column 'nope'")(classifier.setFeaturesCol("nope").fit(rows))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "StringIndexer")(classifier.fit(rows.withColumn("label", lit("a"))))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "modelName")(classifier.fit(rows.withColumn("features", lit("text"))))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "validationIndicatorCol")(classifier.setPatience(2).fit(rows))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "BOOLEAN")(classifier.setValidationIndicatorCol("weight").fit(rows))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "microBatchSize")(classifier.setMicroBatchSize(64).fit(rows))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "already")(classifier.setPredictionCol("weight").transformSchema(rows.schema))
    assert(intercept[IllegalArgumentException](classifier.setOptimizer("adamv")).getMessage.contains(
        "optimizer is 'adamv', but it must be sgd, adam, adamw or rmsprop; did you mean 'adam'?"))
  }

  test("numbers out of their bounds are refused when they are set") {
    val model = classifier
    Seq[Double => Any](model.setLearningRate, model.setClipNorm).foreach { set =>
      Seq(0.0, -1.0, Double.NaN, Double.PositiveInfinity).foreach(value => intercept[IllegalArgumentException](set(value)))
    }
    Seq[Double => Any](model.setWeightDecay, model.setMinDelta, weight => model.setClassWeights(Array(1.0, weight))).foreach { set =>
      Seq(-1.0, Double.NaN, Double.PositiveInfinity).foreach(value => intercept[IllegalArgumentException](set(value)))
    }
    Seq[Double => Any](model.setDropout, model.setLabelSmoothing, model.setMomentum).foreach { set =>
      Seq(-0.1, 1.0, Double.NaN).foreach(value => intercept[IllegalArgumentException](set(value)))
    }
    intercept[IllegalArgumentException](model.setBatchSize(0))
    intercept[IllegalArgumentException](model.setHiddenLayers(Array(8, 0)))
    Seq(0.0, Double.PositiveInfinity).foreach(value => intercept[IllegalArgumentException](regressor.setHuberDelta(value)))
  }

  test("more workers than slots fail at once") {
    assertFails("FLAMBEAU_BAD_ARGUMENT", "numWorkers is 5", "runs 4 tasks")(classifier.setNumWorkers(5).fit(points(30)))
  }

  test("rows that cannot be trained on, by their place") {
    val rows = points(30)
    def with27(column: String, value: Any) = rows.withColumn(column, when(col("id") === 27, lit(value)).otherwise(col(column)))
    assertFails("FLAMBEAU_BAD_INPUT", "row 12 of partition 1", "label is 0.5")(classifier.fit(with27("label", 0.5)))
    assertFails("FLAMBEAU_BAD_INPUT", "row 12 of partition 1", "label is -1.0")(classifier.setNumWorkers(2).fit(with27("label", -1.0)))
    assertFails("FLAMBEAU_BAD_INPUT", "row 12 of partition 1", "label is NULL")(classifier.setNumWorkers(4).fit(with27("label", null)))
    assertFails("FLAMBEAU_BAD_INPUT", "weight is -2.0")(classifier.setWeightCol("weight").fit(with27("weight", -2.0)))
    assertFails("FLAMBEAU_BAD_INPUT", "label is NaN")(regressor.fit(with27("label", Double.NaN)))
    assertFails("FLAMBEAU_BAD_INPUT", "there is no row")(classifier.fit(rows.where("id < 0")))
    assertFails("FLAMBEAU_BAD_INPUT", "there is no row")(classifier.setNumWorkers(2).fit(rows.where("id < 0")))
    assert(classifier.setHandleInvalid("skip").fit(with27("label", null)).summary.skippedRows == 1)
  }

  test("weights that are all zero, of rows or of their classes, are said before the first step") {
    val rows = points(30)
    val none = rows.withColumn("weight", lit(0.0))
    val tiny = rows.withColumn("weight", lit(1e-60)) // zero in f32, in which losses are
    Seq(1, 2).foreach { workers =>
      Seq(none, tiny).foreach { all =>
        assertFails("FLAMBEAU_BAD_ARGUMENT", "all 30 training rows have weight 0")(classifier.setNumWorkers(workers).setWeightCol("weight").fit(all))
        assertFails("FLAMBEAU_BAD_ARGUMENT", "all 200 training rows have weight 0")(
          regressor.setNumWorkers(workers).setWeightCol("weight").fit(line(200).withColumn("weight", lit(0.0))))
      }
      assertFails("FLAMBEAU_BAD_ARGUMENT", "all 10 training rows have weight 0", "classWeights")(
        classifier.setNumWorkers(workers).setClassWeights(Array(0.0, 1.0)).fit(rows.where("label = 0").withColumn("label", lit(0.0))))
      val unheld = rows.withColumn("weight", when(col("held"), 0.0).otherwise(1.0))
      assertFails("FLAMBEAU_BAD_ARGUMENT", "all 6 validation rows have weight 0")(
        classifier.setNumWorkers(workers).setWeightCol("weight").setValidationIndicatorCol("held").setPatience(2).fit(unheld))
    }
    // Rows of weight zero have no effect.
    val history = classifier.setWeightCol("weight").fit(rows.withColumn("weight", when(col("id") < 20, 0.0).otherwise(1.0))).summary.history
    assert(history.collect().forall(row => row.getAs[Double]("trainLoss") > 0))
  }

  test("features of different lengths") {
    val rows = spark.sql("SELECT id, if(id = 7, array(1f, 2f), array(1f, 2f, 3f)) AS features, double(id % 2) AS label FROM range(20)")
    assertFails("FLAMBEAU_BAD_INPUT", "row 7 of partition 0")(classifier.fit(rows.coalesce(1)))
  }

  test("a loss that is NaN or infinite names its step, counted from 1") {
    val failure = assertFails("FLAMBEAU_DIVERGED", "step")(regressor.setOptimizer("sgd").setLearningRate(1e30).fit(line(200)))
    assert(messagesOf(failure).contains("learningRate"))
  }
}
