package io.flambeau.train

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._
import scala.util.Using

import io.flambeau.ml.{TorchClassificationModel, TorchClassifier}

/** Checkpoints: when, where, how many; and continuing from one gives the model of an undisturbed training. */
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

  test("a checkpoint of another training is refused with the list of what differs") {
    withFolder { folder =>
      val rows = points(60)
      classifier.setMaxEpochs(3).setCheckpointDir(s"$folder/c").fit(rows)
      def refused(estimator: TorchClassifier, parts: String*): Unit = {
        assertFails("FLAMBEAU_BAD_ARGUMENT", parts: _*)(estimator.setMaxEpochs(3).setResumeFrom(s"$folder/c").fit(rows))
        ()
      }
      refused(classifier.setHiddenLayers(Array(4)).setLearningRate(0.01), "hiddenLayers is [4], the checkpoint's []",
        "learningRate is 0.01, the checkpoint's 0.05", "step-")
      refused(classifier.setSchedule("cosine").setClipNorm(1.0), "schedule is cosine", "clipNorm is 1.0, the checkpoint's not set")
      refused(classifier.setWeightCol("weight").setNumWorkers(2), "sum of the training rows' weights is 90.0, the checkpoint's 60.0")
      refused(classifier.setLabelSmoothing(0.1).setDropout(0.5), "labelSmoothing is 0.1", "dropout is 0.5")
      refused(classifier.setValidationIndicatorCol("held"), "number of training rows is 48, the checkpoint's 60")
      assertFails("FLAMBEAU_BAD_ARGUMENT", "maxEpochs is 1")(classifier.setMaxEpochs(1).setResumeFrom(s"$folder/c").fit(rows))
    }
  }

  test("what may differ: workers, rows passed at once, and more epochs where the schedule does not hang on them") {
    withFolder { folder =>
      val rows = points(60)
      classifier.setMaxEpochs(3).setCheckpointDir(s"$folder/c").fit(rows)
      val expected = probabilities(classifier.setMaxEpochs(5).fit(rows), rows)
      val resumed = classifier.setMaxEpochs(5).setNumWorkers(2).setMicroBatchSize(7).setResumeFrom(s"$folder/c").fit(rows)
      assert(distance(expected, probabilities(resumed, rows)) < 1e-5 && resumed.summary.history.count() == 5)
    }
  }

  test("the highest step is taken, whatever the files' times; a damaged one is is skipped, and all of them refused by name") {
    withFolder { folder =>
      val rows = points(60)
      val undisturbed = probabilities(classifier.setMaxEpochs(6).fit(rows), rows)
      classifier.setMaxEpochs(6).setCheckpointDir(s"$folder/c").setKeepCheckpoints(3).fit(rows)
      val kept = files(folder)
      // 60 rows in batches of 32: epochs 3, 4 and 5 are 6, 8 and 10 steps. The oldest has the newest modification time.
      assert(kept.map(_.getFileName.toString) == Seq(6, 8, 10).map(steps => f"step-$steps%012d.checkpoint"))
      Files.setLastModifiedTime(kept.head, java.nio.file.attribute.FileTime.fromMillis(System.currentTimeMillis() + 1000000))
      def resumed = classifier.setMaxEpochs(6).setResumeFrom(s"$folder/c").fit(rows)
      def startedAt(model: TorchClassificationModel) = {
        assert(distance(undisturbed, probabilities(model, rows)) == 0.0)
        model.summary.history.count()
      }
      val log = new CheckpointSuite.Log
      log.during {
        assert(startedAt(resumed) == 6)
        assert(log.lines.exists(_.contains("continues from")) && log.lines.exists(_.contains("step-000000000010")))
      }
      // One byte in the middle of a tensor, which a reader of the archive would not notice.
      def damage(file: Path): Unit = {
        val bytes = Files.readAllBytes(file)
        bytes(bytes.length / 2) = (bytes(bytes.length / 2) ^ 0x10).toByte
        Files.write(file, bytes)
        Files.deleteIfExists(file.resolveSibling(s".${file.getFileName}.crc"))
        ()
      }
      damage(kept(2))
      log.during {
        assert(startedAt(resumed) == 6)
        assert(log.lines.exists(line => line.contains("step-000000000010") && line.contains("is skipped")))
        assert(log.lines.exists(line => line.contains("continues from") && line.contains("step-000000000008")))
      }
      assertFails("FLAMBEAU_BAD_ARGUMENT", "step-000000000010", "there is no usable checkpoint")(
        classifier.setMaxEpochs(6).setNumWorkers(2).setResumeFrom(kept(2).toString).fit(rows))
      kept.take(2).foreach(damage)
      assertFails("FLAMBEAU_BAD_ARGUMENT", "step-000000000006", "step-000000000008", "step-000000000010")(resumed)
    }
  }

  test("each training of a fit with parameter maps continues from its own checkpoint") {
    withFolder { folder =>
      val rows = points(60)
      val head = classifier.setMaxEpochs(4)
      val maps = Seq(0.05, 0.01).map(rate => new org.apache.spark.ml.param.ParamMap().put(head.learningRate, rate))
      val expected = head.fit(rows, maps).map(probabilities(_, rows))
      head.setCheckpointDir(s"$folder/c").fit(rows, maps)
      val again = classifier.setMaxEpochs(4).setResumeFrom(s"$folder/c")
      val resumed =
        again.fit(rows, Seq(0.05, 0.01).map(rate => new org.apache.spark.ml.param.ParamMap().put(again.learningRate, rate))).map(probabilities(_, rows))
      expected.zip(resumed).foreach { case (a, b) => assert(distance(a, b) < 1e-5) }
    }
  }
}

private object CheckpointSuite {
  import org.apache.logging.log4j.{Level, LogManager}
  import org.apache.logging.log4j.core.{LogEvent, LoggerContext}
  import org.apache.logging.log4j.core.appender.AbstractAppender
  import org.apache.logging.log4j.core.config.Property

  /** The log of the training meanwhile. */
  final class Log extends AbstractAppender("of checkpoints", null, null, true, Property.EMPTY_ARRAY) {
    private val found = new java.util.concurrent.ConcurrentLinkedQueue[String]
    def lines: Seq[String] = found.asScala.toSeq
    override def append(event: LogEvent): Unit = { found.add(event.getMessage.getFormattedMessage); () }

    def during[T](body: => T): T = {
      found.clear()
      val context = LogManager.getContext(false).asInstanceOf[LoggerContext]
      val logger = context.getLogger("io.flambeau.train")
      val before = logger.getLevel
      start()
      logger.addAppender(this)
      org.apache.logging.log4j.core.config.Configurator.setLevel("io.flambeau.train", Level.INFO)
      try body
      finally {
        logger.removeAppender(this)
        org.apache.logging.log4j.core.config.Configurator.setLevel("io.flambeau.train", before)
      }
    }
  }
}
