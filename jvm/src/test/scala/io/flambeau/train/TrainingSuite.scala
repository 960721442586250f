package io.flambeau.train

import scala.util.Random

import org.apache.spark.ml.linalg.{Vector, Vectors}
import org.apache.spark.sql.DataFrame

import io.flambeau.ml.{StageSuite, TorchClassificationModel, TorchClassifier, TorchRegressor}

/** Shared by the suites of training: small tables with known results, and a model's predictions for them. */
abstract class TrainingSuite extends StageSuite {

  /** Points around three centers in the plane, in `partitions` parts: `id`, `features`, `label`, `weight`, `held`. */
  protected def points(rows: Int, partitions: Int = 2): DataFrame = {
    val session = spark
    import session.implicits._
    val random = new Random(7)
    val centers = Seq((0.0, 3.0), (3.0, -2.0), (-3.0, -2.0))
    val all = (0 until rows).map { i =>
      val (x, y) = centers(i % 3)
      (i, Vectors.dense(x + random.nextGaussian(), y + random.nextGaussian()), (i % 3).toDouble, 1.0 + i % 2, i % 5 == 0)
    }
    session.sparkContext.parallelize(all, partitions).toDF("id", "features", "label", "weight", "held")
  }

  protected def classifier: TorchClassifier =
    new TorchClassifier().setMaxEpochs(10).setLearningRate(0.05).setBatchSize(32).setSeed(3)

  /** `label` = 2 a - b + 0.5, with a little noise. */
  protected def line(rows: Int, partitions: Int = 2): DataFrame = {
    val session = spark
    import session.implicits._
    val random = new Random(11)
    val all = (0 until rows).map { i =>
      val (a, b) = (random.nextGaussian(), random.nextGaussian())
      (i, Array(a.toFloat, b.toFloat), 2 * a - b + 0.5 + 0.01 * random.nextGaussian())
    }
    session.sparkContext.parallelize(all, partitions).toDF("id", "features", "label")
  }

  protected def regressor: TorchRegressor =
    new TorchRegressor().setMaxEpochs(40).setLearningRate(0.05).setBatchSize(32).setSeed(3)

  protected def probabilities(model: TorchClassificationModel, rows: DataFrame): Seq[Array[Double]] =
    model.transform(rows).orderBy("id").select("probability").collect().toSeq.map(_.getAs[Vector](0).toArray)

  protected def accuracy(predicted: DataFrame): Double =
    predicted.where("prediction = label").count().toDouble / predicted.count()

  /** The largest difference between two models' answers. */
  protected def distance(one: Seq[Array[Double]], other: Seq[Array[Double]]): Double = {
    assert(one.length == other.length)
    one.zip(other).map { case (a, b) => a.zip(b).map { case (x, y) => math.abs(x - y) }.max }.max
  }
}
