package io.flambeau.train

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._
import scala.util.Using

/** Checkpoints: when, where, how many, and that going on from one gives the undisturbed model. */
class CheckpointSuite extends TrainingSuite {

  private def files(folder: Path): Seq[Path] =
    Using.resource(Files.walk(folder))(_.iterator.asScala.filter(p => Files.isRegularFile(p) && !p.getFileName.toString.endsWith(".crc")).toList.sorted)

  test("every two epochs, the newest kept; going on from the newest, and from a given one") {
    withFolder { folder =>
      val rows = points(200)
      def estimator(workers: Int) = classifier.setHiddenLayers(Array(8)).setDropout(0.2).setSchedule("cosine").setNumWorkers(workers)
      val whole = probabilities(estimator(1).fit(rows), rows)
      val saved = estimator(2).setCheckpointDir(s"$folder/c").setCheckpointEpochs(2).setKeepCheckpoints(3).fit(rows)
      assert(distance(whole, probabilities(saved, rows)) < 1e-5)
      val kept = files(folder)
      // 200 rows in batches of 32 are 7 steps; the tenth epoch is the end, which needs none.
      assert(kept.map(_.getFileName.toString) == Seq(4, 6, 8).map(epoch => f"step-${epoch * 7}%012d.checkpoint"))
      assert(kept.head.getParent.getFileName.toString == "run-0")
      Seq(s"$folder/c", kept(1).toString).foreach { from =>
        val resumed = estimator(2).setResumeFrom(from).fit(rows)
        assert(distance(probabilities(saved, rows), probabilities(resumed, rows)) < 1e-6, from)
        assert(resumed.summary.history.count() == 10)
      }
    }
  }

  test("every so many steps, also in the middle of an epoch") {
    withFolder { folder =>
      val rows = points(200)
      val saved = classifier.setCheckpointDir(s"$folder/c").setCheckpointSteps(11).setCheckpointEpochs(100).setKeepCheckpoints(1).fit(rows)
      val kept = files(folder)
      assert(kept.map(_.getFileName.toString).forall(_ == f"step-${66}%012d.checkpoint"))
      val resumed = classifier.setResumeFrom(s"$folder/c").fit(rows)
      assert(distance(probabilities(saved, rows), probabilities(resumed, rows)) == 0.0)
    }
  }

  test("nothing to go on from") {
    withFolder { folder =>
      assertFails("FLAMBEAU_BAD_ARGUMENT", "resumeFrom")(classifier.setResumeFrom(s"$folder/nowhere").fit(points(40)))
      assertFails("FLAMBEAU_BAD_ARGUMENT", "resumeFrom")(classifier.setNumWorkers(2).setResumeFrom(s"$folder/nowhere").fit(points(40)))
    }
  }

  test("a checkpoint of another training is refused") {
    withFolder { folder =>
      val rows = points(60)
      classifier.setMaxEpochs(3).setCheckpointDir(s"$folder/c").fit(rows)
      val failure = intercept[Exception](classifier.setHiddenLayers(Array(4)).setResumeFrom(s"$folder/c").fit(rows))
      assert(conditionOf(failure).exists(_.startsWith("FLAMBEAU_")), messagesOf(failure))
    }
  }
}
