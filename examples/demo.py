"""The demo: real photos, read by Spark, described and compared by a pretrained network in one SQL statement.

    ./gradlew demo                              # or: .venv/bin/python examples/demo.py --out build/demo

What lives here: the program from photos to page. Photos come from `photos.py`, the page from `gallery.py`. The model is
`efficientnet_lite0`, which is in the jar. The demo prints the SQL that it runs, three labels for each photo and the speed. It writes
`index.html` and `photos.png`. It fails (exit 1) if the labels are wrong: a cat must be a cat.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "models")]

import flambeau
import photos as demo_photos
import recipe
from gallery import Result, write_html, write_png

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DESCRIBE = """\
SELECT regexp_extract(path, '[^/]+$', 0)          AS photo,
       classify(content, 'efficientnet_lite0', 3) AS labels,
       featurize(content, 'efficientnet_lite0')   AS features
FROM   photos"""

NEAREST = """\
WITH unit AS (
  SELECT photo, features, sqrt(aggregate(features, 0D, (sum, x) -> sum + x * x)) AS length FROM described
), pairs AS (
  SELECT a.photo, b.photo AS other,
         aggregate(zip_with(a.features, b.features, (x, y) -> x * y), 0D, (sum, x) -> sum + x)
           / (a.length * b.length) AS cosine
  FROM   unit a JOIN unit b ON a.photo <> b.photo
)
SELECT   photo, slice(sort_array(collect_list(struct(cosine, other)), false), 1, 3) AS nearest
FROM     pairs
GROUP BY photo"""

MUST_BE_RIGHT = ("chelsea.png", "coffee.png", "rocket.jpg", "lion.jpg", "dalmatian.jpg", "eagle.jpg")
LEAST_RIGHT = 0.9
"""Share of the photos whose first label must be right."""
COPIES = 10
"""Copies of each photo for measuring the speed: a job over a few files would measure Spark's start."""


def read(spark: SparkSession, folder: Path) -> DataFrame:
    """The files of a folder as rows with `path` and `content`."""
    return spark.read.format("binaryFile").load(folder.resolve().as_uri())


def make_copies(photos: Path, folder: Path) -> int:
    """Fills `folder` with `COPIES` of every photo and returns how many files that is."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for photo in sorted(photos.iterdir()):
        for copy in range(COPIES):
            try:
                os.link(photo, folder / f"{photo.stem}-{copy}{photo.suffix}")
            except OSError:
                shutil.copyfile(photo, folder / f"{photo.stem}-{copy}{photo.suffix}")
    return len(list(folder.iterdir()))


def images_per_second(spark: SparkSession, folder: Path, count: int, runs: int = 3) -> float:
    """The best of several runs of the same statement over `folder`; results are computed and dropped."""
    read(spark, folder).createOrReplaceTempView("photos")
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        spark.sql(DESCRIBE).write.format("noop").mode("overwrite").save()
        best = min(best, time.perf_counter() - start)
    return count / best


def is_right(photo: demo_photos.Photo, labels: Sequence[tuple[str, float]]) -> bool:
    """Whether the first label is one that fits the photo."""
    return labels[0][0] in photo.expected


def print_table(results: Sequence[Result]) -> None:
    """One line for each photo."""
    for result in results:
        labels = "  ".join(f"{label} {probability:.0%}".ljust(26) for label, probability in result.labels)
        print(f"  {'ok  ' if result.right else 'miss'} {result.path.name:<22} {labels}".rstrip())


def describe(spark: SparkSession, folder: Path, listed: Sequence[demo_photos.Photo]) -> tuple[list[Result], float]:
    """Runs both statements over the photos; the results in the list's order, and the seconds the first one took.

    The described photos are cached, so that the second statement, which reads them twice, does not run the model again.
    They are not sorted in SQL: Spark 4.1 cannot join a cached sorted result to itself ("key not found").
    """
    read(spark, folder).createOrReplaceTempView("photos")
    start = time.perf_counter()
    described = spark.sql(DESCRIBE).cache()
    rows = {row.photo: row for row in described.collect()}
    seconds = time.perf_counter() - start
    described.createOrReplaceTempView("described")
    nearest = {row.photo: row.nearest for row in spark.sql(NEAREST).collect()}
    described.unpersist()
    results = []
    for photo in listed:
        labels = [(entry.label, entry.probability) for entry in rows[photo.file].labels]
        near = [(folder / entry.other, entry.cosine) for entry in nearest[photo.file]]
        results.append(Result(folder / photo.file, photo.title, labels, near, is_right(photo, labels)))
    return results, seconds


def wrong(results: Sequence[Result]) -> list[str]:
    """The failed checks; empty if the labels are good enough."""
    complaints = [
        f"{result.path.name} was taken for {result.labels[0][0]!r}"
        for result in results
        if result.path.name in MUST_BE_RIGHT and not result.right
    ]
    right = sum(result.right for result in results)
    if right < LEAST_RIGHT * len(results):
        complaints.append(f"only {right} of {len(results)} first labels are right")
    for result in results:
        total = sum(probability for _, probability in result.labels)
        if len(result.labels) != 3 or not 0 < total <= 1.0001:
            complaints.append(f"{result.path.name}: three labels with probabilities were expected, got {result.labels}")
    return complaints


def open_session(master: str) -> SparkSession:
    """A quiet local session that knows Flambeau's functions."""
    from pyspark.sql import SparkSession

    builder = flambeau.configure(SparkSession.builder.master(master).appName("Flambeau demo"))
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder.config("spark.log.level", "ERROR")
    builder.config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
    return builder.config("spark.sql.shuffle.partitions", "4").getOrCreate()


