"""`.venv/bin/python bench/train/cancel.py`: how long workers run after their Spark job was canceled.

A head trains without an end, with one worker and with two in turn; then all jobs are canceled. The result is the
seconds until no native object is alive (`NativeStats.liveHandles`: dataset, group, trainer, store) and until no file of
the training is left. Writes bench/results/<version>/train_cancel.json.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "python")]
import arm
import harness
from flambeau.version import __version__

MOST_SECONDS = 1.0
TRAINS_SECONDS = 4


def canceled(spark: Any, rows: Any, workers: int, folder: Path) -> float:
    """Seconds from the cancellation until nothing of the training is left."""
    from flambeau.ml import TorchClassifier

    endless = TorchClassifier(maxEpochs=10**6, hiddenLayers=[64], numWorkers=workers)
    failures: list[Exception] = []

    def fit() -> None:
        try:
            endless.fit(rows)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=fit)
    thread.start()
    time.sleep(TRAINS_SECONDS)
    alive = spark._jvm.io.flambeau.bridge.NativeStats.liveHandles

    def left() -> tuple[bool, bool]:
        return int(alive()) > 0, any(folder.rglob("flambeau-training-*"))

    if not all(left()):
        sys.exit("bench: nothing trains")
    started = time.perf_counter()
    spark.sparkContext.cancelAllJobs()
    while any(left()):
        time.sleep(0.005)
    seconds = time.perf_counter() - started
    thread.join()
    if not failures:
        sys.exit("bench: the fit ended by itself")
    return round(seconds, 3)


def main() -> None:
    rounds = harness.rounds(__doc__)
    about = harness.describe()
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as folder:
        spark = arm.session(True, spark_local_dir=folder)
        spark.sparkContext.setLogLevel("OFF")
        rows = spark.range(0, 2000, 1, 4).selectExpr(
            "array(float(sin(id)), float(cos(id))) AS features", "double(pmod(id, 3)) AS label"
        )
        times = {n: [canceled(spark, rows, n, Path(folder)) for _ in range(rounds)] for n in (1, 2)}
        spark.stop()
    for workers, seconds in times.items():
        met = "" if max(seconds) <= MOST_SECONDS else ": MISSED"
        print(f"{workers} workers: {statistics.median(seconds):.2f} s, {max(seconds):.2f} s at the most{met}")
    found = {str(workers): {"seconds": seconds} for workers, seconds in times.items()}
    print(harness.keep("train_cancel", __version__, {"machine": about, "most_s": MOST_SECONDS, "workers": found}))


if __name__ == "__main__":
    main()
