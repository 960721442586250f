"""One arm of a side-by-side benchmark in a process of its own: `arm.py FAMILY NETWORK ARM INPUT OUT [--rows N] [--passes N]`.

FAMILY is `images`, `text` or `audio`; INPUT a folder of files or a JSON list of texts. ARM is one of

- `flambeau`, `flambeau-bf16`: our function, in that precision;
- `udf RUNTIME`: an iterator pandas UDF that runs RUNTIME (see runtimes.py, and work.py of the family) on a thread a task;
- `predict_batch_udf RUNTIME`: the same work in Spark's predict_batch_udf;
- `daft RUNTIME`, `ray RUNTIME`: the same work in Daft or Ray Data, both local, on the same cores;
- `langchain4j`, `langchain4j task-thread`: GlossEmbedder.java over texts, on a pool of its own and on the task's thread (BENCH_JARS);
- `alone RUNTIME`: the same work on one thread per core without a framework (all slow parts release the GIL).

All Spark arms read the same cached rows in the same `local[2]` and end in Spark's `noop` sink. Two passes warm up; the first gives the
results, which are written to OUT as f32 `[rows, width]`. Then come timed passes, over the rows as often as fills PASS_S seconds:
in shorter ones the JVM's compiler takes a share of the cores that it takes from no long job. Prints one JSON line: rows/s of each
timed pass, by the clock and by processor time.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent))
from arm_parts import BATCH, CORES, HERE, PARTITIONS, ROOT, Timed, worker

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

Items = list[Any]
PASS_S, MOST_REPEATS = 10.0, 8


def read(source: Path, rows: int | None) -> Items:
    """The first rows: the bytes of files in the order of their names, or texts."""
    if source.is_file():
        return json.loads(source.read_text(encoding="utf-8"))[:rows]
    return [path.read_bytes() for path in sorted(source.iterdir())[:rows]]


def session(arm: str, batch: int) -> SparkSession:
    """`local[2]`; Flambeau's jars only if they are measured."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{CORES}]").appName("bench").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "3g").config("spark.sql.shuffle.partitions", "2")
    builder = builder.config("spark.ui.showConsoleProgress", "false").config("spark.log.level", "ERROR")
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", str(batch))
    if jars := os.environ.get("BENCH_JARS"):
        # Its tokenizer must neither report nor download.
        builder = builder.config("spark.jars", jars).config("spark.driver.extraJavaOptions", "-Dai.djl.offline=true")
        os.environ["OPT_OUT_TRACKING"] = "true"
    if arm.startswith("flambeau"):
        import flambeau

        # Only for our arms, to try settings: BENCH_CONF="spark.flambeau.decode.threads=1 …".
        for setting in os.environ.get("BENCH_CONF", "").split():
            name, _, value = setting.partition("=")
            builder = builder.config(name, value)
        builder = builder.config("spark.flambeau.precision", arm.partition("-")[2] or "f32")
        builder = flambeau.configure(builder.config("spark.flambeau.models.path", str(ROOT / "build" / "bench-models")))
    return builder.getOrCreate()


def column(family: str, network: str, arm: str) -> Column:
    """`array<float>` of the column `value`."""
    from pyspark.sql import functions as S
    from pyspark.sql.pandas.functions import pandas_udf

    if arm.startswith("flambeau"):
        from flambeau import functions as F

        if network == "silero_vad":
            return S.array(F.classify("value", network, 1)[0]["probability"])
        return F.featurize("value", network)
    kind, runtime = arm.split(" ")
    folder = str(HERE)
    if kind == "predict_batch_udf":
        from pyspark.ml.functions import predict_batch_udf
        from pyspark.sql.types import ArrayType, FloatType

        def make() -> Callable[..., np.ndarray]:
            sys.path.insert(0, folder)
            import arm_parts as here

            work = here.worker(family, network, runtime)
            return lambda values: work([v if isinstance(v, str) else bytes(v) for v in values])

        return predict_batch_udf(make, return_type=ArrayType(FloatType()), batch_size=64)("value")

    @pandas_udf("array<float>")  # type: ignore[call-overload, untyped-decorator]  # PySpark types no functions by hints
    def featurize(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        sys.path.insert(0, folder)
        import arm_parts as here

        work = here.worker(family, network, runtime)  # kept by the worker from task to task
        for values in batches:
            yield pd.Series(list(work(values.tolist())))

    return featurize("value")


def in_spark(options: argparse.Namespace, items: Items, timed: Timed) -> np.ndarray:
    """The Spark arms."""
    spark = session(options.arm, BATCH[options.family])
    parts = PARTITIONS[options.family]
    # Rows take turns over the tasks, so that no task gets all long rows.
    dealt = [row for part in range(parts) for row in list(enumerate(items))[part::parts]]
    kind = "string" if isinstance(items[0], str) else "binary"
    frame = spark.createDataFrame(spark.sparkContext.parallelize(dealt, parts), f"id int, value {kind}")
    table = frame.cache()
    table.count()

    def features(rows: DataFrame) -> DataFrame:
        if not options.arm.startswith("langchain4j"):
            return rows.select("id", column(options.family, options.network, options.arm).alias("features"))
        from pyspark.sql import DataFrame

        on_task_thread = options.arm.endswith("task-thread")
        assert spark._jvm is not None, "a classic session"
        return DataFrame(spark._jvm.GlossEmbedder.embed(rows._jdf, 64, on_task_thread), spark)

    def once(rows: DataFrame) -> float:
        started = time.perf_counter()
        features(rows).write.format("noop").mode("overwrite").save()
        return time.perf_counter() - started

    collected = features(table).toPandas().sort_values("id")
    repeats = min(MOST_REPEATS, math.ceil(PASS_S / once(table)))
    longer = functools.reduce(lambda rows, again: rows.unionAll(again), [table] * repeats)
    timed.rows *= repeats
    timed.run(lambda: once(longer))
    spark.stop()
    return np.stack(collected["features"].tolist()).astype(np.float32)


def alone(options: argparse.Namespace, items: Items, timed: Timed) -> np.ndarray:
    """One thread per core, each with its own runtime, with as many rows at once as in Spark."""
    import concurrent.futures
    import threading

    own, batch = threading.local(), BATCH[options.family]
    _, runtime = options.arm.split(" ")
    import runtimes

    def work(first: int) -> np.ndarray:
        if not hasattr(own, "work"):
            runtimes.load.cache_clear()
            own.work = worker(options.family, options.network, runtime)
        return own.work(items[first : first + batch])

    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        starts = range(0, len(items), batch)
        found = np.concatenate(list(pool.map(work, starts)))
        timed.run(lambda: list(pool.map(work, starts)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("family", "network", "arm"):
        parser.add_argument(name)
    for name in ("input", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--rows", type=int, help="only the first rows of the input")
    parser.add_argument("--passes", type=int, default=2, help="timed passes (default: 2)")
    options = parser.parse_args()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    items = read(options.input, options.rows)
    timed = Timed(len(items), options.passes)
    kind = options.arm.split(" ")[0]
    if kind == "daft":
        import in_daft

        found = in_daft.run(options, items, timed)
    elif kind == "ray":
        import in_ray

        found = in_ray.run(options, items, timed)
    else:
        found = (alone if kind == "alone" else in_spark)(options, items, timed)
    np.save(options.out, found)
    line = {"arm": options.arm, "rows": len(items), "rows_per_s": timed.rates, "rows_per_cpu_s": timed.busy}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
