"""A user's program on another line of Spark: a query, its mistakes, a stage that trains, is saved and loaded, a stream. Prints JSON.

python line_job.py PHOTOS PACKAGES FOLDER
"""

from __future__ import annotations

import json
import sys

import pyspark
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # py4j has no types
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

import flambeau
from flambeau.ml import TorchClassificationModel, TorchClassifier


def condition(spark: SparkSession, query: str) -> str:
    """The error of a query."""
    try:
        spark.sql(query).collect()
    except PySparkException as failure:
        return f"{failure.getErrorClass()} {failure.getSqlState()}"
    except Py4JJavaError as failure:
        # How Spark 3.5 gives what fails in a task: as its own exception, with ours as the cause.
        cause = failure.java_exception.getCause()
        return f"{cause.getErrorClass()} {cause.getSqlState()}"
    return "nothing"


def main(photos: str, packages: str, folder: str) -> None:
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "2").config("spark.flambeau.models.path", packages)
    spark = flambeau.configure(builder).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    files = spark.read.format("binaryFile").load(photos)
    files.selectExpr("regexp_extract(path, '[^/]+$', 0) AS file", "content").createOrReplaceTempView("photos")
    labels = spark.sql(
        "SELECT file, classify(content, 'efficientnet_lite0', 1)[0].label AS label FROM photos ORDER BY file"
    )
    points = spark.range(0, 512, 1, 3).selectExpr(
        "array(float(sin(id)), float(cos(id))) AS features", "double(sin(id) > 0) AS label"
    )
    model = TorchClassifier(numWorkers=2, maxEpochs=30, learningRate=0.05, seed=3).fit(points)
    model.write().overwrite().save(f"{folder}/model")
    again = TorchClassificationModel.load(f"{folder}/model")
    right = again.transform(points).where("prediction = label").count()
    stream = (
        spark.readStream.schema(files.schema)
        .format("binaryFile")
        .load(photos)
        .selectExpr("featurize(content, 'efficientnet_lite0') AS f")
    )
    writing = stream.writeStream.format("memory").queryName("seen").trigger(availableNow=True).start()
    writing.awaitTermination()
    found = {
        "spark": pyspark.__version__,
        "labels": {row.file: row.label for row in labels.collect()},
        "unknown": condition(spark, "SELECT classify(content, 'nothing_like_it') FROM photos"),
        "broken": condition(spark, "SELECT classify(X'00', 'efficientnet_lite0') FROM photos"),
        "right": right,
        "read": files.where("read_bytes(path) = content").count(),
        "streamed": spark.table("seen").where("size(f) = 1280").count(),
    }
    spark.stop()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
