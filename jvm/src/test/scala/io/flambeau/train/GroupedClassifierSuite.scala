package io.flambeau.train

import org.apache.spark.ml.linalg.Vector
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions.{col, expr, lit, when}

import io.flambeau.ml.{GroupedTorchClassificationModel, GroupedTorchClassifier, TorchClassifier}

/** Many small classifiers in one job. */
class GroupedClassifierSuite extends TrainingSuite {

  /** In group `g` the plane is cut into three sectors, turned by `g`. */
  private def groups(count: Int, rowsEach: Int): DataFrame = spark.sql(
    s"SELECT id, concat('g', id % $count) AS shop, array(float(sin(id)), float(cos(id))) AS features FROM range(0, ${count * rowsEach}, 1, 5)")
    .withColumn("label", expr("floor(pmod(id + int(substr(shop, 2)), 2 * pi()) / (2 * pi()) * 3)"))
    .withColumn("weight", expr("1.0 + id % 3"))

  private def estimator = new GroupedTorchClassifier().setGroupCol("shop").setLearningRate(0.1).setMaxEpochs(60).setSeed(3)

  test("two thousand groups find their own classes") {
    val rows = groups(2000, 12)
    val model = estimator.setNumWorkers(3).fit(rows)
    assert(model.numClasses == 3 && model.models.count() == 2000 && model.models.where("rows = 12").count() == 2000)
    assert(accuracy(model.transform(rows)) > 0.9)
  }

  test("a group's model is that of its rows alone, with weights of rows and classes and with smoothing") {
    val rows = groups(3, 30)
    val hidden = Array(4)
    val own = rows.where("shop = 'g1'")
    Seq(Array(1.0, 1.0, 1.0), Array(0.5, 1.0, 3.0)).foreach { weights =>
      val grouped = estimator.setHiddenLayers(hidden).setWeightCol("weight").setClassWeights(weights).setLabelSmoothing(0.1).setMaxEpochs(20).fit(rows)
      val alone = new TorchClassifier().setHiddenLayers(hidden).setWeightCol("weight").setClassWeights(weights).setLabelSmoothing(0.1)
        .setLearningRate(0.1).setMaxEpochs(20).setSeed(3).setBatchSize(30).fit(own)
      val columns = Seq("rawPrediction", "probability", "prediction")
      val (a, b) = (grouped.transform(own).orderBy("id"), alone.transform(own).orderBy("id"))
      assert(a.schema.fields.takeRight(3).map(f => (f.name, f.dataType)).toSeq == b.schema.fields.takeRight(3).map(f => (f.name, f.dataType)).toSeq)
      val (x, y) = (a.select(columns.map(col): _*).collect(), b.select(columns.map(col): _*).collect())
      def values(r: Array[org.apache.spark.sql.Row], i: Int) = r.toSeq.map(_.getAs[Vector](i).toArray)
      assert(x.length == 30 && distance(values(x, 0), values(y, 0)) < 1e-3 && distance(values(x, 1), values(y, 1)) < 1e-3)
      assert(x.map(_.getDouble(2)).toSeq == y.map(_.getDouble(2)).toSeq)
    }
  }

  test("all groups have all classes; saved, loaded, copied; unknown groups") {
    withFolder { folder =>
      val rows = groups(5, 20).withColumn("label", when(col("shop") === "g1", 0).otherwise(col("label")))
      val model = estimator.setMaxEpochs(5).fit(rows)
      model.save(s"$folder/m")
      val loaded = GroupedTorchClassificationModel.load(s"$folder/m")
      assert(loaded.numClasses == 3 && model.copy(ParamMap.empty).numClasses == 3)
      assert(model.transform(rows).where("shop = 'g1'").head().getAs[Vector]("probability").size == 3)
      assert(sorted(loaded.transform(rows)) == sorted(model.transform(rows)))
      assert(loaded.transformSchema(rows.schema).map(f => (f.name, f.dataType)) == loaded.transform(rows).schema.map(f => (f.name, f.dataType)))
      val only = loaded.copy(ParamMap(loaded.probabilityCol -> "", loaded.rawPredictionCol -> "")).transform(rows)
      assert(only.columns.toSeq == rows.columns.toSeq :+ "prediction")
      val strangers = rows.withColumn("shop", when(col("id") === 3, "nowhere").otherwise(col("shop")))
      assertFails("FLAMBEAU_BAD_INPUT", "no model for its group")(loaded.transform(strangers).collect())
      val kept = loaded.copy(ParamMap(loaded.handleInvalid -> "keep")).transform(strangers)
      assert(kept.count() == 100 && kept.where("prediction IS NULL AND probability IS NULL AND rawPrediction IS NULL").count() == 1)
      assert(loaded.copy(ParamMap(loaded.handleInvalid -> "skip")).transform(strangers).count() == 99)
    }
  }

  test("bad labels and parameters say what is wrong") {
    val rows = groups(3, 10)
    def labeled(value: Double) = rows.withColumn("label", when(col("id") === 7, lit(value)).otherwise(col("label")))
    assertFails("FLAMBEAU_BAD_INPUT", "row", "the label is 1.5", "StringIndexer")(estimator.fit(labeled(1.5)))
    assertFails("FLAMBEAU_BAD_INPUT", "row", "the label is -1.0")(estimator.fit(labeled(-1)))
    assertFails("FLAMBEAU_BAD_INPUT", "row", "the label is NaN")(estimator.fit(labeled(Double.NaN)))
    assertFails("FLAMBEAU_BAD_INPUT", "classWeights has 2 weights, there are 3 classes")(estimator.setClassWeights(Array(1.0, 2.0)).fit(rows))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "balance")(estimator.setBalance(true).fit(rows))
  }

  test("a group without a number for its loss has NaN there and harms no other") {
    val rows = groups(3, 10).withColumn("features", when(col("shop") === "g2", expr("array(float('1e30'), float('-1e30'))")).otherwise(col("features")))
    val models = estimator.setOptimizer("sgd").setMaxEpochs(3).fit(rows).models
    assert(models.where("isnan(loss)").select("shop").collect().map(_.getString(0)).toSeq == Seq("g2"))
  }
}
