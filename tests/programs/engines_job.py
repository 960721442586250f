"""Two executors, one after the other, that would choose different engines; and one with a configured engine.

python engines_job.py PACKAGE FOLDER LIBTORCH    (prints JSON)

The machine's saved choice of engines in FOLDER is reversed between the two executors.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

import flambeau
from flambeau import functions as F

OTHER = {"torchscript": "fused", "fused": "torchscript"}


def bitmap(seed: int) -> bytes:
    """A picture of 8 by 8 pixels."""
    header = b"BM" + b"".join(n.to_bytes(4, "little") for n in (54 + 192, 0, 54, 40, 8, 8)) + bytes([1, 0, 24, 0])
    return (
        header
        + b"".join(n.to_bytes(4, "little") for n in (0, 192, 0, 0, 0, 0))
        + bytes(i * (2 * seed + 1) % 256 for i in range(192))
    )


def operator(plan: Any) -> Any:
    """The EvalModel node of a plan with one."""
    while not plan.nodeName().startswith("EvalModel"):
        plan = plan.children().apply(0)
    return plan


def main() -> None:
    """One session; its only executor is killed and replaced."""
    package, folder, libtorch = sys.argv[1:]
    builder = SparkSession.builder.master("local-cluster[1,1,1024]")
    for key, value in {
        "spark.flambeau.native.directory": folder,
        "spark.flambeau.libtorch": libtorch,
        "spark.plugins": "io.flambeau.FlambeauPlugin",
        "spark.ui.enabled": "false",
    }.items():
        builder = builder.config(key, value)
    spark = flambeau.configure(builder).getOrCreate()
    pictures = spark.createDataFrame([(bitmap(n),) for n in range(6)], "content binary").coalesce(1)

    def engine() -> str:
        frame = pictures.select(F.featurize("content", package))
        assert len(frame.collect()) == 6
        metrics = operator(frame._jdf.queryExecution().executedPlan()).metrics()
        (used,) = [name for name in OTHER if metrics.apply(f"passes.{name}").value() > 0]
        return used

    def executors() -> set[str]:
        ids = spark.sparkContext._jsc.sc().getExecutorIds()
        return {ids.apply(n) for n in range(ids.size())}

    first = engine()
    (kept,) = Path(folder, "engines").iterdir()
    choice = json.loads(kept.read_text(encoding="utf-8"))
    kept.write_text(json.dumps({**choice, "engine": OTHER[choice["engine"]]}), encoding="utf-8")
    (old,) = executors()
    spark.sparkContext._jsc.sc().killAndReplaceExecutor(old)
    for _ in range(600):
        if (now := executors()) and old not in now:
            break
        time.sleep(0.5)
    second = engine()
    spark.conf.set("spark.flambeau.engine", OTHER[first])
    print(json.dumps({"chosen": choice["engine"], "first": first, "second": second, "by name": engine()}))
    spark.stop()


if __name__ == "__main__":
    main()
