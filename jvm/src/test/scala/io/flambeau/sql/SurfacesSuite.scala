package io.flambeau.sql

import org.apache.spark.sql.functions.{call_function, col, expr, lit}
import org.apache.spark.sql.streaming.Trigger

import io.flambeau.{Flambeau, FlambeauSuite}
import io.flambeau.functions._

/** All APIs for the same expression: Scala functions, views, streams, sessions made later, functions from the configuration. */
class SurfacesSuite extends FlambeauSuite {

  override protected def beforeAll(): Unit = {
    super.beforeAll()
    QueryTable.createTables(spark)
  }

  test("Scala functions give what SQL gives") {
    val scala = spark.table("t").select(
      featurize(col("v"), "tiny"), try_featurize(col("v"), "tiny"), classify(col("v"), "tiny"), classify(col("v"), "tiny", 1),
      try_classify(col("v"), "tiny", 2), infer("tiny", col("v")), try_infer("tiny", col("v")))
    val sql = spark.sql("SELECT featurize(v, 'tiny'), try_featurize(v, 'tiny'), classify(v, 'tiny', 5), classify(v, 'tiny', 1), " +
      "try_classify(v, 'tiny', 2), infer('tiny', v), try_infer('tiny', v) FROM t")
    val (rows, forwarded) = countingRows(sorted(scala))
    assert(rows == sorted(sql))
    assert(forwarded == 100)
  }

  test("call_function and expr reach it too") {
    val df = spark.table("t").select(call_function("featurize", col("v"), lit("tiny")), expr("featurize(v, 'tiny')"))
    assert(df.collect().forall(row => row.get(0) == row.get(1)))
  }

  test("stacked withColumn evaluates once") {
    val (rows, forwarded) = countingRows {
      spark.table("t").withColumn("f", featurize(col("v"), "tiny")).withColumn("first", col("f")(0)).where(col("first") > 100)
        .withColumn("c", classify(col("v"), "tiny", 1)).select("id", "first", "c").collect()
    }
    assert(rows.length == 50 && forwarded == 100)
  }

  test("a persistent view, used by a session made later") {
    spark.sql("CREATE OR REPLACE VIEW pv AS SELECT id, featurize(v, 'tiny') f, tiny_udf(v) u, classify(input => v, model => 'tiny', k => 1) c FROM t")
    try {
      val later = spark.newSession()
      later.conf.set("spark.flambeau.models.path", FlambeauSuite.packages.toString)
      val (rows, forwarded) = countingRows(later.sql("SELECT f[0], c[0].label, u FROM pv WHERE id <= 10").collect())
      assert(rows.map(_.getFloat(0)).sorted.toSeq == (1 to 10).map(_ * 2f))
      assert(forwarded == 10)
    } finally spark.sql("DROP VIEW pv")
  }

  test("CREATE TABLE AS SELECT and INSERT") {
    spark.sql("DROP TABLE IF EXISTS made")
    val (_, forwarded) = countingRows {
      spark.sql("CREATE TABLE made USING parquet AS SELECT id, featurize(v, 'tiny') f FROM t WHERE id <= 10")
      spark.sql("INSERT INTO made SELECT id, featurize(v, 'tiny') FROM t WHERE id > 95")
    }
    assert(forwarded == 15)
    assert(rowsOf("SELECT sum(f[0]) FROM made").head.getDouble(0) == 2.0 * (55 + 490))
    spark.sql("DROP TABLE made")
  }

  test("a stream") {
    val input = spark.readStream.schema(spark.table("t").schema).parquet(FlambeauSuite.warehouse.resolve("t").toString)
    val (_, forwarded) = countingRows {
      val query = input.selectExpr("id", "featurize(v, 'tiny') f").where("f[0] > 100").writeStream
        .format("memory").queryName("streamed").trigger(Trigger.AvailableNow()).start()
      query.awaitTermination()
    }
    assert(forwarded == 100)
    assert(rowsOf("SELECT id FROM streamed").map(_.getInt(0)).sorted == (51 to 100))
  }

  test("a streaming aggregation over the result") {
    val input = spark.readStream.schema(spark.table("t").schema).parquet(FlambeauSuite.warehouse.resolve("t").toString)
    val query = input.groupBy(expr("featurize(v, 'tiny')[2]")).count().writeStream
      .format("memory").queryName("aggregated").outputMode("complete").trigger(Trigger.AvailableNow()).start()
    query.awaitTermination()
    assert(rowsOf("SELECT sum(count) FROM aggregated").head.getLong(0) == 100)
  }

  test("a function from the configuration, by name and by position") {
    assert(rowsOf("SELECT tiny_udf(x => array(1, 2, 3, 4)), tiny_udf(array(1, 2, 3, 4))").head.toSeq.forall(_ == Seq(2f, 4f, 6f)))
  }

  test("a function registered in a session") {
    Flambeau.register(spark, "my_model", "tiny")
    assert(rowsOf("SELECT my_model(array(1, 2, 3, 4))").head.get(0) == Seq(2f, 4f, 6f))
    assertFails("FLAMBEAU_UNKNOWN_MODEL")(Flambeau.register(spark, "other", "nope"))
  }

  test("a function may not take the name of Spark's own") {
    assertFails("FLAMBEAU_BAD_SETTING", "spark.flambeau.udf.sum")(ModelFunctions.registerBuiltin(Seq(ModelFunctions.named("sum", "tiny"))))
  }

  test("the functions describe themselves") {
    val text = rowsOf("DESCRIBE FUNCTION EXTENDED classify").map(_.getString(0)).mkString("\n")
    assert(text.contains("classify(input, model[, k])") && text.contains("Arguments:"))
    assert(rowsOf("SHOW FUNCTIONS LIKE '*featurize'").map(_.getString(0)).sorted == Seq("featurize", "try_featurize"))
  }

  test("spark.flambeau.models.path of the session decides what a name means") {
    withConf("spark.flambeau.models.path" -> "/nowhere") {
      assertFails("FLAMBEAU_UNKNOWN_MODEL", "/nowhere/tiny")(spark.sql("SELECT featurize(v, 'tiny') FROM t"))
    }
  }
}
