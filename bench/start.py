"""The first result of a new JVM: `.venv/bin/python bench/start.py [--rounds N]`, the demo's query over the demo's photos.

Every round is a new process with a warm disk: libtorch and the model are unpacked. Prints, in seconds and as the median of all
rounds: the session's start (Spark's own, before the clock), the analysis of the query (`spark.sql`), its first result
(`collect`), both together, and the same query again. For the first result, the time of a session without Flambeau
for reading the same photos is printed too.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / part) for part in ("bench", "python", "models", "examples")]
import harness

PLAIN = "SELECT regexp_extract(path, '[^/]+$', 0) AS photo, length(content), sha2(content, 256) FROM photos"


def once(kind: str) -> dict[str, float]:
    """In a process of its own."""
    import demo

    folder = ROOT / "build" / "bench-start"
    began = time.perf_counter()
    if kind == "plain":
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[*]").config("spark.ui.enabled", "false")
        spark = builder.config("spark.log.level", "ERROR").getOrCreate()
    else:
        spark = demo.open_session("local[*]")
    ready = time.perf_counter()
    demo.read(spark, folder).createOrReplaceTempView("photos")
    query = PLAIN if kind == "plain" else demo.DESCRIBE
    started = time.perf_counter()
    described = spark.sql(query).cache()
    analyzed = time.perf_counter()
    described.collect()
    first = time.perf_counter()
    spark.sql(query).collect()
    again = time.perf_counter()
    spark.stop()
    found = {"session": ready - began, "analysis": analyzed - started, "collect": first - analyzed}
    return {**found, "first result": first - started, "once more": again - first}


def main() -> None:
    if sys.argv[1:2] == ["once"]:
        print(json.dumps(once(sys.argv[2])))
        return
    import photos

    rounds = harness.rounds(__doc__)
    photos.provide(ROOT / "build" / "bench-start")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    found: dict[str, list[dict[str, float]]] = {"flambeau": [], "plain": []}
    for _ in range(rounds):
        for kind, lines in found.items():
            lines.append(harness.run_arm([sys.executable, __file__, "once", kind]))
    for kind, lines in found.items():
        print(kind, *(f"{name} {statistics.median(line[name] for line in lines):.2f} s" for name in lines[0]), sep=", ")


if __name__ == "__main__":
    main()
