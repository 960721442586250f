package io.flambeau.train

import scala.collection.mutable

import org.apache.spark.ml.Pipeline
import org.apache.spark.ml.param.ParamMap

import io.flambeau.ml.{EpochCallback, EpochEnd, TorchClassificationModel}

/** A function that is called after each epoch: what it sees, how it stops a training, and what happens if it fails. */
class EpochCallbackSuite extends TrainingSuite {

  private final class Seen extends EpochCallback {
    val epochs = mutable.ArrayBuffer.empty[EpochEnd]
    override def onEpochEnd(epoch: EpochEnd): Unit = epochs += epoch
  }

  test("it sees every epoch of the history, on the driver, with one worker and with two") {
    Seq(1, 2).foreach { workers =>
      val seen = new Seen
      val model = classifier.setMaxEpochs(4).setNumWorkers(workers).setValidationIndicatorCol("held").setEpochCallback(seen).fit(points(120))
      val history = model.summary.history.orderBy("epoch").collect()
      assert(seen.epochs.map(_.epoch) == Seq(1, 2, 3, 4) && seen.epochs.forall(epoch => epoch.maxEpochs == 4 && epoch.paramMap == 0))
      seen.epochs.zip(history).foreach { case (epoch, row) =>
        assert(epoch.trainLoss == row.getAs[Double]("trainLoss") && epoch.validationLoss.contains(row.getAs[Double]("validationLoss")))
        assert(epoch.metrics("accuracy") == row.getAs[Double]("accuracy") && epoch.learningRate == row.getAs[Double]("learningRate"))
      }
    }
  }

  test("it ends a training after an epoch; the model is that of as many epochs") {
    val rows = points(120)
    val expected = probabilities(classifier.setMaxEpochs(3).fit(rows), rows)
    Seq(1, 2).foreach { workers =>
      val stopped =
        classifier.setMaxEpochs(50).setNumWorkers(workers).setEpochCallback((epoch: EpochEnd) => if (epoch.epoch == 3) epoch.stop()).fit(rows)
      assert(stopped.summary.stoppedEarly && stopped.summary.history.count() == 3)
      assert(distance(expected, probabilities(stopped, rows)) < 1e-5)
    }
  }

  test("each of the trainings that step together ends by itself; copies have the function, also inside a pipeline") {
    val seen = new Seen
    val head = classifier.setMaxEpochs(6).setEpochCallback { (epoch: EpochEnd) =>
      seen.onEpochEnd(epoch)
      if (epoch.epoch == 2 + epoch.paramMap) epoch.stop()
    }
    val maps = Seq(0.05, 0.01, 0.002).map(rate => ParamMap(head.learningRate -> rate))
    val models = head.fit(points(60), maps)
    assert(models.map(_.summary.history.count()) == Seq(2, 3, 4))
    assert(seen.epochs.groupBy(_.paramMap).map { case (map, epochs) => map -> epochs.map(_.epoch).toSeq } == Map(0 -> Seq(1, 2), 1 -> (1 to 3), 2 -> (1 to 4)))
    val fitted = new Pipeline().setStages(Array(head)).fit(points(60), ParamMap(head.learningRate -> 0.02))
    assert(fitted.stages.head.asInstanceOf[TorchClassificationModel].summary.history.count() == 2)
  }

  test("after the attempt that a checkpoint continues, it sees only new epochs") {
    withFolder { folder =>
      classifier.setMaxEpochs(3).setCheckpointDir(s"$folder/c").fit(points(60))
      val seen = new Seen
      val resumed = classifier.setMaxEpochs(5).setResumeFrom(s"$folder/c").setCheckpointDir(s"$folder/d").setCheckpointSteps(1).setEpochCallback(seen)
        .fit(points(60))
      assert(seen.epochs.map(_.epoch) == Seq(3, 4, 5) && resumed.summary.history.count() == 5)
    }
  }

  test("with its error the fit fails, and no further epoch is seen") {
    val seen = new Seen
    val failing = classifier.setMaxEpochs(50).setNumWorkers(2).setEpochCallback { (epoch: EpochEnd) =>
      seen.onEpochEnd(epoch)
      if (epoch.epoch == 2) throw new IllegalStateException("the disk of the metrics is full")
    }
    val thrown = intercept[IllegalStateException](failing.fit(points(60)))
    assert(thrown.getMessage == "the disk of the metrics is full" && seen.epochs.length == 2)
  }
}
