package io.flambeau.sql

import java.nio.file.Files

import org.apache.spark.sql.{DataFrame, Row}
import org.apache.spark.sql.execution.{ColumnarToRowExec, RowToColumnarExec, SparkPlan}
import org.apache.spark.sql.execution.adaptive.AdaptiveSparkPlanHelper

import io.flambeau.FlambeauSuite
import io.flambeau.conf.FlambeauConf
import io.flambeau.files.LocalFiles
import io.flambeau.spark.Classic

/** Columnar inputs, from Parquet in all of its encodings: the same results as from rows. */
class ColumnsSuite extends FlambeauSuite with AdaptiveSparkPlanHelper {

  private lazy val folder = Files.createTempDirectory("flambeau-columns")

  override protected def afterAll(): Unit = {
    LocalFiles.deleteFolder(folder)
    super.afterAll()
  }

  /** 1,000 rows: arrays that repeat (which Parquet keeps in a dictionary) and that do not, NULL arrays, columns of other types. */
  private lazy val table: String = {
    spark.range(0, 1000, 1, 1).selectExpr(
      "cast(id as int) id", "if(id % 7 = 0, null, array(cast(id as float), -id, id % 5, 2.5f)) v",
      "array(cast(id % 3 as double), 1, 2, 3) few", "array(id, id + 1, 2, 3) longs", "array(cast(id % 2 as tinyint), 1Y, 0Y, 1Y) bytes",
      "array(id % 2 = 0, true, false, id % 3 = 0) flags", "if(id % 11 = 0, array(1f, null, 2f, 3f), array(1f, 2f, 3f, cast(id as float))) holes",
      "if(id % 13 = 0, array(1f), array(1f, 2f, 3f, cast(id as float))) ragged", "concat('text ', id) s",
      "cast(id as decimal(30, 5)) d", "named_struct('x', id, 'y', array(id, null), 'z', map(id, 'v')) st", "cast(null as array<float>) nothing",
      "id % 4 part").write.partitionBy("part").option("parquet.block.size", 4096).parquet(folder.resolve("t").toString)
    folder.resolve("t").toString
  }

  private def read: DataFrame = spark.read.parquet(table)

  private def plan(df: DataFrame): SparkPlan = stripAQEPlan(df.asInstanceOf[Classic.Rows[Row]].queryExecution.executedPlan)

  private def node(df: DataFrame): EvalModelExec = collect(plan(df)) { case exec: EvalModelExec => exec }.head

  private def takesColumns(df: DataFrame): Boolean = node(df).child.supportsColumnar

  /** The results with the vectorized reader, and without it, when it gives rows. */
  private def bothWays(select: String*)(where: String = "true"): Seq[String] = {
    def query = read.where(where).selectExpr(select: _*)
    val fromRows = withConf("spark.sql.parquet.enableVectorizedReader" -> "false") {
      assert(!takesColumns(query))
      sorted(query)
    }
    val fromColumns = sorted(query)
    assert(fromColumns == fromRows && fromRows.nonEmpty)
    fromRows
  }

  test("the vectorized reader's columns reach the model without a row") {
    val query = read.selectExpr("featurize(v, 'tiny')")
    assert(takesColumns(query) && collect(plan(query)) { case row: ColumnarToRowExec => row }.isEmpty)
    bothWays("featurize(v, 'tiny')")()
    assert(query.collect().count(_.isNullAt(0)) == 143)
  }

  test("numbers of every width, with a dictionary and without, NULL in arrays, ragged arrays, NULL columns") {
    bothWays("id", "featurize(v, 'tiny')", "featurize(few, 'tiny')", "featurize(longs, 'tiny')", "featurize(bytes, 'tiny')")()
    bothWays("id", "featurize(flags, 'tiny')", "try_featurize(holes, 'tiny')", "try_featurize(ragged, 'tiny')", "featurize(nothing, 'tiny')")()
    assertFails("FLAMBEAU_BAD_INPUT", "NULL")(read.selectExpr("featurize(holes, 'tiny')").collect())
    assertFails("FLAMBEAU_BAD_INPUT", "dimension 0 has 1 value")(read.selectExpr("featurize(ragged, 'tiny')").collect())
  }

  test("other columns pass through, of whatever type") {
    bothWays("id", "v", "s", "d", "st", "part", "featurize(v, 'tiny') f", "classify(v, 'tiny') c", "infer('tiny', v) i")()
  }

  test("batches smaller and larger than the reader's, and ended by bytes") {
    val expected = bothWays("id", "s", "featurize(v, 'tiny') f")()
    val resultsOnly = bothWays("featurize(v, 'tiny') f")()
    for (settings <- Seq(
        Seq("spark.sql.parquet.columnarReaderBatchSize" -> "7"), Seq("spark.sql.parquet.columnarReaderBatchSize" -> "7", FlambeauConf.BatchRows.key -> "16"),
        Seq(FlambeauConf.BatchRows.key -> "3"), Seq(FlambeauConf.BatchBytes.key -> "100"), Seq(FlambeauConf.BatchBytes.key -> "1"),
        Seq("spark.sql.columnVector.offheap.enabled" -> "true"))) {
      withClue(settings)(withConf(settings: _*) {
        assert(sorted(read.selectExpr("id", "s", "featurize(v, 'tiny') f")) == expected)
        assert(sorted(read.selectExpr("featurize(v, 'tiny') f")) == resultsOnly)
      })
    }
  }

