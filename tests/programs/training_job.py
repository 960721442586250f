"""A user's training on a cluster of two executor processes; prints JSON on the last line.

Usage:

    python training_job.py same FOLDER MASTER     1 and 2 workers: how far their models are apart; what is said of 3 on two slots
    python training_job.py killed FOLDER MASTER   2 workers; when the first checkpoint is there, one executor is killed (SIGKILL)
    python training_job.py dynamic FOLDER MASTER  executors that come on demand: one worker, and what is said of two
    python training_job.py authenticated FOLDER MASTER  2 workers where Spark authenticates its own connections, refused and allowed
    python training_job.py large FOLDER MASTER    more bytes of rows than the JVM's heap has
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col

import flambeau
from flambeau.ml import TorchClassifier

FEATURES = 32
ROWS = 4000


def table(spark: SparkSession) -> DataFrame:
    """Points whose class depends on all their features."""
    numbers = ", ".join(f"float(sin(id * {7 + at} + {at}))" for at in range(FEATURES))
    rows = spark.range(0, ROWS, 1, 4).selectExpr("id", f"array({numbers}) AS features")
    return rows.selectExpr("*", "double(pmod(int(20 + 3 * aggregate(features, 0D, (a, x) -> a + x)), 3)) AS label")


def classifier(epochs: int = 8, **more: Any) -> TorchClassifier:
    """Long enough to be disturbed in the middle."""
    return TorchClassifier(
        hiddenLayers=[64, 64], batchSize=32, maxEpochs=epochs, learningRate=0.002, seed=5, peerTimeout=30, **more
    )


def answers(model: Any, rows: DataFrame) -> np.ndarray:
    """Probabilities of all classes, by row."""
    found = model.transform(rows).select("id", vector_to_array(col("probability")).alias("p")).orderBy("id").collect()
    return np.array([row.p for row in found])


def refusal(workers: int, rows: DataFrame) -> dict[str, Any]:
    """What a training with this many workers says; nothing if it goes well."""
    try:
        classifier(numWorkers=workers).fit(rows)
    except Exception as error:
        return {"condition": flambeau.condition_of(error), "message": str(error)}
    return {}


def executors() -> dict[int, str]:
    """Process -> command line, of the executors that this process's driver started."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if "CoarseGrainedExecutorBackend" in line and application in line:
                found[int(entry.name)] = line
    return found


application = ""

SETTINGS = {
    "large": {"spark.driver.memory": "512m"},
    "dynamic": {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.dynamicAllocation.minExecutors": "0",
        "spark.dynamicAllocation.maxExecutors": "2",
    },
    "authenticated": {
        "spark.authenticate": "true",
        "spark.authenticate.secret": "of the tests",
        "spark.network.crypto.enabled": "true",
        # Jars go to the executors encrypted; the first of Java's compilers, which the tests prefer, has no instructions for AES.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=4",
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=4",
    },
}
"""Of the application, by task."""

ALLOW = "spark.flambeau.train.allowUnencrypted"


def kill_one(checkpoints: Path, over: threading.Event, done: list[Any]) -> None:
    """SIGKILLs one executor as soon as a checkpoint is there, unless the training is over by then."""
    while not list(checkpoints.glob("**/step-*.checkpoint")):
        if over.wait(0.002):
            return
    names = [path.name for path in checkpoints.glob("**/step-*.checkpoint")]
    process = sorted(executors())[0]
    os.kill(process, signal.SIGKILL)
    done += [process, names]


def disturbed(rows: DataFrame, checkpoints: Path) -> dict[str, Any]:
    """Two workers; one is killed. If training ends before that, it is repeated with more epochs."""
    killed: list[Any] = []
    epochs = 0
    for epochs in (8, 64, 512):
        over, own = threading.Event(), checkpoints / str(epochs)
        killer = threading.Thread(target=kill_one, args=(own, over, killed), daemon=True)
        killer.start()
        model = classifier(epochs, numWorkers=2, checkpointDir=own, keepCheckpoints=3).fit(rows)
        over.set()
        killer.join()
        if killed:
            break
    undisturbed = answers(classifier(epochs, numWorkers=2).fit(rows), rows)
    return {
        "distance": float(np.abs(answers(model, rows) - undisturbed).max()),
        "spread": float(undisturbed.max() - undisturbed.min()),
        "epochs": model.summary.history.count(),
        "asked": epochs,
        "killed": killed,
    }


def main(task: str, folder: str, master: str) -> None:
    """One of the tasks."""
    global application
    builder = flambeau.configure(SparkSession.builder.master(master).appName("training job"))
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        **SETTINGS.get(task, {}),
    }.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    application = spark.sparkContext.applicationId
    rows = table(spark)
    result: dict[str, Any] = {}
    if task == "large":
        wide = spark.range(0, 300_000, 1, 8).selectExpr(
            "array_repeat(float(sin(id)), 512) AS features", "double(sin(id) > 0) AS label"
        )
        model = TorchClassifier(batchSize=4096, maxEpochs=2, learningRate=0.01).fit(wide)
        assert spark._jvm is not None, "a classic session"
        heap = int(spark._jvm.java.lang.Runtime.getRuntime().maxMemory())
        losses = [row.trainLoss for row in model.summary.history.orderBy("epoch").collect()]
        result = {"bytes": model.summary.rows * 512 * 4, "heap": heap, "losses": losses}
    elif task in ("dynamic", "authenticated"):
        result = refusal(2, rows)
        if task == "authenticated":  # as if the application had been started with it
            spark.sparkContext._jsc.sc().conf().set(ALLOW, "true")
        model = classifier(numWorkers=1 if task == "dynamic" else 2).fit(rows)
        result["epochs"] = model.summary.history.count()
    elif task == "killed":
        result = disturbed(rows, Path(folder) / "checkpoints")
    else:
        undisturbed = answers(classifier(numWorkers=1).fit(rows), rows)
        checkpoints = Path(folder) / "checkpoints"
        model = classifier(numWorkers=2, checkpointDir=checkpoints, keepCheckpoints=3).fit(rows)
        result = refusal(3, rows) | {
            "distance": float(np.abs(answers(model, rows) - undisturbed).max()),
            "spread": float(undisturbed.max() - undisturbed.min()),
            "epochs": model.summary.history.count(),
            "kept": sorted(
                path.name for path in checkpoints.glob("**/*") if path.is_file() and not path.name.endswith(".crc")
            ),
        }
    spark.stop()
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