def run(out: Path, master: str) -> int:
    """The whole demo; the exit code."""
    flambeau.find_jars()  # fails now and not after the downloads
    folder = out / "photos"
    listed = demo_photos.provide(folder)
    print(f"{len(listed)} photos in {folder}\n\n{DESCRIBE}\n", flush=True)
    spark = open_session(master)
    try:
        results, first_seconds = describe(spark, folder, listed)
        print_table(results)
        count = make_copies(folder, out / "copies")
        warm = images_per_second(spark, out / "copies", count)
        version, parallelism = spark.version, spark.sparkContext.defaultParallelism
    finally:
        spark.stop()
        shutil.rmtree(out / "copies", ignore_errors=True)

    right = sum(result.right for result in results)
    facts = [
        ("photos", str(len(results))),
        ("first label right", f"{right} of {len(results)}"),
        ("images/s, warm", f"{warm:.0f}"),
        ("images/s, first run", f"{len(results) / first_seconds:.1f}"),
        ("cores", str(parallelism)),
        ("Spark", version),
    ]
    sources = "Photos: " + "; ".join(f"{wheel.requirement} ({wheel.license})" for wheel in demo_photos.WHEELS)
    sources += (
        ". They are read out of these published wheels when the demo runs. Model: EfficientNet-Lite0, Apache-2.0."
    )
    write_html(out / "index.html", results, DESCRIBE, facts, sources)
    write_png(out / "photos.png", results, facts)

    print(f"\n  {right} of {len(results)} first labels are right")
    print(
        f"  {len(results) / first_seconds:.1f} images/s in the first run ({first_seconds:.1f} s: libtorch unpacked, model loaded)"
    )
    print(
        f"  {warm:.1f} images/s warm, {count} images on {parallelism} cores (features and labels, one forward pass each)"
    )
    print(f"\n  {(out / 'index.html').resolve()}\n  {(out / 'photos.png').resolve()}")
    complaints = wrong(results)
    for complaint in complaints:
        print(f"demo: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


def main() -> int:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Describe real photos with a pretrained network through Spark SQL.")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "demo", metavar="DIR", help="default: build/demo")
    parser.add_argument("--master", default="local[*]", help="where Spark runs (default: %(default)s)")
    options = parser.parse_args()
    try:
        return run(options.out, options.master)
    except (flambeau.FlambeauError, recipe.RecipeError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