  test("a batch has as many rows as allowed, across the reader's batches") {
    withConf("spark.sql.parquet.columnarReaderBatchSize" -> "10", FlambeauConf.BatchRows.key -> "100", "spark.sql.files.maxPartitionBytes" -> "1g",
      "spark.sql.files.minPartitionNum" -> "1", "spark.sql.files.openCostInBytes" -> "1") {
      read.selectExpr("featurize(v, 'tiny')").collect() // the model's pace is known now
      val query = read.selectExpr("featurize(v, 'tiny')")
      query.collect()
      val metrics = node(query).metrics
      assert(metrics("numOutputRows").value == 1000 && metrics("batches").value <= 10 + query.rdd.getNumPartitions)
    }
  }

  test("guards keep rows from the model") {
    val (_, rows) = countingRows(bothWays("id", "CASE WHEN id % 3 = 0 THEN featurize(v, 'tiny') END f")())
    assert(rows == 2 * (0 until 1000).count(id => id % 3 == 0 && id % 7 != 0))
    bothWays("id", "try_featurize(ragged, 'tiny') f", "CASE WHEN id % 13 <> 0 THEN featurize(ragged, 'tiny') END g")()
    assertFails("FLAMBEAU_BAD_INPUT")(read.selectExpr("try_featurize(ragged, 'tiny') f", "CASE WHEN id < 500 THEN featurize(ragged, 'tiny') END g").collect())
  }

  test("what must be computed is computed from rows") {
    assert(!takesColumns(read.selectExpr("featurize(transform(v, x -> x + 1), 'tiny')")))
    assert(!takesColumns(read.where("id > 3").selectExpr("featurize(v, 'tiny')")))
    bothWays("id", "featurize(array(id, id, id, id), 'tiny')")()
  }

  test("results are columns where the parent takes them, with what passes through") {
    withConf(FlambeauConf.BatchRows.key -> "9") {
      def one = read.selectExpr("id", "s", "st", "featurize(v, 'tiny') f", "infer('tiny', few) i")
      val union = one.union(one)
      val nodes = collect(plan(union)) { case exec: EvalModelExec => exec }
      assert(nodes.length == 4 && nodes.forall(_.supportsColumnar))
      assert(collect(plan(union)) { case transition: RowToColumnarExec => transition }.isEmpty)
      val expected = sorted(one)
      assert(sorted(union) == (expected ++ expected).sorted)
      // Spark's own union is such a parent, if there is no projection between.
      val bare = "SELECT featurize(v, 'tiny') FROM parquet.`%1$s` UNION ALL SELECT featurize(few, 'tiny') FROM parquet.`%1$s`".format(table)
      val columnar = spark.sql(bare)
      assert(sorted(columnar) == (bothWays("featurize(v, 'tiny')")() ++ bothWays("featurize(few, 'tiny')")()).sorted)
      // As columns, batch by batch.
      val root = node(one)
      val rows = root.executeColumnar().map(batch => (batch.numRows, batch.numCols)).collect()
      assert(rows.map(_._1).sum == 1000 && rows.forall { case (count, columns) => count <= 9 && columns == root.output.length })
    }
  }

  test("a model over a model's results") {
    bothWays("id", "featurize(array_append(featurize(v, 'tiny'), 0f), 'tiny') f")()
    assert(
      read.selectExpr("featurize(infer('noop', concat(v, v, v, v)).features, 'noop') f").where("f IS NOT NULL").collect().forall(_.getSeq[Float](0).length == 16))
  }

  test("encoded images in Parquet") {
    val rows = (0 until 50).map(i => if (i % 9 == 0) null else Pictures.png(8, 8, i % 2 == 0))
    val session = spark
    import session.implicits._
    rows.zipWithIndex.map { case (picture, i) => (i, picture) }.toDF("id", "content").repartition(1).write.parquet(folder.resolve("pictures").toString)
    val query = spark.read.parquet(folder.resolve("pictures").toString).selectExpr("id", "featurize(content, 'image_tiny') f")
    assert(takesColumns(query))
    query.collect().foreach {
      case Row(id: Int, f) if id % 9 == 0 => assert(f == null)
      case row => assert(math.abs(row.getSeq[Float](1).head - (if (row.getInt(0) % 2 == 0) 1f else 0f)) < 0.02f)
    }
  }
}

private object Pictures {

  /** A red or a blue picture. */
  def png(width: Int, height: Int, red: Boolean): Array[Byte] = {
    val image = new java.awt.image.BufferedImage(width, height, java.awt.image.BufferedImage.TYPE_INT_RGB)
    for (x <- 0 until width; y <- 0 until height) image.setRGB(x, y, if (red) 0xff0000 else 0x0000ff)
    val bytes = new java.io.ByteArrayOutputStream()
    javax.imageio.ImageIO.write(image, "png", bytes)
    bytes.toByteArray
  }
}
