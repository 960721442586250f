"""The demo: real photos, read by Spark, described and compared by a pretrained network in one SQL statement.

    ./gradlew demo                              # or: .venv/bin/python examples/demo.py --out build/demo

What lives here: the program from photos to page. Photos come from `photos.py`, the page from `gallery.py`. The model is
`efficientnet_lite0`, which is in the jar. The demo prints the SQL that it runs, three labels for each photo and the speed. Beside it is
the speed of the same network in a pandas UDF (`baseline.py`), after the results of both were compared. Two more cards search the photos
by text and train a classifier (`demo_cards.py`). It writes `index.html` and `photos.png`. It fails (exit 1) if the labels are wrong: a
cat must be a cat.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "models")]

import baseline
import demo_cards
import flambeau
import photos as demo_photos
import recipe
from gallery import Page, Result, write_html, write_png

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
NEAR = 0.3
"""Least cosine of a photo that is shown as a neighbor: below it, nothing on the two photos is alike."""
LEAST_COSINE = 0.999
"""Between the features of Flambeau and of the baseline, on the worst photo."""
MODEL, TEXT_MODEL = "efficientnet_lite0", "minilm_l6_v2"
COPIES, BASELINE_COPIES = 10, 3
"""Copies of each photo for measuring the speed, so that each side runs for seconds: a job over a few files would measure Spark's start."""


def read(spark: SparkSession, folder: Path, names: str = "*") -> DataFrame:
    """The files of a folder as rows with `path` and `content`."""
    return spark.read.format("binaryFile").option("pathGlobFilter", names).load(folder.resolve().as_uri())


def make_copies(photos: Path, folder: Path) -> None:
    """Fills `folder` with `COPIES` of every photo."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for photo in sorted(photos.iterdir()):
        for copy in range(COPIES):
            try:
                os.link(photo, folder / f"{photo.stem}-{copy}{photo.suffix}")
            except OSError:
                shutil.copyfile(photo, folder / f"{photo.stem}-{copy}{photo.suffix}")


def images_per_second(rows: DataFrame, count: int, runs: int = 2) -> float:
    """The best of several runs, when everything is loaded; results are computed and dropped."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        rows.write.format("noop").mode("overwrite").save()
        best = min(best, time.perf_counter() - start)
    return count / best


def speeds(spark: SparkSession, folder: Path, photos: int, package: Path) -> tuple[float, float]:
    """Images per second of our statement, and of the baseline, over copies of the same photos."""
    read(spark, folder).createOrReplaceTempView("photos")
    some = read(spark, folder, f"*-[0-{BASELINE_COPIES - 1}].*")
    ours = images_per_second(spark.sql(DESCRIBE), photos * COPIES)
    return ours, images_per_second(some.select("path", baseline.features(package)), photos * BASELINE_COPIES)


def is_right(photo: demo_photos.Photo, labels: Sequence[tuple[str, float]]) -> bool:
    """Whether the first label is one that fits the photo."""
    return labels[0][0] in photo.expected


def print_table(results: Sequence[Result]) -> None:
    """One line for each photo."""
    for result in results:
        labels = "  ".join(f"{label} {probability:.0%}".ljust(26) for label, probability in result.labels)
        print(f"  {'ok  ' if result.right else 'miss'} {result.path.name:<22} {labels}".rstrip())


@dataclass(frozen=True)
class Described:
    """The results of the statements: one for each photo in the list's order, the seconds of the first one, and the other cards."""

    results: list[Result]
    first_seconds: float
    features: dict[str, Sequence[float]]
    search: demo_cards.Search
    training: demo_cards.Training


@dataclass(frozen=True)
class Measured:
    """Images per second of both sides, the least cosine between their features, and where that was."""

    ours: float
    theirs: float
    cosine: float
    cores: int
    spark: str


def describe(spark: SparkSession, folder: Path, listed: Sequence[demo_photos.Photo], text_model: Path) -> Described:
    """Runs the statements over the photos, and trains.

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
    search = demo_cards.search(spark, text_model)
    training = demo_cards.train(described)
    described.unpersist()
    results = []
    for photo in listed:
        labels = [(entry.label, entry.probability) for entry in rows[photo.file].labels]
        near = [(folder / entry.other, entry.cosine) for entry in nearest[photo.file] if entry.cosine >= NEAR]
        results.append(Result(folder / photo.file, photo.title, labels, near, is_right(photo, labels)))
    return Described(results, seconds, {photo: row.features for photo, row in rows.items()}, search, training)


def wrong(results: Sequence[Result], cosine: float) -> list[str]:
    """The failed checks; empty if the labels are good enough, and the baseline computes the same."""
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
    if cosine < LEAST_COSINE:
        complaints.append(f"the baseline has other features: the cosine is {cosine:.5f} on the worst photo")
    return complaints


def open_session(master: str) -> SparkSession:
    """A quiet local session that knows Flambeau's functions."""
    from pyspark.sql import SparkSession

    builder = flambeau.configure(SparkSession.builder.master(master).appName("Flambeau demo"))
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the baseline's workers need this Python's PyTorch
    builder.config("spark.log.level", "ERROR")
    builder.config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
    return builder.config("spark.sql.shuffle.partitions", "4").getOrCreate()


