package io.flambeau.train

import java.nio.file.{Files, Path, Paths}

import scala.jdk.CollectionConverters._
import scala.util.Using

import io.flambeau.files.LocalCache
import io.flambeau.ml.StageSuite
import io.flambeau.spark.SparkAccess

/** Whose scratch folders are removed, and whose are not. */
class ScratchSuite extends StageSuite {
  private def registry: Path = Files.createDirectories(LocalCache.baseDirectory().resolve("training"))

  private def scratch(parent: Path, name: String): Path = {
    val folder = Files.createDirectory(parent.resolve(name))
    Files.writeString(folder.resolve("dataset.arrow"), "rows")
    folder
  }

  /** Holds a lock on a file in a process of its own, as another worker does, until its standard input ends. */
  private def holding[T](file: Path)(body: => T): T = {
    val program = "import fcntl, sys\nf = open(sys.argv[1], 'r+')\nfcntl.lockf(f, fcntl.LOCK_EX)\nprint('held', flush=True)\nsys.stdin.read()"
    val process = new ProcessBuilder("python3", "-c", program, file.toString).start()
    try {
      assert(process.inputReader().readLine() == "held")
      body
    } finally {
      process.outputWriter().close()
      process.waitFor()
    }
  }

  test("folders of a process that is gone are removed by the next worker; those of a living one, and all others, stay") {
    withFolder { parent =>
      val (dead, living, foreign) = (scratch(parent, "flambeau-training-1"), scratch(parent, "flambeau-training-2"), scratch(parent, "precious"))
      val link = Files.createSymbolicLink(parent.resolve("flambeau-training-link"), foreign)
      val gone = Files.writeString(registry.resolve("owner-gone"), Seq(dead, foreign, link).map(path => s"$path\n").mkString)
      val there = Files.writeString(registry.resolve("owner-there"), s"$living\n")
      try holding(there) {
          val own = Scratch.create(parent, "flambeau-training-")
          assert(!Files.exists(dead) && !Files.exists(gone))
          assert(Seq(living, foreign, own).forall(Files.isDirectory(_)) && Files.exists(foreign.resolve("dataset.arrow")) && Files.exists(there))
          Scratch.delete(own)
          assert(!Files.exists(own))
        }
      finally Files.deleteIfExists(there)
      // Its owner has ended and its lock file is gone: the folder is not known to any process, and is not removed.
      Scratch.delete(Scratch.create(parent, "flambeau-training-"))
      assert(Files.isDirectory(living))
    }
  }

  test("a training leaves no folder, and its process holds the lock that tells others so") {
    spark.sql("SELECT array(float(id)) AS features, double(id % 2) AS label FROM range(8)").createOrReplaceTempView("few")
    new io.flambeau.ml.TorchClassifier().setMaxEpochs(1).fit(spark.table("few"))
    val left = Using.resource(Files.list(Paths.get(SparkAccess.localDirectory())))(_.iterator.asScala.map(_.getFileName.toString).toList)
    assert(!left.exists(_.startsWith("flambeau-training-")), left)
    // Another process checks, since opening and closing the file here would release the lock.
    val program = "import fcntl, pathlib, sys\nheld = 0\nfor path in pathlib.Path(sys.argv[1]).glob('owner-*'):\n  with open(path, 'r+') as f:\n" +
      "    try: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n    except OSError: held += 1\nprint(held)"
    val asked = new ProcessBuilder("python3", "-c", program, registry.toString).start()
    assert(asked.inputReader().readLine().toInt >= 1)
    asked.waitFor()
  }
}
