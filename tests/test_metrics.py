"""The Spark UI's SQL page, read as its REST API gives it: every metric of the operator is there and correct.

The UI shows times in whole milliseconds, so a short one may read 0 on a fast machine. Times are read in nanoseconds, from the
metrics that the UI shows.
"""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from typing import TYPE_CHECKING, Any

import support
from flambeau import functions as F
from support import DEADLINE_S, MODEL, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

NUMBER = re.compile(r"([0-9][0-9,.]*)\s*(ns|ms|µs|s|m|min|h|B|KiB|MiB|GiB)?")
TIMES = {
    "time to load": "loadTime",
    "time to prepare": "prepareTime",
    "time to forward": "forwardTime",
    "time to convert": "convertTime",
}
"""The label of each time, and the metric's own name."""
LABELS = {
    *("rows", "batches", "bad rows", "passes run again", "bytes in", "bytes out", "native bytes of a batch (estimate)"),
    *("real tokens", "padded tokens"),
    *TIMES,
}


def rest(spark: SparkSession, path: str) -> Any:
    """One answer of the UI's REST API."""
    url = f"{spark.sparkContext.uiWebUrl}/api/v1/applications/{spark.sparkContext.applicationId}/{path}"
    port = re.sub(r"//[^:/]+:", "//127.0.0.1:", url)
    with urllib.request.urlopen(port, timeout=DEADLINE_S) as answer:
        return json.load(answer)


def first_number(value: str) -> float:
    """The total of a metric as the UI writes it: `28`, `1.2 s`, or a heading and `1.2 s (0.1 s, …)` below it."""
    match = NUMBER.search(value.splitlines()[-1])
    assert match, value
    return float(match[1].replace(",", ""))


def operators(plan: Any) -> list[Any]:
    """The EvalModel nodes of a physical plan that has run, inside of its stages too."""
    name = plan.nodeName()
    if name.startswith("AdaptiveSparkPlan"):
        return operators(plan.executedPlan())
    if "QueryStage" in name:
        return operators(plan.plan())
    below = [node for at in range(plan.children().size()) for node in operators(plan.children().apply(at))]
    return [plan, *below] if name.startswith("EvalModel") else below


def metrics_of(spark: SparkSession, frame: DataFrame, description: str) -> dict[str, float]:
    """Runs the query and returns the metrics of its EvalModel node by label: numbers as the UI shows them, times in ns."""
    spark.sparkContext.setJobDescription(description)
    try:
        frame.collect()
    finally:
        spark.sparkContext.setJobDescription(None)  # type: ignore[arg-type]  # unsets it

    def execution() -> dict[str, Any] | None:
        found = [item for item in rest(spark, "sql?length=1000&details=true") if item["description"] == description]
        return found[0] if found and found[0]["status"] == "COMPLETED" else None

    wait_until(lambda: execution() is not None, "the query is on the SQL page")
    completed = execution()
    assert completed is not None
    nodes = [node for node in completed["nodes"] if node["nodeName"].startswith("EvalModel")]
    assert len(nodes) == 1, "one node: one forward pass for all calls"
    shown = {metric["name"]: first_number(metric["value"]) for metric in nodes[0]["metrics"]}
    (operator,) = operators(frame._jdf.queryExecution().executedPlan())
    for label, key in TIMES.items():
        metric = operator.metrics().apply(key)
        assert metric.metricType() == "nsTiming" and label in shown
        shown[label] = metric.value()
    return shown


def test_metrics_of_photos(
    spark: SparkSession, photo_table: DataFrame, photos: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    # Different content from the embedded package, which earlier tests may have loaded: this query has to load it.
    package = tmp_path / MODEL
    shutil.copytree(support.ROOT / "build" / "models" / MODEL, package)
    descriptor = package / "model.toml"
    descriptor.write_text(
        descriptor.read_text(encoding="utf-8").replace('description = "', 'description = "(a copy) '), encoding="utf-8"
    )
    model = str(package)
    frame = photo_table.coalesce(2).select(F.classify("content", model, 1), F.featurize("content", model))
    metrics = metrics_of(spark, frame, "metrics of photos")
    assert metrics.keys() >= LABELS
    assert metrics["rows"] == len(photos)
    assert 1 <= metrics["batches"] <= len(photos)
    assert metrics.get("bad rows", 0) == 0
    for label in (
        "bytes in",
        "bytes out",
        "time to load",
        "time to prepare",
        "time to forward",
        "native bytes of a batch (estimate)",
    ):
        assert metrics[label] > 0, f"{label}: {metrics}"


def test_metrics_of_many_small_rows(spark: SparkSession) -> None:
    """Work of a few nanoseconds per row adds up."""
    numbers = spark.range(0, 200_000, 1, 2).selectExpr("array_repeat(CAST(id AS FLOAT), 16) AS x")
    metrics = metrics_of(
        spark, numbers.select(F.featurize("x", "noop").alias("f")).selectExpr("sum(f[3])"), "metrics of small rows"
    )
    assert metrics["rows"] == 200_000
    for label in ("bytes in", "bytes out", "time to prepare", "time to forward", "time to convert"):
        assert metrics[label] > 0, f"{label}: {metrics}"


def test_metrics_tell_how_well_token_batches_are_filled(spark: SparkSession) -> None:
    """Texts of every length in no order: passes by length leave little padding (at least 90 % of the tokens are real)."""
    model = str(support.MODELS / "minilm_l6_v2")
    texts = spark.range(0, 512, 1, 1).selectExpr("repeat('word ', CAST(pmod(id * 37, 61) AS INT)) AS text")
    metrics = metrics_of(spark, texts.select(F.featurize("text", model)), "metrics of texts")
    assert metrics["real tokens"] == sum(n * 37 % 61 + 2 for n in range(512))
    assert metrics["real tokens"] <= metrics["padded tokens"] <= metrics["real tokens"] / 0.9


def test_metrics_count_bad_rows_and_batches(spark: SparkSession, vectors: DataFrame) -> None:
    spark.conf.set("spark.flambeau.batch.rows", "2")
    try:
        metrics = metrics_of(spark, vectors.coalesce(1).select(F.try_featurize("x", "tiny")), "metrics of bad rows")
    finally:
        spark.conf.unset("spark.flambeau.batch.rows")
    assert (metrics["rows"], metrics["batches"], metrics["bad rows"]) == (4, 2, 1)
