"""One arm of workers.py in a process of its own: `arm.py ARM KIND WORKERS ROWS EPOCHS FOLDER`; prints one JSON line.

Arms: `torch` and `by_index` are the loops in one Python process. `ddp` is DistributedDataParallel over gloo in
processes that this one starts; `distributor` is the same function under pyspark's TorchDistributor; `flambeau` are the
estimators. `apart` are independent parallel fits of one worker, each over its share of the rows and of a batch, which
show the speed of the cores. The last three run in `local[2]`. All have one thread per worker. FOLDER holds what
workers.py made for Spark: `net` (a package) and the rows as Parquet.

`flambeau` also prints the seconds from the call of `fit` to the end of its first step, for the session's first fit,
which loads libtorch, and for the second. The end of the step is its checkpoint's time (`checkpointSteps=1`), so it
includes writing one checkpoint. It also includes reading the table, writing all rows to the workers' disks, joining the group of workers,
and loading the program.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "python")]
import loop


def ddp(kind: str, workers: int, rows: int, epochs: int) -> dict[str, Any]:
    """Starts the processes of one group and returns what rank 0 wrote."""
    from torch.multiprocessing.spawn import spawn

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as folder:
        out = Path(folder) / "rank0.json"
        spawn(loop.spawned, (workers, port, kind, rows, epochs, str(out)), nprocs=workers)
        return json.loads(out.read_text(encoding="utf-8"))


def session(ours: bool, **more: str) -> Any:
    """`local[2]`; Flambeau's jars only if they are measured. `more`: settings, with `_` for the dots."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName("bench-train").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "3g").config("spark.ui.showConsoleProgress", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "2")
    for name, value in more.items():
        builder = builder.config(name.replace("_", "."), value)
    if ours:
        import flambeau

        builder = flambeau.configure(builder)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def distributor(kind: str, workers: int, rows: int, epochs: int) -> dict[str, Any]:
    """In Spark tasks (`local_mode=False`), which works in `local[2]`."""
    from pyspark.ml.torch.distributor import TorchDistributor

    spark = session(False)
    spark.range(2).repartition(2).count()
    started = time.perf_counter()
    run = TorchDistributor(num_processes=workers, local_mode=False, use_gpu=False).run
    found = run(loop.member, kind, rows, epochs)
    assert found is not None, "of rank 0"
    return {**found, "fit_s": round(time.perf_counter() - started, 2), "local_mode": False}


def seconds_to_first_step(estimator: Any, table: Any, folder: Path) -> float:
    """See the module."""
    extra = {"maxEpochs": 1, "checkpointDir": str(folder), "checkpointSteps": 1, "keepCheckpoints": 1_000_000}
    started = time.time()
    estimator.copy({getattr(estimator, name): value for name, value in extra.items()}).fit(table)
    return round(min(file.stat().st_mtime for file in folder.rglob("*") if file.is_file()) - started, 3)


def estimator_of(kind: str, epochs: int, folder: Path, **more: Any) -> Any:
    from flambeau.ml import TorchClassifier, TorchEstimator

    given: Any = {**loop.TRAININGS[kind].optimizer, "featuresCol": "x", "maxEpochs": epochs, "seed": 1, **more}
    if loop.TRAININGS[kind].module == "net":
        return TorchEstimator(modelName=folder / "package", **given)
    return TorchClassifier(**given)


def apart(kind: str, workers: int, epochs: int, folder: Path) -> dict[str, Any]:
    """Rates are sums over the fits; the first and the last epoch, which some may run alone, are left out by workers.py."""
    spark = session(True)
    estimator = estimator_of(kind, epochs, folder, batchSize=loop.TRAININGS[kind].batch // workers, numWorkers=1)
    parts = sorted((folder / kind).glob("*.parquet"))
    tables = [spark.read.parquet(*map(str, parts[i::workers])).cache() for i in range(workers)]
    for table in tables:
        table.count()
    estimator.copy({estimator.maxEpochs: 1}).fit(tables[0])
    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        models = list(pool.map(estimator.fit, tables))
    seconds = time.perf_counter() - started
    histories = [model.summary.history.orderBy("epoch").collect() for model in models]
    together = [
        (max(row.trainLoss for row in rows), sum(row.samplesPerSecond for row in rows)) for rows in zip(*histories)
    ]
    return loop.summed_up(together[:-1], seconds)


def flambeau(kind: str, workers: int, rows: int, epochs: int, folder: Path) -> dict[str, Any]:
    """The estimator over the Parquet files."""
    spark = session(True)
    table = spark.read.parquet(str(folder / kind))
    assert table.count() == rows
    estimator = estimator_of(kind, epochs, folder, batchSize=loop.TRAININGS[kind].batch, numWorkers=workers)
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as checkpoints:
        first_step = [seconds_to_first_step(estimator, table, Path(checkpoints) / part) for part in ("first", "second")]
    one_batch = estimator.copy({estimator.batchSize: rows, estimator.maxEpochs: 1}).fit(table)
    before = one_batch.summary.history.head(1)[0]["trainLoss"]
    started = time.perf_counter()
    model = estimator.fit(table)
    seconds = time.perf_counter() - started
    history = model.summary.history.orderBy("epoch").collect()
    found = loop.summed_up([(row.trainLoss, row.samplesPerSecond) for row in history], seconds)
    return {
        **found,
        "loss_before": round(before, 6),
        "first_step_s": dict(zip(("first_fit", "second_fit"), first_step)),
    }


def main() -> None:
    arm, kind, folder = sys.argv[1], sys.argv[2], Path(sys.argv[6])
    workers, rows, epochs = (int(number) for number in sys.argv[3:6])
    os.environ["OMP_NUM_THREADS"] = "1"
    if arm == "ddp":
        found = ddp(kind, workers, rows, epochs)
    elif arm == "distributor":
        found = distributor(kind, workers, rows, epochs)
    elif arm == "apart":
        found = apart(kind, workers, epochs, folder)
    elif arm == "flambeau":
        found = flambeau(kind, workers, rows, epochs, folder)
    else:
        found = {
            **loop.alone(kind, rows, epochs, arm == "by_index"),
            "loss_before": round(loop.loss_before(kind, rows), 6),
        }
    print(json.dumps({"arm": arm, "kind": kind, "workers": workers, **found}), flush=True)


if __name__ == "__main__":
    main()
