"""The features of every modality over Spark Connect, as functions, as SQL, as registered names and as ML stages; prints their bits as JSON.

same_numbers_client.py TABLE     (SPARK_REMOTE says where the server is)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import flambeau
import modalities
from flambeau import functions as F


def main(table: str) -> None:
    """See the module."""
    spark = SparkSession.builder.getOrCreate()
    rows = spark.read.parquet(table)
    rows.createOrReplaceTempView("inputs")
    found: dict[str, dict[str, str]] = {"functions": {}, "sql": {}, "named": {}, "stages": {}}
    for name, (column, model) in modalities.CALLS.items():
        package = modalities.packages()[model]
        flambeau.register(spark, f"own_{name}", package)
        queries = {
            "functions": rows.select(F.featurize(column, package)),
            "sql": spark.sql(f"SELECT featurize({column}, '{package}') FROM inputs"),
            "named": spark.sql(f"SELECT own_{name}({column}) FROM inputs"),
            "stages": modalities.stage(name, column, package).transform(rows).select("out"),
        }
        for surface, query in queries.items():
            found[surface][name] = modalities.as_bytes(query.head(1)[0][0])
    spark.stop()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
