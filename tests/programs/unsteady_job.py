"""Queries on a cluster whose tasks run twice and whose executors leave; prints JSON on the last line.

Usage:

    python unsteady_job.py speculation MASTER PACKAGE EVENTS   a task is slow at first, and Spark starts it again elsewhere
    python unsteady_job.py decommission MASTER PACKAGE EVENTS  an executor leaves in the middle of a query
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession

import flambeau
from flambeau import functions as F

ROWS, TASKS = 4000, 16
SETTINGS = {
    "speculation": {
        "spark.speculation": "true",
        "spark.speculation.multiplier": "1.1",
        "spark.speculation.quantile": "0.5",
        "spark.speculation.minTaskRuntime": "1s",
    },
    "decommission": {
        "spark.decommission.enabled": "true",
        "spark.storage.decommission.enabled": "true",
        "spark.storage.decommission.rddBlocks.enabled": "true",
        "spark.storage.decommission.shuffleBlocks.enabled": "true",
        "spark.executor.decommission.killInterval": "120s",
    },
}


def slow_at_first(frames: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
    """One task waits in its first attempt."""
    context = TaskContext.get()
    assert context is not None
    if context.partitionId() == 3 and context.attemptNumber() == 0:
        time.sleep(20)
    yield from frames


def all_slow(frames: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
    """Each task takes a while, so that an executor leaves in the middle of one."""
    time.sleep(1)
    yield from frames


def table(spark: SparkSession) -> DataFrame:
    """A number, and a vector that says it."""
    return spark.range(0, ROWS, 1, TASKS).selectExpr("id", "array(float(id), 1F, 2F, 3F) AS x")


def leave(spark: SparkSession, over: threading.Event) -> None:
    """Asks executor 0 to leave once tasks have ended on it."""
    tracker = spark.sparkContext.statusTracker()
    while not over.is_set():
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        if any(stage is not None and 2 <= stage.numCompletedTasks < TASKS - 4 for stage in stages):
            break
        time.sleep(0.05)
    view: Any = spark._jvm
    info = view.org.apache.spark.scheduler.ExecutorDecommissionInfo("of the tests", view.scala.Option.empty())
    spark.sparkContext._jsc.sc().schedulerBackend().decommissionExecutor("0", info, False, False)


def main(what: str, master: str, package: str, events: Path) -> None:
    """The features of all rows, and how often each row came."""
    events.mkdir()
    builder = SparkSession.builder.master(master)
    usual = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
        "spark.executor.memory": "700m",
        "spark.locality.wait": "0",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "4",
        "spark.task.maxFailures": "1" if what == "speculation" else "4",
    }
    for key, value in {**usual, **SETTINGS[what]}.items():
        builder = builder.config(key, value)
    spark = flambeau.configure(builder).getOrCreate()
    rows = table(spark).mapInPandas(slow_at_first if what == "speculation" else all_slow, "id long, x array<float>")
    over = threading.Event()
    leaving = threading.Thread(target=leave, args=(spark, over))
    if what == "decommission":
        leaving.start()
    features = rows.select("id", F.featurize("x", package).alias("f")).cache()
    result: dict[str, object] = {"rows": features.count()}
    over.set()
    # Blocks of the cache that were on the executor that left are there, or computed again.
    again = features.join(table(spark).select("id", F.featurize("x", package).alias("g")), "id")
    result["ids"] = features.select("id").distinct().count()
    result["equal"] = again.where("f = g").count()
    if what == "decommission":
        leaving.join()
    spark.stop()
    [log] = events.iterdir()
    happened = [json.loads(line) for line in log.read_text().splitlines()]
    tasks = [event for event in happened if event["Event"] == "SparkListenerTaskEnd"]
    result["speculative"] = sum(event["Task Info"]["Speculative"] for event in tasks)
    result["reasons"] = sorted({event["Task End Reason"]["Reason"] for event in tasks})
    result["tasks of 0"] = sum(event["Task Info"]["Executor ID"] == "0" for event in tasks)
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
