"""Image search: the photos that look most like a given one.

    python examples/image_search.py                    # searches with the cat of the demo's photos
    python examples/image_search.py my_photo.jpg       # with yours

Features of every photo are computed once and kept as Parquet; a search featurizes one row and ranks by cosine.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pyspark.sql import functions as F

import photos
import session
from flambeau.functions import cosine_similarity, featurize

MODEL = "efficientnet_lite0"


def run(query: Path | None, out: Path) -> int:
    """The whole example; the exit code."""
    folder = out / "photos"
    photos.provide(folder)
    query = query or folder / "cheetah1.jpg"
    spark = session.open_session("image search")
    try:
        files = spark.read.format("binaryFile").load(folder.resolve().as_uri())
        index = str((out / "photo_features.parquet").resolve())
        files.select("path", featurize("content", MODEL).alias("features")).write.mode("overwrite").parquet(index)
        wanted = spark.read.format("binaryFile").load(query.resolve().as_uri())
        pairs = spark.read.parquet(index).crossJoin(wanted.select(featurize("content", MODEL).alias("wanted")))
        ranked = pairs.select(
            F.regexp_extract("path", "[^/]+$", 0).alias("photo"),
            cosine_similarity("features", "wanted").alias("cosine"),
        )
        nearest = ranked.orderBy(F.desc("cosine")).limit(4).collect()
    finally:
        spark.stop()
    print(f"most like {query.name}:")
    for row in nearest:
        print(f"  {row.cosine:.3f}  {row.photo}")
    return 0 if nearest and nearest[0].cosine > nearest[-1].cosine else 1


def main() -> int:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Find photos like a given one with EfficientNet-Lite0 in Spark.")
    parser.add_argument("photo", nargs="?", type=Path, help="what to search with")
    parser.add_argument("--out", type=Path, default=session.ROOT / "build" / "examples", metavar="DIR")
    options = parser.parse_args()
    return run(options.photo, options.out)


if __name__ == "__main__":
    sys.exit(main())
