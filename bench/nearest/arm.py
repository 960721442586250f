"""One arm of run.py in a process of its own: `arm.py ARM FOLDER LEFT RIGHT`; prints one JSON line.

FOLDER holds both sides (data.npz, and left and right as Parquet). LEFT and RIGHT are how many rows of each are compared. The rows found
go to FOLDER as ARM.npz, for the comparison. Seconds are those of the search alone: no arm's start counts, and Spark's include
reading Parquet and writing the result.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent), str(ROOT / "python")]
import harness

K = 10
CORES = 2


def timed(search: Any) -> tuple[float, float, Any]:
    """Seconds, seconds of processor time, and the result."""
    cpu, started = harness.cpu_seconds(), time.perf_counter()
    result = search()
    return time.perf_counter() - started, harness.cpu_seconds() - cpu, result


def faiss(folder: Path, left: int, right: int) -> tuple[float, float, Any, Any]:
    """A flat index over vectors in memory."""
    import faiss as library  # type: ignore[import-not-found]  # of the arm's own environment

    library.omp_set_num_threads(CORES)
    with np.load(folder / "data.npz") as data:
        queries, rows = data["left"][:left], data["right"][:right]

    def search() -> Any:
        index = library.IndexFlatIP(rows.shape[1])
        index.add(rows)
        return index.search(queries, K)

    seconds, cpu, (values, ids) = timed(search)
    return seconds, cpu, ids, values


def session(ours: bool) -> Any:
    """`local[2]`; Flambeau's jars only if they are measured."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{CORES}]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "3g").config("spark.ui.showConsoleProgress", "false")
    builder = builder.config("spark.sql.shuffle.partitions", str(CORES))
    if ours:
        import flambeau

        builder = flambeau.configure(builder)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def spark_arm(name: str, folder: Path, left: int, right: int) -> tuple[float, float, Any, Any]:
    """An arm in `local[2]`."""
    spark = session(name == "flambeau")
    sides = [
        spark.read.parquet(str(folder / side)).where(f"id < {n}") for side, n in (("left", left), ("right", right))
    ]
    out = str(folder / f"{name}.parquet")
    few = [side.where("id < 100") for side in sides]
    SPARK[name](*few).write.mode("overwrite").parquet(out)
    seconds, cpu, _ = timed(lambda: SPARK[name](*sides).write.mode("overwrite").parquet(out))
    found = spark.read.parquet(out).orderBy("left_id", "rank").toPandas()
    spark.stop()
    ids, values = np.full((left, K), -1), np.full((left, K), np.nan)
    ids[found.left_id, found["rank"] - 1] = found.right_id
    values[found.left_id, found["rank"] - 1] = found.similarity
    return seconds, cpu, ids, values


def flambeau(left: Any, right: Any) -> Any:
    """Ours."""
    import flambeau

    return flambeau.nearest(left, right, K)


def best(pairs: Any) -> Any:
    """The best of all pairs."""
    from pyspark.sql import Window
    from pyspark.sql import functions as S

    order = Window.partitionBy("left_id").orderBy(S.desc("similarity"), "right_id")
    return pairs.withColumn("rank", S.row_number().over(order)).where(S.col("rank") <= K)


def cross_join(left: Any, right: Any) -> Any:
    """A cross join, and a pandas UDF over pairs."""
    from pyspark.sql.pandas.functions import pandas_udf

    def cosine(a: pd.Series, b: pd.Series) -> pd.Series:
        x, y = np.stack(a.tolist()), np.stack(b.tolist())
        return pd.Series((x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1)))

    udf = pandas_udf(cosine, "double")  # type: ignore[call-overload]  # PySpark types no functions by hints
    pairs = left.selectExpr("id AS left_id", "vector AS a").crossJoin(right.selectExpr("id AS right_id", "vector AS b"))
    return best(pairs.select("left_id", "right_id", udf("a", "b").alias("similarity")))


def lsh(left: Any, right: Any) -> Any:
    """Spark's own approximate join, over vectors of length 1."""
    from pyspark.ml.feature import BucketedRandomProjectionLSH
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as S

    left, right = (side.select("id", array_to_vector(S.col("vector")).alias("vector")) for side in (left, right))
    hashes = BucketedRandomProjectionLSH(
        inputCol="vector", outputCol="hashes", bucketLength=0.2, numHashTables=3, seed=1
    )
    pairs = hashes.fit(right).approxSimilarityJoin(left, right, 1.4, distCol="distance")
    named = pairs.select(S.col("datasetA.id").alias("left_id"), S.col("datasetB.id").alias("right_id"), "distance")
    return best(named.selectExpr("left_id", "right_id", "1 - distance * distance / 2 AS similarity"))


SPARK = {"flambeau": flambeau, "cross join": cross_join, "lsh": lsh}


def main(name: str, folder: Path, left: int, right: int) -> None:
    found = faiss(folder, left, right) if name == "faiss" else spark_arm(name, folder, left, right)
    seconds, cpu, ids, values = found
    np.savez(folder / f"{name}.npz", ids=ids, values=values)
    pairs = left * right
    print(
        json.dumps({"seconds": round(seconds, 2), "pairs_per_s": [pairs / seconds], "pairs_per_cpu_s": [pairs / cpu]})
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
