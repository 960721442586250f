"""A user's job for `spark-submit --jars …`: classifies photos and vectors on the cluster's executors; prints JSON.

cluster_job.py PHOTOS PACKAGES
"""

from __future__ import annotations

import json
import sys

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # py4j has no types
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.functions import call_function, col, lit, spark_partition_id


def main(photos: str, packages: str) -> None:
    """Two jobs that run on both executors, and one that fails, in this order; a good one after it."""
    spark = SparkSession.builder.appName("cluster job").getOrCreate()
    files = spark.read.format("binaryFile").load(photos).repartition(4)
    model = lit("efficientnet_lite0")
    rows = files.select(
        "path",
        call_function("classify", col("content"), model, lit(1)).alias("labels"),
        call_function("featurize", col("content"), model).alias("features"),
    ).collect()
    labels = {row.path.rsplit("/", 1)[1]: row.labels[0].label for row in rows}
    lengths = sorted({len(row.features) for row in rows})

    numbers = spark.range(0, 1000, 1, 4).selectExpr("id", "array(id, id + 1, id + 2, id + 3) AS x")
    doubled = numbers.select("id", call_function("featurize", col("x"), lit(f"{packages}/tiny")).alias("f"))
    wrong = doubled.where("f[0] <> 2 * id OR f[2] <> 2 * id + 4").count()

    bad = spark.range(0, 8, 1, 2).selectExpr("if(id = 5, array(1), array(1, 2, 3, 4)) AS x")
    try:
        bad.select(call_function("featurize", col("x"), lit(f"{packages}/tiny"))).collect()
        failure, condition = "", None
    except PySparkException as error:
        failure, condition = str(error), error.getCondition()
    except Py4JJavaError as error:
        # How Spark 3.5 gives what fails in a task.
        failure, condition = str(error), error.java_exception.getCause().getErrorClass()
    after = doubled.where("id = 999").head(1)[0].f
    partitions = doubled.select(spark_partition_id().alias("p")).distinct().count()
    print(
        json.dumps(
            {
                "labels": labels,
                "lengths": lengths,
                "wrong": wrong,
                "failure": failure,
                "condition": condition,
                "after": after,
                "partitions": partitions,
            }
        )
    )
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
