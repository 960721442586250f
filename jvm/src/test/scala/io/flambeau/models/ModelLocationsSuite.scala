package io.flambeau.models

import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path, StandardCopyOption}

import scala.util.Using

import org.apache.commons.compress.archivers.zip.{ZipArchiveEntry, ZipArchiveOutputStream}
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.RawLocalFileSystem

import io.flambeau.FlambeauSuite
import io.flambeau.conf.FlambeauConf
import io.flambeau.files.{LocalCache, LocalFiles}
import io.flambeau.spark.Classic

/** A Hadoop file system that is not the local one: `elsewhere:/path` is the file `/path`; the host `gone` cannot be reached. Hadoop finds it by its setting. */
final class ElsewhereFileSystem extends RawLocalFileSystem {
  override def getScheme: String = "elsewhere"
  override def getUri: java.net.URI = java.net.URI.create("elsewhere:///")
  override def initialize(uri: java.net.URI, conf: Configuration): Unit =
    if (uri.getHost == "gone") throw new java.net.UnknownHostException("gone") else super.initialize(getUri, conf)
}

/** Where packages can come from, in one process; `tests/test_model_locations.py` does the same over executors. */
class ModelLocationsSuite extends FlambeauSuite {

  private val Expected = Seq(2f, 4f, 6f)
  private val tiny = FlambeauSuite.packages.resolve("tiny")
  private lazy val folder = Files.createTempDirectory("flambeau-locations")

  override protected def beforeEach(): Unit = {
    super.beforeEach()
    spark.conf.set("fs.elsewhere.impl", classOf[ElsewhereFileSystem].getName)
  }

  override protected def afterAll(): Unit = {
    spark.conf.unset("fs.elsewhere.impl")
    LocalFiles.deleteFolder(folder)
    super.afterAll()
  }

  private def features(model: String): Any = rowsOf(s"SELECT featurize(v, '$model') FROM VALUES (array(1, 2, 3, 4)) AS t(v)").head.get(0)

  /** A copy of `tiny` with new content: its description holds the place. */
  private def copyOfTiny(name: String): Path = {
    val target = folder.resolve(name)
    Files.createDirectories(target)
    Using.resource(Files.list(tiny))(_.forEach(file => Files.copy(file, target.resolve(file.getFileName), StandardCopyOption.REPLACE_EXISTING)))
    describeAs(target, s"copy $target")
    target
  }

  private def describeAs(target: Path, description: String): Unit = {
    val toml = target.resolve("model.toml")
    Files.writeString(toml, Files.readString(toml).replaceAll("(?m)^description = .*$", s"description = \"$description\""))
  }

  private def zip(name: String, from: Path, prefix: String)(more: ZipArchiveOutputStream => Unit = _ => ()): Path = {
    val target = folder.resolve(name)
    Using.resource(new ZipArchiveOutputStream(target.toFile)) { out =>
      Using.resource(Files.list(from))(_.forEach(file => put(out, prefix + file.getFileName, Files.readAllBytes(file))))
      more(out)
    }
    target
  }

  private def put(out: ZipArchiveOutputStream, name: String, content: Array[Byte], mode: Int = 0x81a4): Unit = {
    val entry = new ZipArchiveEntry(name)
    entry.setUnixMode(mode)
    out.putArchiveEntry(entry)
    out.write(content)
    out.closeArchiveEntry()
  }

  test("a path, a file: URI, and one with spaces and signs") {
    val odd = copyOfTiny("a b%20ü")
    assert(features(tiny.toString) == Expected && features(tiny.toUri.toString) == Expected)
    assert(features(odd.toString) == Expected && features(odd.toUri.toString) == Expected)
  }

