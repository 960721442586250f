package io.flambeau.jobs

import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.functions.{col, regexp_extract}

import io.flambeau.functions._

/**
 * A user's job for `spark-submit --class`: labels photos and checks features of vectors on the cluster. `tests/test_spark_submit.py`
 * puts it into a jar of its own and submits it; it is no suite. Arguments: folder of photos, folder of packages.
 */
object ScalaJob {

  def main(arguments: Array[String]): Unit = {
    val (photos, packages) = (arguments(0), arguments(1))
    val spark = SparkSession.builder().appName("Scala job").getOrCreate()
    val described = spark.read.format("binaryFile").load(photos).repartition(2)
      .select(
        regexp_extract(col("path"), "[^/]+$", 0).as("file"),
        classify(col("content"), "efficientnet_lite0", 1).as("labels"))
    described.selectExpr("file", "labels[0].label").collect().foreach(row => println(s"label\t${row.getString(0)}\t${row.getString(1)}"))
    val doubled = spark.range(0, 1000, 1, 4).selectExpr("id", "array(id, id + 1, id + 2, id + 3) AS x")
      .select(col("id"), featurize(col("x"), s"$packages/tiny").as("f"))
    println(s"wrong\t${doubled.where("f[0] <> 2 * id").count()}")
    val tried = spark.sql("SELECT 1 AS id, array(1.0) AS x").select(try_featurize(col("x"), s"$packages/tiny"))
    println(s"tried\t${tried.head().get(0)}")
    spark.stop()
  }
}
