"""A job whose executors are on machines that share no files with the driver, nor with one another.

    python shared_nothing_job.py MASTER DISK FOLDER    (prints JSON on the last line)

FOLDER is the driver's alone: it has `packages/tiny` and `photos/`. DISK is another folder on each machine.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.functions import col

import flambeau
from flambeau import functions as F
from flambeau.ml import TorchClassifier


def main(master: str, disk: str, folder: Path) -> None:
    """Models of the driver's disk and of the jar on both machines, then a training with a worker on each."""
    builder = SparkSession.builder.master(master)
    for key, value in {
        "spark.executor.extraJavaOptions": f"-Djava.io.tmpdir={disk}/tmp",
        "spark.executor.memory": "700m",
        "spark.locality.wait": "0",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.task.maxFailures": "1",
    }.items():
        builder = builder.config(key, value)
    spark = flambeau.configure(builder).getOrCreate()
    seen = spark.sparkContext.parallelize(range(16), 16)
    result: dict[str, object] = {
        "machines": sorted(set(seen.map(lambda _: Path(disk, "number").read_text()).collect())),
        "seen": seen.map(lambda _: Path(folder, "packages").exists()).distinct().collect(),
    }

    photos = [(file.name, bytearray(file.read_bytes())) for file in sorted((folder / "photos").iterdir())]
    table = spark.createDataFrame(photos, "file string, content binary").repartition(8)
    labels = table.select("file", F.classify("content", "efficientnet_lite0", 1)[0]["label"].alias("label"))
    result["labels"] = dict(map(tuple, labels.collect()))

    rows = spark.range(0, 512, 1, 8).selectExpr("id", "array(float(sin(id)), float(cos(id)), 1F, float(id % 2)) AS x")
    rows = rows.selectExpr("*", "double(id % 2) AS label")
    tiny = str(folder / "packages" / "tiny")
    result["features"] = rows.select(F.featurize("x", tiny).alias("f")).where("size(f) > 0").count()

    fitted = TorchClassifier(featuresCol="x", numWorkers=2, maxEpochs=30, learningRate=0.05, seed=3).fit(rows)
    result["right"] = fitted.transform(rows).where(col("prediction") == col("label")).count()
    fitted.savePackage(str(folder / "trained"))
    result["of the package"] = rows.where(F.classify("x", folder / "trained", 1)[0]["index"] == col("label")).count()
    spark.stop()
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