def links(out: Path) -> list[tuple[str, str]]:
    """Pages to read next, as seen from the folder `out`: those of the site if it was built, otherwise those of the checkout."""
    site = ROOT / "build" / "site"
    folder, ending = (site, ".html") if (site / "README.html").is_file() else (ROOT, ".md")
    titles = {
        "docs/start": "First query",
        "docs/tasks": "Tasks",
        "docs/choosing": "Which model",
        "docs/training": "Training",
    }
    return [(title, os.path.relpath(folder / f"{page}{ending}", out)) for page, title in titles.items()]


def measure(spark: SparkSession, folder: Path, copies: Path, described: Described, package: Path) -> Measured:
    """Compares the baseline's features with ours, which also starts its Python workers, and then measures both."""
    baseline.ship(spark)
    named = read(spark, folder).selectExpr("regexp_extract(path, '[^/]+$', 0) AS photo", "content")
    cosine = baseline.least_cosine(package, named, described.features)
    make_copies(folder, copies)
    ours, theirs = speeds(spark, copies, len(described.results), package)
    return Measured(ours, theirs, cosine, spark.sparkContext.defaultParallelism, spark.version)


def write_pages(out: Path, described: Described, measured: Measured) -> None:
    """`index.html` and `photos.png`."""
    right = sum(result.right for result in described.results)
    facts = [
        ("first label right", f"{right} of {len(described.results)}"),
        ("images/s", f"{measured.ours:.0f}"),
        (f"images/s, {baseline.NAME}", f"{measured.theirs:.0f}"),
        ("first query, with loading libtorch and the model", f"{described.first_seconds:.1f} s"),
        ("cores", str(measured.cores)),
        ("Spark", measured.spark),
    ]
    wheels = "; ".join(f"{wheel.requirement} ({wheel.license})" for wheel in demo_photos.WHEELS)
    sources = (
        f"Photos: {wheels}. They are read out of these published wheels when the demo runs. "
        "Models: EfficientNet-Lite0 and all-MiniLM-L6-v2, Apache-2.0."
    )
    page = Page(described.results, DESCRIBE, facts, sources, described.search, described.training, links(out.resolve()))
    write_html(out / "index.html", page, NEAR)
    write_png(out / "photos.png", described.results, facts)


def print_figures(described: Described, measured: Measured) -> None:
    """What was found, and how fast."""
    right, training = sum(result.right for result in described.results), described.training
    lines = [
        f"{right} of {len(described.results)} first labels are right",
        f"{described.first_seconds:.1f} s for the first query (libtorch unpacked, model loaded)",
        f"{measured.ours:.1f} images/s on {measured.cores} cores (features and labels, one forward pass each)",
        f"{measured.theirs:.1f} images/s with {baseline.NAME} (features; least cosine with ours {measured.cosine:.5f})",
        f"{demo_cards.QUESTION}: {', '.join(photo for photo, _, _ in described.search.found)}",
        f"animal or not, each photo by a classifier trained on other photos: {training.right} of {training.tested} right",
    ]
    print("\n  " + "\n  ".join(lines))


def run(out: Path, master: str, models: Path) -> int:
    """The whole demo; the exit code."""
    flambeau.find_jars()  # fails now and not after the downloads
    folder, copies = out / "photos", out / "copies"
    listed = demo_photos.provide(folder)
    print(f"{len(listed)} photos in {folder}\n\n{DESCRIBE}\n", flush=True)
    spark = open_session(master)
    try:
        described = describe(spark, folder, listed, models / TEXT_MODEL)
        print_table(described.results)
        measured = measure(spark, folder, copies, described, models / MODEL)
    finally:
        spark.stop()
        shutil.rmtree(copies, ignore_errors=True)
    write_pages(out, described, measured)
    print_figures(described, measured)
    print(f"\n  {(out / 'index.html').resolve()}\n  {(out / 'photos.png').resolve()}")
    complaints = wrong(described.results, measured.cosine)
    for complaint in complaints:
        print(f"demo: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


def main() -> int:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Describe real photos with a pretrained network through Spark SQL.")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "demo", metavar="DIR", help="default: build/demo")
    parser.add_argument("--master", default="local[*]", help="where Spark runs (default: %(default)s)")
    models = ROOT / "build" / "models"
    parser.add_argument(
        "--models", type=Path, default=models, metavar="DIR", help="model packages; default: build/models"
    )
    options = parser.parse_args()
    try:
        return run(options.out, options.master, options.models)
    except (flambeau.FlambeauError, recipe.RecipeError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
