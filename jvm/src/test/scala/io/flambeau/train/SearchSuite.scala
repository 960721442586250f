package io.flambeau.train

import scala.collection.mutable

import org.apache.spark.ml.Pipeline
import org.apache.spark.ml.classification.LogisticRegression
import org.apache.spark.ml.evaluation.{Evaluator, MulticlassClassificationEvaluator}
import org.apache.spark.ml.linalg.Vector
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.util.Identifiable
import org.apache.spark.sql.{Dataset, Encoders}

import io.flambeau.ml._

/** Searches: their trials, their ranking, saving and loading. */
class SearchSuite extends TrainingSuite {

  private def judge = new MulticlassClassificationEvaluator().setMetricName("accuracy")

  private def spaceOf(head: TorchClassifier): SearchSpace =
    new SearchSpace().logUniform(head.learningRate, 1e-6, 0.1).choice(head.hiddenLayers, Array.empty[Int], Array(8))

  test("at random, over a head: rows are read once a lane, the best model is the best trial's") {
    val rows = points(200)
    val head = classifier.setMaxEpochs(3)
    val counted = spark.sparkContext.longAccumulator
    val read = rows.as[(Int, Vector, Double, Double, Boolean)](Encoders.product).map { row => counted.add(1); row }(Encoders.product)
      .toDF("id", "features", "label", "weight", "held")
    val search = new RandomSearch().setEstimator(head).setSpace(spaceOf(head)).setEvaluator(judge).setNumTrials(6).setSeed(2).setParallelism(2)
    assert(search.transformSchema(rows.schema).fieldNames.contains("probability"))
    val found = search.fit(read)
    assert(counted.value == 2 * 200, "once for each of the two cached parts")
    val table = found.trials.collect()
    assert(found.trials.columns.toSeq == Seq("candidate", "round", "resource", "hiddenLayers", "learningRate", "metric"))
    assert(table.length == 6 && table.map(_.getAs[Double]("metric")).toSeq == found.avgMetrics.sorted.reverse.toSeq)
    assert(found.avgMetrics.max > 0.8 && found.avgMetrics(table.head.getAs[Int]("candidate")) == found.avgMetrics.max)
    val best = found.bestModel.asInstanceOf[TorchClassificationModel]
    assert(best.getLearningRate == table.head.getAs[Double]("learningRate"))
    assert(found.parent == search && found.transform(rows).count() == 200)
    assert(search.setParallelism(1).fit(rows).trials.collect().toSeq == table.toSeq, "lanes change nothing")
  }

