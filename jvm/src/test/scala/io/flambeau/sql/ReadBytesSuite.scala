package io.flambeau.sql

import java.awt.image.BufferedImage
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path}
import java.util.concurrent.atomic.AtomicInteger
import javax.imageio.ImageIO

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FSDataInputStream, Path => HadoopPath, RawLocalFileSystem}
import org.apache.spark.sql.{DataFrame, Row}
import org.apache.spark.sql.execution.SparkPlan
import org.apache.spark.sql.execution.adaptive.AdaptiveSparkPlanHelper
import org.apache.spark.sql.functions.col
import org.apache.spark.sql.streaming.Trigger

import io.flambeau.FlambeauSuite
import io.flambeau.files.LocalFiles
import io.flambeau.functions._
import io.flambeau.spark.Classic

/** `slow:/path` is the file `/path`. Opening one takes a while, and how many are opened at the same time is counted. */
final class SlowFileSystem extends RawLocalFileSystem {
  override def getScheme: String = "slow"
  override def getUri: java.net.URI = java.net.URI.create("slow:///")
  override def initialize(uri: java.net.URI, conf: Configuration): Unit = super.initialize(getUri, conf)

  override def open(path: HadoopPath, bufferBytes: Int): FSDataInputStream = {
    SlowFileSystem.opened.incrementAndGet()
    val now = SlowFileSystem.opening.incrementAndGet()
    SlowFileSystem.most.accumulateAndGet(now, math.max(_, _))
    try Thread.sleep(SlowFileSystem.OpenMillis)
    finally SlowFileSystem.opening.decrementAndGet()
    super.open(path, bufferBytes)
  }
}

object SlowFileSystem {
  private val OpenMillis = 20L
  val opening = new AtomicInteger
  val most = new AtomicInteger
  val opened = new AtomicInteger
}

/** `read_bytes` and `try_read_bytes`: content, order, mistakes, bounds; what is read in which plan. */
class ReadBytesSuite extends FlambeauSuite with AdaptiveSparkPlanHelper {
  private val Count = 200
  private lazy val folder = Files.createTempDirectory("flambeau-reads").toRealPath()

  private def file(id: Int): Path = folder.resolve(s"a file $id.txt")

  override protected def beforeAll(): Unit = {
    super.beforeAll()
    (0 until Count).foreach(id => Files.write(file(id), (s"$id " * (id % 7)).getBytes(UTF_8)))
    spark.conf.set("fs.slow.impl", classOf[SlowFileSystem].getName)
  }

  override protected def afterAll(): Unit = {
    spark.conf.unset("fs.slow.impl")
    LocalFiles.deleteFolder(folder)
    super.afterAll()
  }

  private def listing(scheme: String = "", rows: Int = Count, partitions: Int = 3): DataFrame =
    spark.range(0, rows, 1, partitions).selectExpr("id", s"concat('$scheme$folder/a file ', id, '.txt') AS path")

  private def contents(df: DataFrame): Seq[String] = df.collect().toSeq.map(row => if (row.isNullAt(0)) null else new String(row.getAs[Array[Byte]](0), UTF_8))

  private def expected(rows: Int = Count): Seq[String] = (0 until rows).map(id => s"$id " * (id % 7))

  private def nodes(df: DataFrame): Seq[SparkPlan] = {
    val executed = df.asInstanceOf[Classic.Rows[Row]].queryExecution.executedPlan
    collect(executed) { case node: ReadFilesExec => node }
  }

  /** The result of `body`, and how many files it opened on the slow file system. */
  private def opened[T](body: => T): (T, Int) = {
    val before = SlowFileSystem.opened.get
    val result = body
    (result, SlowFileSystem.opened.get - before)
  }

  test("local paths and URIs, in order, as the files are") {
    Seq("", "file:", "file://", "slow:").foreach { scheme =>
      val df = listing(scheme).select(read_bytes(col("path")))
      assert(contents(df) == expected(), scheme)
      assert(nodes(df).length == 1)
    }
    assert(contents(listing().select(try_read_bytes(col("path")))) == expected())
  }

  test("the content is that of binaryFile") {
    val files = spark.read.format("binaryFile").load(folder.toString)
    // Spark lists no empty files.
    assert(files.where(!(read_bytes(col("path")) <=> col("content"))).count() == 0 && files.count() == expected().count(_.nonEmpty))
  }

