"""A program that never ends, on an executor that Spark's task reaper kills; then a good one.

python endless_job.py ENDLESS RIGHT    (prints JSON)
"""

from __future__ import annotations

import json
import sys
import threading

from pyspark.sql import SparkSession

import flambeau
from flambeau import functions as F


def main() -> None:
    """One session; its only executor is lost and replaced."""
    endless, right = sys.argv[1:]
    builder = SparkSession.builder.master("local-cluster[1,1,1024]")
    for key, value in {
        "spark.task.reaper.enabled": "true",
        "spark.task.reaper.pollingInterval": "1s",
        "spark.task.reaper.killTimeout": "3s",
        "spark.ui.enabled": "false",
        "spark.task.maxFailures": "2",
    }.items():
        builder = builder.config(key, value)
    spark = flambeau.configure(builder).getOrCreate()
    rows = spark.createDataFrame([([1.0, 2.0, 3.0, 4.0],)], "x array<float>").repartition(1)
    assert rows.select(F.featurize("x", right).alias("f")).head(1)[0].f == [2.0, 4.0, 6.0]

    ended: list[BaseException | None] = []

    def work() -> None:
        try:
            rows.select(F.featurize("x", endless)).collect()
            ended.append(None)
        except Exception as error:
            ended.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    status = spark.sparkContext.statusTracker()
    while not any((stage := status.getStageInfo(s)) and stage.numActiveTasks for s in status.getActiveStageIds()):
        worker.join(0.2)
        assert worker.is_alive(), ended
    worker.join(3)
    assert worker.is_alive(), f"the program ended by itself: {ended}"
    spark.sparkContext.cancelAllJobs()
    worker.join(60)
    result = {"canceled": "cancel" in str(ended[0]).lower()}
    result["next"] = rows.select(F.featurize("x", right).alias("f")).head(1)[0].f
    print(json.dumps(result))
    spark.stop()


if __name__ == "__main__":
    main()
