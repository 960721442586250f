"""A user's program: Flambeau's functions over the package `tiny`, in classic PySpark or over Connect; prints JSON.

    python use_functions.py classic|connect FOLDER_OF_PACKAGES

Run by `test_in_spark.py`, each time in a process of its own: a Python process has one JVM, and one kind of session.
"""

from __future__ import annotations

import json
import sys

from pyspark.sql import SparkSession
from pyspark.sql.functions import col

import flambeau
from flambeau import functions as F


def main(kind: str, packages: str) -> None:
    """Builds the session as the README says, runs one query, prints rows and plan."""
    builder = SparkSession.builder.remote("local[2]") if kind == "connect" else SparkSession.builder.master("local[2]")
    builder = builder.config("spark.flambeau.models.path", packages).config("spark.ui.enabled", "false")
    spark = flambeau.configure(builder).getOrCreate()
    rows = spark.createDataFrame([(1, [1.0, 2.0, 3.0, 4.0]), (2, None)], "id int, x array<float>")
    frame = rows.select(
        "id",
        F.featurize("x", "tiny").alias("features"),
        F.classify(col("x"), "tiny", 2).alias("labels"),
        F.try_classify("x", f"{packages}/tiny").alias("tried"),
        F.infer("tiny", "x").alias("all"),
    ).orderBy("id")
    result = {"schema": frame.schema.simpleString(), "rows": [row.asDict(recursive=True) for row in frame.collect()]}
    flambeau.configure(SparkSession.builder.remote("local[2]") if kind == "connect" else SparkSession.builder)
    spark.stop()
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