  test("many files are opened at the same time, as the setting says") {
    SlowFileSystem.most.set(0)
    withConf("spark.flambeau.read.parallelism" -> "8")(assert(contents(listing("slow:", partitions = 1).select(read_bytes(col("path")))) == expected()))
    assert(SlowFileSystem.most.get > 4 && SlowFileSystem.most.get <= 8)
    SlowFileSystem.most.set(0)
    withConf("spark.flambeau.read.parallelism" -> "1")(contents(listing("slow:", 20, 1).select(read_bytes(col("path")))))
    assert(SlowFileSystem.most.get == 1)
  }

  test("with room for one byte, one file at a time is held") {
    withConf("spark.flambeau.read.aheadBytes" -> "1")(assert(contents(listing().select(read_bytes(col("path")))) == expected()))
  }

  test("NULL in, NULL out; and what cannot be read is an error that names it, or NULL") {
    val bad = Seq(s"$folder/missing.jpg" -> "not found", s"$folder" -> "it is a folder", "" -> "not a path", "nosuch://a/b" -> "nosuch")
    bad.foreach { case (path, why) =>
      Seq(s"SELECT read_bytes(p) FROM VALUES ('$path') AS t(p)", s"SELECT CASE WHEN length(p) < 1000 THEN read_bytes(p) END FROM VALUES ('$path') AS t(p)")
        .foreach(query => assertFails("FLAMBEAU_BAD_INPUT", s"read_bytes: '$path' cannot be read", why)(rowsOf(query)))
      assert(rowsOf(s"SELECT try_read_bytes(p), length(try_read_bytes(concat(p, ''))) FROM VALUES ('$path'), (NULL) AS t(p)").forall(_ == Row(null, null)))
    }
    assert(rowsOf("SELECT read_bytes(NULL), try_read_bytes(NULL)") == Seq(Row(null, null)))
    assertFails("FLAMBEAU_BAD_INPUT", "it has 12 bytes, and spark.flambeau.read.maxBytes allows 11") {
      withConf("spark.flambeau.read.maxBytes" -> "11")(contents(listing().select(read_bytes(col("path")))))
    }
    assert(intercept[Exception](spark.sql("SELECT read_bytes(1)")).getMessage.contains("a path or URI"))
  }

  test("rows before a bad file come, and a limit hides it") {
    val df = spark.sql(s"SELECT read_bytes(p) FROM VALUES ('${file(1)}'), ('$folder/missing') AS t(p)")
    assert(contents(df.limit(1)) == Seq("1 "))
  }

  test("conditions keep files from being read") {
    listing("slow:", 40).createOrReplaceTempView("listed")
    def files(query: String): Int = opened(rowsOf(query))._2
    assert(files("SELECT read_bytes(path) FROM listed WHERE id < 10") == 10)
    assert(files("SELECT CASE WHEN id < 10 THEN read_bytes(path) END FROM listed") == 10)
    assert(files("SELECT id FROM listed WHERE id < 10 AND length(read_bytes(path)) > 4") == 10)
    assert(files("SELECT read_bytes(path) FROM listed WHERE length(read_bytes(path)) > 4") == 40)
    assert(files("SELECT id, read_bytes(path) FROM listed ORDER BY id DESC LIMIT 3") == 3)
    assert(files("SELECT id, read_bytes(path) FROM listed ORDER BY id") == 40)
    assert(files("SELECT id FROM (SELECT id, read_bytes(path) AS content FROM listed)") == 0)
    assert(files("SELECT sum(length(read_bytes(path))) FILTER (WHERE id < 10) FROM listed") == 10)
    assert(files("SELECT read_bytes(max(path)) FROM listed") == 1)
    assert(files("SELECT transform(array(path), p -> read_bytes(p)) FROM listed WHERE id < 10") == 10)
  }

