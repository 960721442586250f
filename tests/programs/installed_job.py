"""The job of a user who has installed Flambeau and has no checkout: labels of the photos in a folder, as JSON.

    installed_job.py PHOTOS [python]

With `python`, the session and the column functions are those of the package `flambeau`. Without, there is no such package:
`spark-submit` gave the session its jars, and everything is SQL.
"""

import json
import sys
from typing import Any

from pyspark.sql import SparkSession


def main() -> None:
    builder = SparkSession.builder.config("spark.ui.enabled", "false")
    photos = sys.argv[1]
    found: dict[str, Any] = {}
    if sys.argv[2:] == ["python"]:
        import flambeau
        from flambeau import functions as F

        spark = flambeau.configure(builder.master("local[2]")).getOrCreate()
        files = spark.read.format("binaryFile").load(photos)
        rows = files.select("path", F.classify("content", "efficientnet_lite0", 1).alias("labels"))
        found["package"] = flambeau.__file__
        found["jars"] = flambeau.find_jars()
    else:
        spark = builder.getOrCreate()
        rows = spark.sql(
            f"SELECT path, classify(content, 'efficientnet_lite0', 1) AS labels FROM binaryFile.`{photos}`"
        )
    labels = {row["path"].rsplit("/", 1)[1]: row["labels"][0]["label"] for row in rows.collect()}
    spark.stop()
    print(json.dumps({**found, "labels": labels}))


if __name__ == "__main__":
    main()