  test("a Hadoop file system: a folder, a zip, and a name under models.path") {
    val place = copyOfTiny("hadoop/one")
    val archive = zip("hadoop/two.zip", place, "")()
    assert(features(s"elsewhere:$place") == Expected)
    assert(features(s"elsewhere:$archive") == Expected)
    withConf(FlambeauConf.ModelsPath.key -> s"/nowhere, elsewhere:${place.getParent}") {
      assert(features("one") == Expected && features("two") == Expected)
    }
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "elsewhere:/nowhere is not a folder")(features("elsewhere:/nowhere"))
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "unknown")(features("unknown://host/model"))
  }

  test("the driver reads no program to plan a query over a Hadoop file system") {
    val place = copyOfTiny("unread")
    Files.write(place.resolve("model.pt"), Array[Byte](1, 2, 3))
    assert(spark.sql(s"SELECT featurize(array(1, 2, 3, 4), 'elsewhere:$place')").schema.nonEmpty)
    assertFails("FLAMBEAU_BAD_MODEL", "model.pt", "altered or damaged")(features(s"elsewhere:$place"))
  }

  test("a zip: flat, or with the package in its only folder") {
    assert(features(zip("flat.zip", copyOfTiny("flat"), "")().toString) == Expected)
    assert(features(zip("nested.zip", copyOfTiny("nested"), "nested/")().toString) == Expected)
  }

  test("a zip that tries what a package never needs is refused whole") {
    val link = zip("link.zip", tiny, "")(put(_, "labels", "/etc/passwd".getBytes(UTF_8), 0xa1ff))
    assertFails("FLAMBEAU_BAD_MODEL", "symbolic link")(features(link.toString))
    val outside = zip("outside.zip", tiny, "")(put(_, "../../outside", Array[Byte](1)))
    assertFails("FLAMBEAU_BAD_MODEL", "an entry outside of it")(features(outside.toString))
    val many = zip("many.zip", tiny, "")(out => (0 to 10000).foreach(i => put(out, s"f$i", Array.emptyByteArray)))
    assertFails("FLAMBEAU_BAD_MODEL", "more than 10000 entries")(features(many.toString))
    val none = zip("none.zip", tiny, "a/b/")()
    assertFails("FLAMBEAU_BAD_MODEL", "has no model.toml")(features(none.toString))
    val two = zip("two.zip", tiny, "a/")(put(_, "b/model.toml", Array[Byte](1)))
    assertFails("FLAMBEAU_BAD_MODEL", "several packages")(features(two.toString))
    Files.write(folder.resolve("no.zip"), Array[Byte](1, 2, 3))
    assertFails("FLAMBEAU_BAD_MODEL")(features(folder.resolve("no.zip").toString))
    assert(!Files.exists(folder.resolveSibling("outside")))
  }

  test("a set larger than allowed is not fetched, and leaves nothing behind") {
    val entry = LocalCache.Entry(LocalFiles.sha256(new Array[Byte](100)), "zeros")
    val failure = intercept[java.io.IOException] {
      LocalCache.fetch("package", "f" * 64, Seq(entry, entry.copy(name = "again")), 150, "here")(_ => new java.io.ByteArrayInputStream(new Array[Byte](100)))
    }
    assert(failure.getMessage.contains("spark.flambeau.models.maxBytes"))
    val target = LocalCache.folder("package", "f" * 64)
    assert(!Files.exists(target) && !Files.exists(target.resolveSibling(s".${target.getFileName}.part")))
  }

  test("threads that ask together fetch once") {
    val content = "content".getBytes(UTF_8)
    val hash = LocalFiles.sha256(folder.toString.getBytes(UTF_8))
    val opened = new java.util.concurrent.atomic.AtomicInteger
    val threads = (1 to 8).map(_ =>
      new Thread(() => {
        LocalCache.fetch("test", hash, Seq(LocalCache.Entry(LocalFiles.sha256(content), "file")), 1000, "here") { _ =>
          opened.incrementAndGet()
          Thread.sleep(50)
          new java.io.ByteArrayInputStream(content)
        }
        ()
      }))
    threads.foreach(_.start())
    threads.foreach(_.join())
    assert(opened.get == 1)
    assert(Files.readAllBytes(LocalCache.folder("test", hash).resolve("file")).toSeq == content.toSeq)
    LocalFiles.deleteFolder(LocalCache.folder("test", hash))
  }

  test("the next query notices other content under the same path") {
    Seq("elsewhere:", "").foreach { scheme =>
      val place = copyOfTiny(s"changing$scheme")
      assert(features(s"$scheme$place") == Expected)
      val planned = spark.sql(s"SELECT featurize(array(1, 2, 3, 4), '$scheme$place') FROM range(1)")
      val noop = FlambeauSuite.packages.resolve("raises")
      Using.resource(Files.list(noop))(_.forEach(file => Files.copy(file, place.resolve(file.getFileName), StandardCopyOption.REPLACE_EXISTING)))
      assertFails("FLAMBEAU_BAD_INPUT", "must not be negative")(
        rowsOf(s"SELECT featurize(v, '$scheme$place') FROM VALUES (array(-1, 2, 3, 4)) AS t(v)"))
      // A query that was planned before uses the planned content, which is still in memory.
      assert(planned.head().get(0) == Expected)
    }
  }

  test("content that changed after the plan and was never in memory fails rather than giving the other model's numbers") {
    val place = copyOfTiny("never-loaded")
    val planned = spark.sql(s"SELECT featurize(array(1, 2, 3, 4), '$place') FROM range(1)")
    describeAs(place, "changed")
    assertFails("FLAMBEAU_BAD_MODEL", "changed since the query was planned")(planned.collect())
  }

  test("models.allow bounds every kind of place") {
    val place = copyOfTiny("allowed/one")
    Files.createSymbolicLink(folder.resolve("allowed/link"), tiny)
    val archive = zip("outside-allowed.zip", place, "")()
    withConf(FlambeauConf.ModelsAllow.key -> s"${folder.resolve("allowed")},elsewhere:${folder.resolve("allowed")}") {
      assert(features(place.toString) == Expected && features(s"elsewhere:$place") == Expected)
      val outside = Seq(tiny.toString, "tiny", archive.toString, s"elsewhere:$archive", s"elsewhere:$tiny",
        s"$folder/allowed/link", s"$folder/allowed/../outside-allowed.zip", s"elsewhere:$folder/allowed/../outside-allowed.zip")
      outside.foreach(model => assertFails("FLAMBEAU_UNKNOWN_MODEL", FlambeauConf.ModelsAllow.key)(features(model)))
    }
    withConf(FlambeauConf.ModelsPath.key -> s"$folder/allowed/one") {
      assertFails("FLAMBEAU_UNKNOWN_MODEL", "begin with a dot")(features(".."))
    }
  }

  test("an entry of models.allow that cannot be reached refuses nothing but what would lie in it") {
    val place = copyOfTiny("reachable/one")
    withConf(
      FlambeauConf.ModelsAllow.key -> s"hdfs://no-such-host/models,s3a://no-jar/models,elsewhere://gone/models,nosuch:/x,elsewhere:$folder/reachable,$folder/reachable") {
      assert(features(place.toString) == Expected && features(s"elsewhere:$place") == Expected)
      assertFails("FLAMBEAU_UNKNOWN_MODEL", "is outside of", "could not be reached: elsewhere://gone/models (there is no host gone")(
        features(s"elsewhere:$tiny"))
      assertFails("FLAMBEAU_UNKNOWN_MODEL", "is outside of")(features(tiny.toString))
    }
  }

  test("a package that was cut short, altered or removed after it was fetched is fetched anew") {
    val place = copyOfTiny("repaired")
    assert(features(s"elsewhere:$place") == Expected)
    val hash = LocalFiles.sha256(Files.newInputStream(place.resolve("model.toml")))
    val fetched = LocalCache.folder("package", hash)
    Seq[Path => Unit](
      file => Files.write(file, Files.readAllBytes(file).take(100)),
      file => Files.write(file, Files.readAllBytes(file).map(b => (b ^ 1).toByte)),
      file => Files.delete(file)).foreach { damage =>
      Seq("model.pt", "model.toml", "labels.txt").foreach(name => damage(fetched.resolve(name)))
      val planned = spark.sql(s"SELECT featurize(array(1, 2, 3, 4), 'elsewhere:$place') FROM range(1)")
      assert(planned.head().get(0) == Expected)
      Seq("model.pt", "model.toml", "labels.txt").foreach { name =>
        assert(Files.readAllBytes(fetched.resolve(name)).toSeq == Files.readAllBytes(place.resolve(name)).toSeq, name)
      }
    }
  }

  test("Hadoop settings travel, and do not show") {
    val settings = HadoopSettings.of(spark.asInstanceOf[Classic.Session].sessionState.conf)
    assert(settings.configuration().get("fs.elsewhere.impl") == classOf[ElsewhereFileSystem].getName)
    withConf("fs.s3a.secret.key" -> "hidden-value") {
      val plan = spark.sql(s"SELECT featurize(array(1, 2, 3, 4), 'elsewhere:$tiny') FROM range(1)").queryExecution
      assert(!plan.toString.contains("hidden-value") && !plan.logical.toString.contains("hidden-value"))
    }
  }
}
