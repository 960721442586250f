package io.flambeau.train

import org.apache.spark.ml.attribute.NominalAttribute
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions.{col, expr, lit, when}

import io.flambeau.ml.{GroupedTorchClassifier, GroupedTorchRegressor}

/** Rows and sizes that come with the data: bad rows are named or left out, and values are checked before memory is allocated for them. */
class RowsSuite extends TrainingSuite {

  /** Forty rows in two partitions; these have a value that cannot be trained on. */
  private def withBad(bad: (Int, String)*): DataFrame = {
    val good = "array(float(sin(id)), float(cos(id)), float(id % 3))"
    val features = bad.foldLeft(good) { case (other, (id, value)) => s"IF(id = $id, $value, $other)" }
    spark.range(0, 40, 1, 2).selectExpr("id", s"$features AS features", "double(id % 2) AS label", "id % 4 = 0 AS held")
  }

  private val NaN = "array(float('NaN'), 1f, 2f)"
  private val Infinite = "array(1f, float('-Infinity'), 2f)"
  private val Ragged = "array(1f, 2f)"
  private val NullInside = "array(1f, NULL, 2f)"

  test("a row with a bad value is named by its partition and position, whatever is wrong with it") {
    for ((value, why) <- Seq(NaN -> "NaN or infinite", Infinite -> "NaN or infinite", Ragged -> "has 2 values", NullInside -> "NULL"); workers <- Seq(1, 2)) {
      val failure = assertFails("FLAMBEAU_BAD_INPUT", "row 7 of partition 1", why, "handleInvalid")(classifier.setNumWorkers(workers).fit(withBad(27 -> value)))
      assert(!messagesOf(failure).contains("learningRate"))
    }
  }

  test("skip leaves out what cannot be trained on, and tells how many rows") {
    val rows = withBad(0 -> Ragged, 5 -> NaN, 8 -> Infinite, 21 -> NullInside, 22 -> "NULL", 24 -> Ragged)
      .withColumn("label", when(col("id") === 30, Double.NaN).when(col("id") === 31, -1.0).when(col("id") === 33, 0.5).otherwise(col("label")))
    for (workers <- Seq(1, 2)) {
      val model = classifier.setHandleInvalid("skip").setNumWorkers(workers).fit(rows)
      assert(model.summary.skippedRows == 9 && model.summary.rows == 31 && model.numClasses == 2)
    }
    val validated = classifier.setHandleInvalid("skip").setValidationIndicatorCol("held").fit(rows).summary
    assert((validated.rows, validated.validationRows, validated.skippedRows) == ((24L, 7L, 9L)))
    assertFails("FLAMBEAU_BAD_INPUT", "there is no row to train on: all 40 were left out", "for example row")(
      classifier.setHandleInvalid("skip").fit(rows.withColumn("features", expr(NaN))))
  }

  test("fit and transform leave out the same rows") {
    val rows = withBad(0 -> Ragged, 5 -> NaN, 8 -> Infinite, 21 -> NullInside, 22 -> "NULL")
    val model = classifier.setHandleInvalid("skip").fit(rows)
    assert(model.summary.rows == 35 && model.transform(rows).count() == 35)
    val kept = model.copy(org.apache.spark.ml.param.ParamMap(model.handleInvalid -> "keep", model.errorCol -> "why")).transform(rows)
    assert(kept.where("prediction IS NULL AND why IS NOT NULL").select("id").collect().map(_.getLong(0)).toSet == Set(0L, 5L, 8L, 21L, 22L))
    val strict = classifier.fit(withBad())
    assertFails("FLAMBEAU_BAD_INPUT", "NaN or infinite")(strict.transform(withBad(5 -> NaN)).collect())
    val grouped = new GroupedTorchRegressor().setGroupCol("held").setMaxEpochs(2).setHandleInvalid("skip").fit(rows)
    assert(grouped.transform(rows).count() == 35)
    val whole = spark.range(12).selectExpr("id % 2 AS shop", "array(id, 1L) AS features", "double(id) AS label")
    val reals = whole.selectExpr("shop", "array(float(features[0]), 1f) AS features", "label")
    val ofWhole = new GroupedTorchRegressor().setGroupCol("shop").setMaxEpochs(2).fit(whole)
    assert(sorted(ofWhole.transform(whole).select("prediction")) == sorted(ofWhole.transform(reals).select("prediction")))
  }

  test("most rows tell how many features there are, not the first one") {
    assertFails("FLAMBEAU_BAD_INPUT", "row 0 of partition 0", "has 2 values")(classifier.fit(withBad(0 -> Ragged).coalesce(1)))
  }

