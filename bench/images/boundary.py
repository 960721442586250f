"""The boundary's own cost: rows of array<float> through a model that does nothing, compared with the same job without it.

Rows of 16 and of 1,000 numbers; from a cached table, which gives rows, and from Parquet, which gives columns. `to rows` ends
in Spark's noop sink, which takes rows; `to columns` has the operator's columnar batches counted, and those of the scan
alone subtracted. Prints one JSON line: ns of CPU a row, (with - without) / rows, best of REPEATS, and GB of input a second of one
core.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "fixtures")]

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
ROWS = {16: 1_000_000, 1000: 30_000}
BATCH_ROWS = {16: (32, 1024, 4096, 16384), 1000: (4096,)}
CORES = 2
WARM_UPS = 8
REPEATS = int(os.environ.get("REPEATS", "5"))


def cpu_seconds(pid: int) -> float:
    """CPU time of a process's threads, without those that compile Java code: they are busy for seconds with what runs here for
    tens of milliseconds. Unlike wall time, it does not depend on other work on the machine.
    """
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            if not (task / "comm").read_text(encoding="ascii").startswith(("C1 ", "C2 ")):
                total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
        except FileNotFoundError:
            continue  # The thread has ended.
    return total / 1e9


def best(pid: int, *runs: Callable[[], object]) -> list[float]:
    """CPU seconds of the cheapest of REPEATS runs of each, taking turns, after some that warm up."""
    times: list[list[float]] = []
    for _ in range(REPEATS + WARM_UPS):
        row = []
        for run in runs:
            before = cpu_seconds(pid)
            run()
            row.append(cpu_seconds(pid) - before)
        times.append(row)
    return [min(column) for column in zip(*times[WARM_UPS:], strict=True)]


def to_rows(frame: DataFrame) -> Callable[[], object]:
    return lambda: frame.write.format("noop").mode("overwrite").save()


def to_columns(frame: DataFrame, operator: str) -> Callable[[], object]:
    """Counts the columnar batches of the first operator with this name."""
    plan = frame._jdf.queryExecution().executedPlan()
    while operator not in plan.getClass().getName():
        plan = plan.children().head()
    return lambda: plan.executeColumnar().count()


def package(folder: Path, width: int) -> str:
    """A model of `width` numbers that returns them."""
    import make_packages

    place = folder / f"noop_{width}"
    place.mkdir()
    make_packages.write_package(
        place,
        make_packages.Noop(),
        make_packages.VECTOR_INPUT.format(width=width),
        make_packages.FEATURES.format(width=width),
    )
    return str(place)


def measure(spark: SparkSession, folder: Path, width: int) -> dict[str, dict[str, float | None]]:
    from pyspark.sql import functions as S

    from flambeau import functions as F

    rows, model = ROWS[width], package(folder, width)
    assert spark._jvm is not None, "a classic session"
    pid = spark._jvm.ProcessHandle.current().pid()
    values = S.transform(S.sequence(S.lit(1), S.lit(width)), lambda i: (S.col("id") + i).cast("float"))
    source = spark.range(0, rows, 1, 8).select(values.alias("v"))
    cached = source.cache()
    cached.count()
    files = str(folder / f"{width}.parquet")
    cached.write.option("parquet.enable.dictionary", "false").option("compression", "none").parquet(files)
    parquet = spark.read.parquet(files)
    result: dict[str, dict[str, float | None]] = {}

    def keep(name: str, without: float, with_model: float) -> None:
        ns = (with_model - without) / rows * 1e9
        result[name] = {
            "ns_per_row": round(ns, 1),
            "gb_per_s": round(width * 4 / ns, 2) if ns > 0 else None,
            "cpu_s_without": round(without, 3),
        }
        print(f"  {width} numbers, {name}: {result[name]}", file=sys.stderr, flush=True)

    for batch_rows in BATCH_ROWS[width]:
        spark.conf.set("spark.flambeau.batch.rows", str(batch_rows))
        named = cached.select(F.featurize("v", model).alias("r"))
        keep(f"rows to rows, {batch_rows} a batch", *best(pid, to_rows(cached.select("v")), to_rows(named)))
    spark.conf.set("spark.flambeau.batch.rows", "4096")
    named = parquet.select(F.featurize("v", model).alias("r"))
    keep("columns to rows", *best(pid, to_rows(parquet.select("v")), to_rows(named)))
    if "ColumnarToRow" not in named._jdf.queryExecution().executedPlan().toString():
        keep(
            "columns to columns",
            *best(pid, to_columns(parquet.select("v"), "FileSourceScanExec"), to_columns(named, "EvalModelExec")),
        )
    cached.unpersist()
    return result


def main() -> None:
    from pyspark.sql import SparkSession

    import flambeau

    builder = (
        SparkSession.builder.master(f"local[{CORES}]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.memory", "3g")
    )
    spark = flambeau.configure(builder).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    with tempfile.TemporaryDirectory() as folder:
        widths = [int(width) for width in os.environ.get("WIDTHS", "16,1000").split(",")]
        result = {str(width): measure(spark, Path(folder), width) for width in widths}
    print(json.dumps(result))
    spark.stop()


if __name__ == "__main__":
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    main()
