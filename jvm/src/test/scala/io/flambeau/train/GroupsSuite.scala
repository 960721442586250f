package io.flambeau.train

import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.functions.{col, expr, lit, when}

import io.flambeau.ml.{GroupedTorchRegressionModel, GroupedTorchRegressor, TorchRegressor}

/** Many small models in one job. */
class GroupsSuite extends TrainingSuite {

  /** Group `g` has the line label = g a - b + 1. */
  private def groups(count: Int, rowsEach: Int): DataFrame = spark.sql(
    s"SELECT id, concat('g', id % $count) AS shop, array(float(sin(id)), float(cos(3 * id))) AS features FROM range(0, ${count * rowsEach}, 1, 5)")
    .withColumn("label", expr("int(substr(shop, 2)) % 7 * features[0] - features[1] + 1"))

  private def estimator = new GroupedTorchRegressor().setGroupCol("shop").setLearningRate(0.1).setMaxEpochs(150).setSeed(3)

  test("two thousand groups find their own lines, whatever the number of tasks") {
    val rows = groups(2000, 12)
    val model = estimator.setNumWorkers(3).fit(rows)
    assert(model.models.count() == 2000 && model.models.where("rows = 12 AND loss < 0.05").count() > 1990)
    val error = model.transform(rows).selectExpr("sqrt(avg(pow(prediction - label, 2)))").head().getDouble(0)
    assert(error < 0.1)
    val few = rows.where("int(substr(shop, 2)) < 20")
    def parameters(workers: Int) = estimator.setNumWorkers(workers).fit(few).models.orderBy("shop").collect().map(_.getSeq[Float](3)).toSeq
    parameters(1).zip(parameters(4)).foreach { case (a, b) => assert(a.zip(b).forall { case (x, y) => math.abs(x - y) < 1e-5 }) }
  }

  test("a group's model is that of its rows alone") {
    val rows = groups(3, 30)
    val hidden = Array(4)
    Seq("relu", "tanh", "gelu", "sigmoid").foreach { activation =>
      val grouped = estimator.setHiddenLayers(hidden).setActivation(activation).setMaxEpochs(20).fit(rows).transform(rows)
      val own = rows.where("shop = 'g1'")
      val alone =
        new TorchRegressor().setHiddenLayers(hidden).setActivation(activation).setLearningRate(0.1).setMaxEpochs(20).setSeed(3).setBatchSize(30).fit(own)
      val (a, b) = (grouped.where("shop = 'g1'").orderBy("id").select("prediction").collect(), alone.transform(own).orderBy("id").select("prediction").collect())
      assert(a.length == 30 && a.zip(b).forall { case (x, y) => math.abs(x.getDouble(0) - y.getDouble(0)) < 1e-4 }, activation)
    }
  }

  test("saved and loaded; unknown groups and bad rows") {
    withFolder { folder =>
      val rows = groups(5, 20)
      val model = estimator.setMaxEpochs(5).fit(rows)
      model.save(s"$folder/m")
      val loaded = GroupedTorchRegressionModel.load(s"$folder/m")
      assert(sorted(loaded.transform(rows)) == sorted(model.transform(rows)))
      val strangers = rows.withColumn("shop", when(col("id") === 3, "nowhere").otherwise(col("shop")))
      assertFails("FLAMBEAU_BAD_INPUT", "no model for its group")(loaded.transform(strangers).collect())
      val kept = loaded.copy(org.apache.spark.ml.param.ParamMap(loaded.handleInvalid -> "keep")).transform(strangers)
      assert(kept.count() == 100 && kept.where("prediction IS NULL").count() == 1)
      assert(loaded.copy(org.apache.spark.ml.param.ParamMap(loaded.handleInvalid -> "skip")).transform(strangers).count() == 99)
      assertFails("FLAMBEAU_BAD_INPUT", "the group is NULL")(estimator.fit(rows.withColumn("shop", when(col("id") > 3, col("shop")))))
      assertFails("FLAMBEAU_BAD_ARGUMENT", "patience")(estimator.setPatience(3).fit(rows))
      assertFails("FLAMBEAU_BAD_ARGUMENT", "groupCol")(new GroupedTorchRegressor().fit(rows.withColumn("x", lit(1))))
    }
  }
}
