package io.flambeau.train

import org.apache.spark.scheduler.{SparkListener, SparkListenerStageCompleted}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.execution.exchange.Exchange
import org.apache.spark.sql.functions.{col, lit, udf}

import org.scalatest.concurrent.Eventually

import io.flambeau.ml.TorchClassificationModel

/** Several workers train the same model as one. */
class WorkersSuite extends TrainingSuite with Eventually {

  /** Tolerance for rounding in ten epochs: gradients are summed in another order. */
  private val Tolerance = 1e-5

  test("1, 2 and 4 workers, with hidden layers, weights and validation") {
    val rows = points(330, 3)
    def fit(workers: Int): TorchClassificationModel = classifier.setHiddenLayers(Array(8)).setWeightCol("weight")
      .setValidationIndicatorCol("held").setMetric("accuracy").setNumWorkers(workers).fit(rows)
    val one = fit(1)
    val expected = probabilities(one, rows)
    Seq(2, 4).foreach { workers =>
      val several = fit(workers)
      assert(distance(expected, probabilities(several, rows)) < Tolerance)
      val (a, b) = (one.summary.history.orderBy("epoch").collect(), several.summary.history.orderBy("epoch").collect())
      assert(a.length == b.length)
      a.zip(b).foreach { case (x, y) =>
        Seq("trainLoss", "validationLoss", "accuracy").foreach { c => assert(math.abs(x.getAs[Double](c) - y.getAs[Double](c)) < 1e-4, c) }
        assert(x.getAs[Long]("samples") == y.getAs[Long]("samples"))
      }
      assert(several.summary.rows == 264 && several.summary.validationRows == 66)
    }
  }

  test("uneven and empty partitions, and workers without any row") {
    val rows = points(90, 1).union(points(90, 1).where("id < 0")).union(points(7, 5).withColumn("id", col("id") + 90))
    val one = probabilities(classifier.fit(rows), rows)
    assert(distance(one, probabilities(classifier.setNumWorkers(4).fit(rows), rows)) < Tolerance)
    val few = points(3, 1)
    assert(distance(
      probabilities(classifier.setNumWorkers(1).fit(few), few), probabilities(classifier.setNumWorkers(4).fit(few), few)) < Tolerance)
  }

  test("one worker reads what is light by itself, and the model stays the same") {
    val rows = points(200, 3)
    val columns = DatasetColumns(Seq(InputColumn("features", col("features"), None)), LabelColumn(col("label")), None, None, None)
    def shuffles(rows: DataFrame, workers: Int): Boolean = columns.frame(rows, 32, workers).queryExecution.sparkPlan.exists(_.isInstanceOf[Exchange])
    val stored = rows.cache()
    try {
      assert(stored.count() == 200 && !shuffles(stored, 1) && shuffles(stored, 2))
      val same = udf((label: Double) => label)
      assert(shuffles(stored.withColumn("label", same(col("label"))), 1) && shuffles(stored.orderBy("id"), 1))
      val one = probabilities(classifier.fit(stored), stored)
      assert(distance(one, probabilities(classifier.setNumWorkers(2).fit(stored), stored)) < Tolerance)
    } finally stored.unpersist()
  }

  test("the seed decides, the number of rows passed at once does not") {
    val rows = points(200)
    val hidden = () => classifier.setHiddenLayers(Array(8))
    val expected = probabilities(hidden().fit(rows), rows)
    assert(distance(expected, probabilities(hidden().fit(rows), rows)) == 0.0)
    assert(distance(expected, probabilities(hidden().setMicroBatchSize(5).fit(rows), rows)) < Tolerance)
    assert(distance(expected, probabilities(hidden().setSeed(4).fit(rows), rows)) > 1e-3)
  }

  test("early stopping gives the best epoch's parameters, with several workers too") {
    val rows = points(200)
    Seq(1, 2).foreach { workers =>
      val model = classifier.setNumWorkers(workers).setMaxEpochs(200).setLearningRate(0.3).setValidationIndicatorCol("held").setPatience(3).fit(rows)
      val losses = model.summary.history.orderBy("epoch").collect().map(_.getAs[Double]("validationLoss"))
      assert(model.summary.stoppedEarly && losses.length < 200)
      assert(losses.indexOf(losses.min) == losses.length - 1 - 3)
      val held = rows.where("held")
      val loss =
        -model.transform(held).select("label", "probability").collect()
          .map(r => math.log(r.getAs[org.apache.spark.ml.linalg.Vector](1)(r.getDouble(0).toInt))).sum / held.count()
      assert(math.abs(loss - losses.min) < 1e-4)
    }
  }

  test("the stage's accumulators in the Spark UI tell where the training stands") {
    val rows = points(130, 3)
    Seq(1, 2).foreach { workers =>
      val seen = new java.util.concurrent.ConcurrentHashMap[String, Any]
      val listener = new SparkListener {
        override def onStageCompleted(stage: SparkListenerStageCompleted): Unit =
          stage.stageInfo.accumulables.values.foreach { a => for (name <- a.name if name.startsWith("training "); value <- a.value) seen.put(name, value) }
      }
      spark.sparkContext.addSparkListener(listener)
      try {
        val model = classifier.setNumWorkers(workers).fit(rows)
        def number(name: String): Double = seen.get(s"training $name").toString.toDouble
        eventually(assert(seen.size == 5))
        assert(number("epochs") == 10 && number("steps") == 10 * 5 && number("learning rate") == 0.05)
        assert(math.abs(number("loss") - model.summary.history.orderBy("epoch").collect().last.getAs[Double]("trainLoss")) < 1e-9)
        assert(number("samples/s") > 0)
      } finally spark.sparkContext.removeSparkListener(listener)
    }
  }

  test("constant features do no harm") {
    val rows = points(60).withColumn("features", org.apache.spark.sql.functions.array(lit(0.0f), lit(0.0f)))
    assert(probabilities(classifier.setNumWorkers(2).fit(rows), rows).forall(_.forall(p => p > 0.2 && p < 0.5)))
  }
}
