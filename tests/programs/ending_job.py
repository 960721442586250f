"""A driver that ends while a query runs in libtorch, as one does that is interrupted.

python ending_job.py MODEL    (prints the exit code of the JVM)
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import Any

from pyspark.sql import SparkSession

import flambeau
from flambeau import functions as F

EXIT_CODE = 3


def main() -> None:
    """The JVM runs the tasks itself."""
    builder = SparkSession.builder.master("local[4]").config("spark.ui.enabled", "false")
    spark = flambeau.configure(builder).getOrCreate()
    texts = spark.range(1_000_000, numPartitions=4).selectExpr(
        "concat('sentence ', id, repeat(' of words', 30)) AS text"
    )
    features = texts.select(F.featurize("text", sys.argv[1]).alias("features"))
    assert features.head(1)
    gateway: Any = spark.sparkContext._gateway
    passes = gateway.jvm.io.flambeau.bridge.NativeStats
    before = passes.rowsForwarded()

    def work() -> None:
        with contextlib.suppress(Exception):
            features.write.format("noop").mode("overwrite").save()

    threading.Thread(target=work, daemon=True).start()
    while passes.rowsForwarded() < before + 100:
        time.sleep(0.1)
    with contextlib.suppress(Exception):  # it answers nothing
        gateway.jvm.java.lang.System.exit(EXIT_CODE)
    print(gateway.proc.wait(timeout=60))


if __name__ == "__main__":
    main()
