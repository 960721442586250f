"""Runs programs that try to end their process, one after another in one process, and a good one after each.

python hostile_job.py PACKAGES RIGHT NAME...    (prints a line of JSON for each name)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession

import flambeau
from flambeau import functions as F


def main() -> None:
    """One session; the process that ran the first program also runs the last."""
    packages, right = Path(sys.argv[1]), sys.argv[2]
    builder = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.task.maxFailures", "1")
    )
    spark = flambeau.configure(builder).getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    # Not from Python's rows, which would go through a Python worker in each of the queries.
    rows = spark.range(1).selectExpr("array(1F, 2F, 3F, 4F) AS x")
    for name in sys.argv[3:]:
        model = str(packages / name)
        answer: dict[str, object] = {"name": name}
        try:
            answer["value"] = rows.select(F.infer(model, "x")["features"].alias("y")).head(1)[0].y
        except Exception as error:
            answer |= {"condition": flambeau.condition_of(error), "message": str(error)[:2000]}
        if not name.startswith("mutant"):
            answer["right"] = rows.select(F.featurize("x", right).alias("f")).head(1)[0].f
        print(json.dumps(answer), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
