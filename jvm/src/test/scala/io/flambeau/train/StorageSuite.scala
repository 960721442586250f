package io.flambeau.train

import java.nio.file.{Files, Path}
import java.util.concurrent.atomic.AtomicInteger

import org.apache.spark.scheduler.{SparkListener, SparkListenerStageSubmitted, SparkListenerTaskStart}
import org.apache.spark.sql.functions.{col, when}

/** Errors of writing, and errors that a retry would repeat, are reported once with their condition, for any number of workers. */
class StorageSuite extends TrainingSuite {

  /** How many tasks `body` starts, and how often the stage with the most attempts is tried. */
  private def counting(body: => Any): (Int, Int) = {
    val tasks = new AtomicInteger
    val attempts = new AtomicInteger
    val listener = new SparkListener {
      override def onTaskStart(start: SparkListenerTaskStart): Unit = { tasks.incrementAndGet(); () }
      override def onStageSubmitted(stage: SparkListenerStageSubmitted): Unit = {
        attempts.accumulateAndGet(stage.stageInfo.attemptNumber() + 1, math.max(_, _))
        ()
      }
    }
    spark.sparkContext.addSparkListener(listener)
    try {
      body
      // Events arrive in order: after those of a later job, all have arrived.
      val before = tasks.get
      spark.sparkContext.parallelize(Seq(1), 1).count()
      eventually(assert(tasks.get > before))
    } finally spark.sparkContext.removeSparkListener(listener)
    (tasks.get - 1, attempts.get)
  }

  test("checkpointDir and logDir that cannot be made fail before any task") {
    withFolder { folder =>
      val file = Files.writeString(folder.resolve("file"), "x")
      val rows = points(40).cache()
      rows.count()
      Seq(1, 2).foreach { workers =>
        val (tasks, _) = counting {
          assertFails("FLAMBEAU_STORAGE", "checkpointDir", s"$file/c")(classifier.setNumWorkers(workers).setCheckpointDir(s"$file/c").fit(rows))
          assertFails("FLAMBEAU_STORAGE", "logDir", s"$file/l")(classifier.setNumWorkers(workers).setLogDir(s"$file/l").fit(rows))
          assertFails("FLAMBEAU_STORAGE", "checkpointDir", "nosuchscheme")(classifier.setNumWorkers(workers).setCheckpointDir("nosuchscheme://x/c").fit(rows))
        }
        assert(tasks == 0)
      }
      rows.unpersist()
    }
  }

  test("a probe leaves nothing") {
    withFolder { folder =>
      val there = Files.createDirectory(folder.resolve("there"))
      Seq(there, folder.resolve("new/deeper")).foreach(path => Storage.probe("checkpointDir", path.toString, io.flambeau.models.HadoopSettings.none))
      assert(Files.list(folder).toArray.toSeq == Seq(there) && Files.list(there).count() == 0)
    }
  }

  test("a folder that breaks while training is one failure, which is not tried again") {
    withFolder { folder =>
      Seq(1, 2).foreach { workers =>
        val checkpoints = folder.resolve(s"c$workers")
        val breaker = breakWhenThere(checkpoints)
        val (_, attempts) = counting {
          assertFails("FLAMBEAU_STORAGE", "checkpointDir", checkpoints.toString)(
            classifier.setNumWorkers(workers).setMaxEpochs(100000).setCheckpointDir(checkpoints.toString).fit(points(40)))
        }
        breaker.join()
        assert(attempts == 1, s"$workers workers")
      }
    }
  }

  /** Replaces the fit's folder by a file as soon as it has a checkpoint. */
  private def breakWhenThere(folder: Path): Thread = {
    def broken(): Boolean = Option(folder.toFile.listFiles).toSeq.flatten.map(_.toPath).find(fit => hasCheckpoint(fit.resolve("run-0"))).exists { fit =>
      try {
        Files.move(fit, folder.resolveSibling(s"moved-${System.nanoTime()}"))
        Files.createFile(fit)
        true
      } catch { case _: java.io.IOException => false } // the worker has made it again meanwhile
    }
    val thread = new Thread(() => while (!broken()) Thread.sleep(5))
    thread.setDaemon(true)
    thread.start()
    thread
  }

  private def hasCheckpoint(folder: Path): Boolean = Option(folder.toFile.list).exists(_.exists(_.endsWith(".checkpoint")))

  test("a row that only one worker finds bad ends all workers once, with its own condition") {
    val rows = points(64, 2)
    val (_, attempts) = counting {
      assertFails("FLAMBEAU_BAD_INPUT", "row 5 of partition 1")(
        classifier.setNumWorkers(2).fit(rows.withColumn("label", when(col("id") === 37, 0.5).otherwise(col("label")))))
    }
    assert(attempts == 1)
  }

  test("no room, no right and no such place would come again; a file system that does not answer may answer the next time") {
    import java.io.IOException
    val lasting = Seq(
      new IOException("No space left on device"), new java.nio.file.AccessDeniedException("/x"),
      new java.nio.file.FileSystemException("/x", null, "Read-only file system"),
      new IOException("write failed", new IOException("Disk quota exceeded")), new org.apache.hadoop.security.AccessControlException("denied"),
      new org.apache.hadoop.fs.ParentNotDirectoryException("/x"), new IOException("Mkdirs failed to create /x"),
      new IOException("chmod: cannot access '/x/y': Not a directory"), new IOException("chmod: cannot access '/x/y': No such file or directory"))
    lasting.foreach(cause => assert(Storage.isLasting(cause) && Storage.isLasting(new Storage.Failed("/x", "", cause)), cause))
    val passing =
      Seq(new IOException("Connection reset by peer"), new java.net.SocketTimeoutException("60000 millis timeout"), new java.net.UnknownHostException("nn"))
    passing.foreach(cause => assert(!Storage.isLasting(cause) && !Storage.isLasting(new Storage.Failed("/x", "", cause)), cause))
    val full =
      Failures.translated("head", 1, 2, new io.flambeau.bridge.NativeException(io.flambeau.bridge.ErrorKind.Disk, "No space left on device (os error 28)", -1))
    assert(full.getCondition == Storage.Condition && full.getMessage.contains("spark.local.dir") && full.getMessage.contains("worker 1 of 2"))
  }
}
