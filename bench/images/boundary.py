"""The boundary's own cost: 1 M rows of array<float>[16] through a model that does nothing, against the same job without it.

Prints one JSON line: ns of CPU a row, (wall with - wall without) x cores / rows, for several batch sizes; best of REPEATS.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "python")]
ROWS = 1_000_000
CORES = 2
REPEATS = 3


def best_seconds(frame) -> float:
    """Wall time of the fastest of REPEATS runs."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        frame.write.format("noop").mode("overwrite").save()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    from pyspark.sql import SparkSession
    from pyspark.sql import functions as S

    import flambeau
    from flambeau import functions as F

    builder = SparkSession.builder.master(f"local[{CORES}]").config("spark.ui.enabled", "false").config("spark.driver.memory", "3g")
    builder = builder.config("spark.flambeau.models.path", str(ROOT / "build" / "test-packages"))
    spark = flambeau.configure(builder).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    values = S.array(*[(S.col("id") + i).cast("float") for i in range(16)])
    table = spark.range(0, ROWS, 1, 8).select(values.alias("v")).cache()
    table.count()
    without = best_seconds(table.select(S.transform("v", lambda x: x).alias("r")).select("r"))
    plain = best_seconds(table.select("v"))
    result = {"rows": ROWS, "seconds_without": round(plain, 3), "seconds_with_a_sql_transform": round(without, 3), "ns_per_row": {}}
    for batch_rows in (32, 1024, 4096, 16384):
        spark.conf.set("spark.flambeau.batch.rows", str(batch_rows))
        seconds = best_seconds(table.select(F.featurize("v", "noop").alias("r")))
        result["ns_per_row"][str(batch_rows)] = round((seconds - plain) * CORES / ROWS * 1e9)
    print(json.dumps(result))
    spark.stop()


if __name__ == "__main__":
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    main()