  test("under a model only its rows are read, ahead, and once for all that take them") {
    val image = new BufferedImage(8, 8, BufferedImage.TYPE_INT_RGB)
    (0 until 64).foreach(i => image.setRGB(i % 8, i / 8, 0xff0000))
    val pictures = Files.createDirectories(folder.resolve("pictures"))
    (0 until 40).foreach(id => ImageIO.write(image, "png", pictures.resolve(s"$id.png").toFile))
    spark.range(0, 40, 1, 2).selectExpr("id", s"concat('slow:$pictures/', id, '.png') AS path").createOrReplaceTempView("pictures")
    def files(query: String, reads: Int): Unit = {
      val ((rows, count), forwarded) = countingRows(opened(rowsOf(query)))
      assert(rows.nonEmpty && count == reads && forwarded == reads, query)
      assert(nodes(spark.sql(query)).length == 1, query)
    }
    files("SELECT id, featurize(read_bytes(path), 'image_tiny') FROM pictures", 40)
    files("SELECT featurize(read_bytes(path), 'image_tiny'), infer('image_tiny', read_bytes(path)) FROM pictures WHERE id < 10", 10)
    files("SELECT CASE WHEN id < 10 THEN featurize(read_bytes(path), 'image_tiny') END FROM pictures", 10)
    files("SELECT length(content), featurize(content, 'image_tiny') FROM (SELECT read_bytes(path) AS content FROM pictures)", 40)
    files("SELECT length(read_bytes(path)), featurize(read_bytes(path), 'image_tiny') FROM pictures", 40)
    files("SELECT id FROM pictures WHERE id < 10 AND featurize(read_bytes(path), 'image_tiny')[0] > 0.5", 10)
    files("SELECT id, featurize(read_bytes(path), 'image_tiny') AS f FROM pictures ORDER BY id DESC LIMIT 3", 3)
    assert(rowsOf("SELECT DISTINCT try_featurize(try_read_bytes(concat(path, 'x')), 'image_tiny') FROM pictures") == Seq(Row(null)))
  }

  test("subqueries, aggregates, joins and a stream") {
    listing(rows = 40).createOrReplaceTempView("listed")
    assert(rowsOf("SELECT sum(length(read_bytes(path))) FROM listed").head.getLong(0) == expected(40).map(_.length).sum)
    assert(rowsOf(s"SELECT (SELECT max(length(read_bytes(path))) FROM listed)").head.getInt(0) == expected(40).map(_.length).max)
    assert(rowsOf("SELECT read_bytes(path), count(*) FROM listed GROUP BY ALL").length == expected(40).distinct.length)
    assert(rowsOf("SELECT a.id FROM listed a JOIN listed b ON read_bytes(a.path) = read_bytes(b.path) AND a.id = b.id").length == 40)
    assert(rowsOf("SELECT id FROM listed l WHERE EXISTS (SELECT 1 FROM listed r WHERE r.id = l.id AND length(read_bytes(r.path)) > 0)").length ==
      expected(40).count(_.nonEmpty))
    val table = folder.resolve("listing").toString
    listing(rows = 40).write.parquet(table)
    val query = spark.readStream.schema("id LONG, path STRING").parquet(table).select(read_bytes(col("path")).as("content")).writeStream
      .format("memory").queryName("read").trigger(Trigger.AvailableNow()).start()
    query.awaitTermination()
    assert(contents(spark.table("read")).sorted == expected(40).sorted)
  }

  test("the Spark UI shows files, bytes and time") {
    val df = listing(rows = 40).select(try_read_bytes(col("path")))
    df.collect()
    val metrics = nodes(df).head.metrics.map { case (key, metric) => key -> metric.value }
    assert(metrics("files") == 40 && metrics("badFiles") == 0 && metrics("bytes") == expected(40).map(_.length).sum && metrics("waitTime") > 0)
  }

  test("a list of folders bounds it") {
    val inside = Files.createDirectories(folder.resolve("inside"))
    Files.write(inside.resolve("one"), "1".getBytes(UTF_8))
    Files.createSymbolicLink(inside.resolve("link"), file(1))
    withConf("spark.flambeau.read.allow" -> inside.toString) {
      assert(contents(spark.sql(s"SELECT read_bytes('$inside/one')")) == Seq("1"))
      Seq(file(1).toString, s"$inside/../a file 1.txt", s"$inside/link", s"slow:$inside/one", "hdfs://elsewhere/x").foreach { path =>
        assertFails("FLAMBEAU_BAD_INPUT", "is outside of spark.flambeau.read.allow")(rowsOf(s"SELECT read_bytes('$path')"))
      }
    }
  }
}