  test("classes, groups and labels of arrays leave bad rows out alike") {
    val rows = withBad(3 -> NaN, 4 -> Ragged).withColumn("shop", col("id") % 3)
    val grouped = new GroupedTorchRegressor().setGroupCol("shop").setMaxEpochs(2).setHandleInvalid("skip")
    assert(grouped.fit(rows).models.selectExpr("sum(rows)").head().getLong(0) == 38)
    assertFails("FLAMBEAU_BAD_INPUT", "partition 0", "NaN or infinite")(
      new GroupedTorchRegressor().setGroupCol("shop").setMaxEpochs(2).fit(withBad(3 -> NaN).withColumn("shop", col("id") % 3)))
    val targets = withBad().withColumn("label", expr("IF(id = 6, array(1d), IF(id = 9, array(1d, double('NaN')), array(label, 1 - label)))"))
    assert(regressor.setMaxEpochs(2).setHandleInvalid("skip").fit(targets).summary.skippedRows == 2)
    assertFails("FLAMBEAU_BAD_INPUT", "row 6 of partition 0", "has 1 values")(regressor.setMaxEpochs(2).fit(targets))
  }

  test("a label beyond the declared classes is a bad row") {
    val names = NominalAttribute.defaultAttr.withName("label").withValues("a", "b").toMetadata()
    val rows = withBad().withColumn("label", when(col("id") === 25, 2.0).otherwise(col("label"))).withColumn("label", col("label").as("label", names))
    assertFails("FLAMBEAU_BAD_INPUT", "row 5 of partition 1", "the label is 2, but the largest label is 1")(classifier.fit(rows))
    assert(classifier.setHandleInvalid("skip").fit(rows).summary.skippedRows == 1)
  }

  test("a mistyped label is no reason for a million classes") {
    val rows = withBad().withColumn("label", when(col("id") === 25, 1e6).otherwise(col("label")))
    assertFails("FLAMBEAU_BAD_INPUT", "the largest label is 1000000", "only 3 different labels", "StringIndexer")(classifier.fit(rows))
    assertFails("FLAMBEAU_BAD_INPUT", "the largest label is 1000000")(
      new GroupedTorchClassifier().setGroupCol("held").setMaxEpochs(1).fit(rows))
    val many = spark.range(300).selectExpr("array(float(id)) AS features", "double(id) AS label")
    assert(classifier.setMaxEpochs(1).fit(many).numClasses == 300, "labels without gaps are as many classes")
    val declared = NominalAttribute.defaultAttr.withName("label").withNumValues(2000000000).toMetadata()
    assertFails("FLAMBEAU_BAD_ARGUMENT", "2000000000 outputs", "GB")(classifier.fit(withBad().withColumn("label", col("label").as("label", declared))))
  }

  test("sizes that no machine has are refused by their names") {
    val rows = withBad()
    assertFails("FLAMBEAU_BAD_ARGUMENT", "hiddenLayers [2000000000]", "GB")(classifier.setHiddenLayers(Array(2000000000)).fit(rows))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "hiddenLayers [2000000000]", "GB")(
      new GroupedTorchRegressor().setGroupCol("held").setHiddenLayers(Array(2000000000)).fit(rows))
    val one = classifier.setMaxEpochs(2).setBatchSize(2147483647)
    assert(one.fit(rows).summary.steps == 2 && one.setNumWorkers(2).fit(rows).summary.steps == 2)
    assert(intercept[IllegalArgumentException](classifier.setNumWorkers(2147483647)).getMessage.contains("numWorkers"))
    assert(intercept[IllegalArgumentException](classifier.setMaxEpochs(2147483647)).getMessage.contains("maxEpochs"))
    assert(classifier.setMaxEpochs(1).setMicroBatchSize(2147483647).setBatchSize(2147483647).fit(rows).summary.steps == 1)
    assert(rowsOf("SELECT size(classify(array(1f, 2f, 3f, 4f), 'tiny', 2000000000))").head.getInt(0) == 3)
  }

  test("rows that do not fill the last batch are left out where that is asked for") {
    val summary = classifier.setMaxEpochs(2).setBatchSize(32).setDropLast(true).fit(withBad()).summary
    assert(summary.steps == 2 && summary.history.head().getAs[Long]("samples") == 32)
    assertFails("FLAMBEAU_BAD_ARGUMENT", "dropLast leaves no row")(classifier.setDropLast(true).setBatchSize(64).fit(withBad().withColumn("x", lit(1))))
  }

  test("what a container may have is told by Spark's settings") {
    val conf = new org.apache.spark.SparkConf(false).set("spark.executor.memory", "2g")
    assert(MemoryLimit.of(conf.clone.set("spark.master", "local[2]")).isEmpty)
    assert(MemoryLimit.of(conf.clone.set("spark.master", "yarn")).contains((2048L + 384) << 20))
    assert(MemoryLimit.of(conf.clone.set("spark.master", "k8s://https://host").set("spark.executor.memoryOverhead", "1g")).contains(3072L << 20))
  }
}
