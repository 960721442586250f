"""Streaming: photos are labeled as they arrive in a folder, and a stopped query continues where it was.

    python examples/streaming.py

Half of the demo's photos arrive, and the query labels them and is stopped. Then the other half arrives, and a new query with the same
checkpoint labels only those. The result is a Parquet table with every photo once.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import photos
import session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LABEL = "SELECT regexp_extract(path, '[^/]+$', 0) AS photo, classify(content, 'efficientnet_lite0', 1)[0] AS best FROM arriving"
SCHEMA = "path string, modificationTime timestamp, length long, content binary"


def label_what_arrived(spark: SparkSession, arriving: Path, out: Path) -> int:
    """Runs the query until all existing files are labeled; returns how many rows it read."""
    stream = spark.readStream.format("binaryFile").schema(SCHEMA).load(arriving.resolve().as_uri())
    stream.createOrReplaceTempView("arriving")
    labeled = spark.sql(LABEL).writeStream.format("parquet").option("checkpointLocation", str(out / "checkpoint"))
    query = labeled.trigger(availableNow=True).start(str(out / "labeled"))
    query.awaitTermination()
    return sum(progress["numInputRows"] for progress in query.recentProgress)


def run(out: Path) -> int:
    """The whole example; the exit code."""
    folder, arriving = out / "photos", out / "stream" / "arriving"
    shutil.rmtree(out / "stream", ignore_errors=True)
    arriving.mkdir(parents=True)
    names = [photo.file for photo in photos.provide(folder)]
    half = len(names) // 2
    read = []
    for part in (names[:half], names[half:]):
        for name in part:
            shutil.copy(folder / name, arriving)
        spark = session.open_session("streaming")
        try:
            read.append(label_what_arrived(spark, arriving, out / "stream"))
            rows = spark.read.parquet(str(out / "stream" / "labeled")).orderBy("photo").collect()
        finally:
            spark.stop()
    for row in rows:
        print(f"  {row.photo:<22} {row.best.label} {row.best.probability:.0%}")
    print(f"\n  {read[0]} photos labeled, the query stopped and started again, {read[1]} more labeled")
    return 0 if sorted(row.photo for row in rows) == sorted(names) and sum(read) == len(names) else 1


def main() -> int:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Label photos as they arrive, across a restart.")
    parser.add_argument("--out", type=Path, default=session.ROOT / "build" / "examples", metavar="DIR")
    return run(parser.parse_args().out)


if __name__ == "__main__":
    sys.exit(main())
