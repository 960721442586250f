"""models_tab_job.py LOG PACKAGE: an application with an event log and no Spark UI, on two executor processes.

It evaluates a model on two partitions with one bad row, and trains a head for 12 epochs. It prints its application's id.
"""

from __future__ import annotations

import sys

from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from pyspark.sql.functions import col

import flambeau
from flambeau import functions as F
from flambeau.ml import TorchClassifier


def main() -> None:
    log, package = sys.argv[1:]
    builder = flambeau.configure(SparkSession.builder.master("local-cluster[2,1,1024]"))
    for key, value in {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": log,
        "spark.ui.enabled": "false",
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    }.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    rows = [(float(i % 2), [float(i % 2), 1.0, 2.0, float(i)] if i != 5 else [1.0]) for i in range(64)]
    vectors = spark.createDataFrame(rows, "label double, x array<float>").repartition(2).cache()
    vectors.select(F.try_featurize("x", package)).collect()
    train = vectors.where("size(x) = 4").withColumn("features", array_to_vector(col("x")))
    TorchClassifier(maxEpochs=12, batchSize=16).fit(train)
    print(spark.sparkContext.applicationId)
    spark.stop()


if __name__ == "__main__":
    main()