  test("halving: the best third goes on with three times as much") {
    val rows = points(200)
    val head = classifier
    val search = new SuccessiveHalving().setEstimator(head).setSpace(spaceOf(head)).setEvaluator(judge)
      .setResource(head.maxEpochs).setMaxResource(9).setNumTrials(6).setSeed(2)
    val found = search.fit(rows)
    val table = found.trials.collect()
    assert(table.map(r => (r.getAs[Int]("round"), r.getAs[Int]("resource"))).toSeq == (2, 9) +: (Seq.fill(2)((1, 3)) ++ Seq.fill(6)((0, 1))))
    val candidates = (round: Int) => table.filter(_.getAs[Int]("round") == round).map(_.getAs[Int]("candidate")).toSeq
    assert(candidates(1).toSet == candidates(0).take(2).toSet && candidates(1).head == candidates(2).head)
    assert(found.avgMetrics.length == 6 && found.bestModel.asInstanceOf[TorchClassificationModel].getMaxEpochs == 9)
    assertFails("FLAMBEAU_BAD_ARGUMENT", "cannot be in the space")(search.copy(ParamMap.empty).setSpace(new SearchSpace().integer(head.maxEpochs, 1, 3)).fit(
        rows))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "minResource 10 is more")(search.copy(ParamMap(search.minResource -> 10)).fit(rows))
  }

  test("what is saved comes back: search, evaluator, space, best model, trials") {
    withFolder { folder =>
      val rows = points(150)
      val head = classifier.setMaxEpochs(2)
      val search = new SuccessiveHalving().setEstimator(head).setSpace(spaceOf(head)).setEvaluator(judge)
        .setResource(head.maxEpochs).setMaxResource(3).setNumTrials(3).setSeed(2)
      val found = search.fit(rows)
      found.save(s"$folder/found")
      val loaded = SearchModel.load(s"$folder/found")
      assert(loaded.uid == found.uid && loaded.avgMetrics.toSeq == found.avgMetrics.toSeq)
      assert(loaded.trials.schema == found.trials.schema && loaded.trials.collect().toSeq == found.trials.collect().toSeq)
      assert(sorted(loaded.transform(rows)) == sorted(found.transform(rows)))
      loaded.write.overwrite().save(s"$folder/found")
      assert(sorted(SearchModel.load(s"$folder/found").transform(rows)) == sorted(found.transform(rows)))
      search.save(s"$folder/search")
      val again = SuccessiveHalving.load(s"$folder/search")
      assert(again.uid == search.uid && again.getSpace == search.getSpace && again.getResource == search.getResource)
      assert(again.getEvaluator.asInstanceOf[MulticlassClassificationEvaluator].getMetricName == "accuracy")
      assert(again.fit(rows).trials.collect().toSeq == found.trials.collect().toSeq)
      assertFails("FLAMBEAU_BAD_ARGUMENT", "cannot be saved")(search.copy(ParamMap.empty).setEvaluator(new NoNumber).save(s"$folder/refused"))
      assert(!java.nio.file.Files.exists(folder.resolve("refused")))
    }
  }

  test("over MLlib's own estimators, in a pipeline, saved and loaded; parameters go inside") {
    withFolder { folder =>
      val rows = points(150)
      val regression = new LogisticRegression()
      val space = new SearchSpace().uniform(regression.elasticNetParam, 0, 1).integer(regression.maxIter, 2, 20)
        .choice(regression.regParam, 0.0, 50.0).choice(regression.fitIntercept, true, false)
      val pipeline = new Pipeline().setStages(Array(regression))
      val search = new RandomSearch().setEstimator(pipeline).setSpace(space).setEvaluator(judge).setNumTrials(8).setSeed(1).setParallelism(2)
      search.save(s"$folder/search")
      val again = RandomSearch.load(s"$folder/search")
      val found = again.fit(rows)
      assert(found.trials.schema.map(f => f.name -> f.dataType.sql).drop(3) == Seq(
        "elasticNetParam" -> "DOUBLE", "fitIntercept" -> "BOOLEAN", "maxIter" -> "BIGINT", "regParam" -> "DOUBLE", "metric" -> "DOUBLE"))
      assert(found.trials.collect().toSeq == search.fit(rows).trials.collect().toSeq)
      val (strong, weak) = found.trials.collect().partition(_.getAs[Double]("regParam") > 0)
      assert(strong.nonEmpty && weak.nonEmpty && weak.map(_.getAs[Double]("metric")).max > strong.map(_.getAs[Double]("metric")).max)
      assert(found.trials.where("maxIter < 2 OR maxIter > 20 OR elasticNetParam < 0 OR elasticNetParam > 1").isEmpty)
      found.save(s"$folder/found")
      assert(sorted(SearchModel.load(s"$folder/found").transform(rows)) == sorted(found.transform(rows)))
      val other = search.copy(ParamMap(search.numTrials -> 2, regression.predictionCol -> "said", judge.metricName -> "f1"))
      assert(other.getNumTrials == 2 && search.getNumTrials == 8)
      assert(other.transformSchema(rows.schema).fieldNames.contains("said") && !search.transformSchema(rows.schema).fieldNames.contains("said"))
      assert(found.copy(ParamMap(regression.predictionCol -> "said")).transform(rows).columns.contains("said"))
    }
  }

  test("NaN comes last; mistakes are errors before anything runs") {
    val rows = points(60)
    val regression = new LogisticRegression()
    val space = new SearchSpace().choice(regression.regParam, 0.0, 0.1, 0.2)
    val search = new RandomSearch().setEstimator(regression).setSpace(space).setEvaluator(new NoNumber).setNumTrials(4)
    val metrics = search.fit(rows).trials.collect().map(_.getAs[Double]("metric")).toSeq
    assert(metrics.take(2) == Seq(2.0, 4.0) && metrics.drop(2).forall(_.isNaN))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "space is not set")(new RandomSearch().setEstimator(regression).setEvaluator(judge).fit(rows))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "no parameter")(search.copy(ParamMap.empty).setSpace(new SearchSpace()).fit(rows))
    val strange = new SearchSpace().integer(classifier.batchSize, 1, 2)
    assertFails("FLAMBEAU_BAD_ARGUMENT", "batchSize")(search.copy(ParamMap.empty).setSpace(strange).fit(rows))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "low <= high")(new SearchSpace().uniform(regression.regParam, 1, 0))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "0 < low")(new SearchSpace().logUniform(regression.regParam, 0, 1))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "at least one value")(new SearchSpace().choice(regression.regParam))
    intercept[IllegalArgumentException](new RandomSearch().setTrainRatio(1))
  }
}

/** Returns NaN for every other model, and for the others the number of models so far; smaller is better; cannot be saved. */
class NoNumber(override val uid: String) extends Evaluator {
  private val seen = mutable.Buffer.empty[Int]

  def this() = this(Identifiable.randomUID("noNumber"))

  override def evaluate(dataset: Dataset[_]): Double = {
    seen += dataset.columns.length
    if (seen.length % 2 == 0) seen.length.toDouble else Double.NaN
  }

  override def isLargerBetter: Boolean = false

  override def copy(extra: ParamMap): NoNumber = new NoNumber(uid)
}
