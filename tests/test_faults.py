"""A failure only ends its query: the same session and the same process run the next one. A killed task stops within a batch."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql.functions import broadcast

import flambeau
import support
from flambeau import functions as F
from support import DEADLINE_S, FAILURES, MODEL, MODELS, wait_until

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def live_handles(spark: SparkSession) -> int:
    """Native handles that are open in this process."""
    return int(support.jvm(spark).io.flambeau.bridge.NativeStats.liveHandles())


def native_pid(spark: SparkSession) -> int:
    """The process that runs driver and executor in local mode."""
    return int(support.jvm(spark).java.lang.ProcessHandle.current().pid())


@pytest.fixture(autouse=True)
def the_next_query_is_served(spark: SparkSession, vectors: DataFrame) -> Any:
    """After every test: a good query gives the right answer in the same process, and nothing native is left open."""
    good = vectors.where("id = 1").select(F.featurize("x", "tiny").alias("f"))
    assert good.head(1)[0].f == [2, 4, 6]
    wait_until(lambda: live_handles(spark) == 0, "handles of the query before are closed")
    process = native_pid(spark)
    yield
    assert good.head(1)[0].f == [2, 4, 6]
    assert native_pid(spark) == process
    wait_until(lambda: live_handles(spark) == 0, "handles are closed")


def fails(frame: DataFrame, condition: str, *parts: str) -> None:
    """Asserts that the query fails with this condition, and what its message holds."""
    with pytest.raises(FAILURES) as failure:
        frame.collect()
    assert flambeau.condition_of(failure.value) == condition, failure.value
    assert (failure.value.getMessageParameters() or {})["model"]
    for part in parts:
        assert part in str(failure.value)


def test_a_bad_image(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(b"\xff\xd8\xff broken",)], "content binary")
    fails(rows.select(F.featurize("content", "image_tiny")), "FLAMBEAU_BAD_INPUT", "image_tiny", "try_featurize")


def test_a_program_that_raises(spark: SparkSession) -> None:
    negative = spark.createDataFrame([([-1.0, 0.0, 0.0, 0.0],)], "x array<float>")
    fails(
        negative.select(F.featurize("x", "raises")),
        "FLAMBEAU_BAD_INPUT",
        "raises",
        "the first value must not be negative",
        "row 0 of",
    )
    assert negative.select(F.try_featurize("x", "raises")).head(1)[0][0] is None


def test_a_program_that_allocates_too_much(vectors: DataFrame) -> None:
    fails(vectors.where("id = 1").select(F.featurize("x", "allocates")), "FLAMBEAU_OUT_OF_MEMORY", "allocates")


def test_a_package_that_lies_about_its_hash(vectors: DataFrame) -> None:
    with pytest.raises(FAILURES) as failure:
        vectors.where("id = 1").select(F.featurize("x", "bad_hash")).collect()
    assert flambeau.condition_of(failure.value) == "FLAMBEAU_BAD_MODEL"


@pytest.mark.parametrize(
    ("fault", "condition", "part"),
    [
        ("panic", "FLAMBEAU_NATIVE", ".rs:"),
        ("torch", "FLAMBEAU_NATIVE", "tiny"),
        ("allocation", "FLAMBEAU_OUT_OF_MEMORY", "tiny"),
    ],
)
def test_an_injected_fault(spark: SparkSession, vectors: DataFrame, fault: str, condition: str, part: str) -> None:
    properties = support.jvm(spark).java.lang.System
    properties.setProperty("spark.flambeau.internal.fault", fault)
    try:
        fails(vectors.where("id = 1").select(F.featurize("x", "tiny")), condition, part)
    finally:
        properties.clearProperty("spark.flambeau.internal.fault")


@pytest.fixture
def engine(spark: SparkSession, request: pytest.FixtureRequest) -> Any:
    """The engine that models run with for the length of a test."""
    spark.conf.set("spark.flambeau.engine", request.param)
    yield request.param
    spark.conf.unset("spark.flambeau.engine")


@pytest.mark.parametrize("engine", ["torchscript", "fused"], indirect=True)
@pytest.mark.parametrize("kind", ["photos", "texts"])
def test_a_canceled_job_ends_within_a_batch(
    spark: SparkSession, photo_table: DataFrame, kind: str, engine: str
) -> None:
    """A killed task stops between forward passes: a batch of 1,024 texts takes many seconds, one pass less than one."""
    copies = spark.range(0, 100_000, 1, 2)
    if kind == "photos":
        call = F.featurize("content", MODEL)
        copies = copies.crossJoin(broadcast(photo_table))
    else:
        call = F.featurize("text", str(MODELS / "minilm_l6_v2"))
        copies = copies.selectExpr("id", "repeat('many words, ', 60) AS text")
    endless = copies.select("id", call.alias("f"))
    ended: list[BaseException | None] = []

    def work() -> None:
        try:
            endless.write.format("noop").mode("overwrite").save()
            ended.append(None)
        except Exception as error:
            ended.append(error)

    forwarded = support.jvm(spark).io.flambeau.bridge.NativeStats.rowsForwarded
    before = int(forwarded())
    worker = threading.Thread(target=work)
    worker.start()
    wait_until(lambda: int(forwarded()) > before + 50 or not worker.is_alive(), "forward passes run")
    assert worker.is_alive(), f"the query ended by itself: {ended}"
    spark.sparkContext.cancelAllJobs()
    worker.join(DEADLINE_S)
    assert not worker.is_alive(), "the query goes on after it was canceled"
    wait_until(lambda: live_handles(spark) == 0, "the tasks have ended")
    assert "cancel" in str(ended[0]).lower()
    assert int(forwarded()) - before < copies.count(), "it stopped before the end"
