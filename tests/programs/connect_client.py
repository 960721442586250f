"""A user's program on Spark Connect: knows PySpark, `flambeau.functions` and the server's address; prints JSON.

connect_client.py sc://HOST:PORT PHOTOS PACKAGES
"""

from __future__ import annotations

import json
import sys

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col

import flambeau
from flambeau import functions as F


def files_read(spark: SparkSession, photos: str) -> int:
    """How many files `read_bytes` gives as Spark's own reader does."""
    files = spark.read.format("binaryFile").load(photos)
    return files.where(F.read_bytes("path") == col("content")).count()


def main(address: str, photos: str, packages: str) -> None:
    """Labels of photos, numbers of vectors through every surface, and two failures with what the client sees of them."""
    spark = SparkSession.builder.remote(address).getOrCreate()
    files = (
        spark.read.format("binaryFile").load(photos).selectExpr("regexp_extract(path, '[^/]+$', 0) AS file", "content")
    )
    labels = files.select("file", F.classify("content", "efficientnet_lite0", 1).alias("labels")).collect()
    vectors = spark.createDataFrame(
        [(1, [1.0, 2.0, 3.0, 4.0]), (2, None), (3, [0.0, 0.0, 5.0, 0.0])], "id int, x array<float>"
    )
    vectors.createOrReplaceTempView("vectors")
    tiny = f"{packages}/tiny"
    columns = vectors.select("id", F.featurize(col("x"), tiny).alias("f"), F.classify("x", tiny, 2).alias("l")).orderBy(
        "id"
    )
    statement = f"SELECT id, featurize(x, '{tiny}') AS f, classify(x, '{tiny}', 2) AS l FROM vectors ORDER BY id"

    def failure(frame: DataFrame) -> tuple[str | None, str]:
        try:
            frame.collect()
        except Exception as error:
            return flambeau.condition_of(error), str(error)
        return None, ""

    whole = vectors.where("x IS NOT NULL")
    neighbors = flambeau.nearest(whole.selectExpr("id + 10", "x"), whole, k=2, metric="l2").orderBy("left_id", "rank")
    short = spark.createDataFrame([([1.0],)], "x array<float>")
    result = {
        "labels": {row.file: row.labels[0].label for row in labels},
        "columns": [row.asDict(recursive=True) for row in columns.collect()],
        "sql": [row.asDict(recursive=True) for row in spark.sql(statement).collect()],
        "named": spark.sql("SELECT vectors_of(array(1, 2, 3, 4)) AS f").head(1)[0].f,
        "dot": whole.select(F.dot("x", "x").alias("d")).orderBy("d").collect(),
        "neighbors": neighbors.collect(),
        "duplicates": flambeau.near_duplicates(whole, 0.5).select("left_id", "right_id").collect(),
        "read": files_read(spark, photos),
        "bad_row": failure(short.select(F.featurize("x", tiny))),
        "unknown": failure(vectors.select(F.featurize("x", "no_such_model"))),
        "tried": short.select(F.try_featurize("x", tiny)).head(1)[0][0],
    }
    spark.stop()
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
