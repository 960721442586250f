"""Fixtures of the end-to-end tests: one PySpark session for all that can share one, and real photos as a table."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).resolve().parent))
import failures
import hangs
import lines
import support

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


WATCHDOG = hangs.Watchdog()

LACKING: dict[str, str] = {}
"""Test -> why this line of Spark cannot run it."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """On another line than the default one: what does not depend on the line."""
    is_test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if is_test and support.is_other_line() and collection_path.name not in lines.FILES else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what this line lacks."""
    for item in items:
        if support.is_other_line() and (why := lines.reason(support.LINE, item.nodeid.rpartition("/")[2])):
            LACKING[item.nodeid] = why
    left_out = [item for item in items if item.nodeid in LACKING]
    items[:] = [item for item in items if item.nodeid not in LACKING]
    config.hook.pytest_deselected(items=left_out)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says what was left out."""
    if support.is_other_line():
        terminalreporter.section(f"Spark {support.SPARK_VERSION} lacks")
        for test, why in LACKING.items():
            terminalreporter.line(f"{test}: {why}")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Only the process that prints has a terminal, not those that run the tests beside one another."""
    plugins = session.config.pluginmanager
    terminal = plugins.get_plugin("terminalreporter")
    if terminal is not None:
        plugins.register(failures.Shown(terminal))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Every test has a deadline."""
    WATCHDOG.start(item.nodeid)
    try:
        return (yield)
    finally:
        WATCHDOG.stop()


@pytest.fixture(scope="session")
def photos() -> dict[str, tuple[str, ...]]:
    """File name -> the labels that are right for it; the files are in `support.PHOTOS`."""
    import photos as demo_photos

    # Another process may run tests too.
    with FileLock(f"{support.PHOTOS}.lock"):
        return {photo.file: photo.expected for photo in demo_photos.provide(support.PHOTOS)}


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session as the README makes it: `local[2]`, both jars, libtorch from its jar, and the UI for its REST API."""
    from pyspark.sql import SparkSession

    import flambeau

    for name in [name for name in os.environ if name.startswith(support.OURS) and name != "FLAMBEAU_JARS"]:
        kept = (
            "PYTHONPATH",
            "FLAMBEAU_TEST_CLASSES",
            "FLAMBEAU_AUDIO_REFERENCE",
            "FLAMBEAU_DOWNLOADS",
        )
        if name not in kept:
            del os.environ[name]
    os.environ["PYSPARK_PYTHON"] = sys.executable
    folder = tmp_path_factory.mktemp("session")
    builder = SparkSession.builder.master("local[2]").appName("flambeau end to end")
    builder = flambeau.configure(builder)
    for key, value in {
        "spark.flambeau.models.path": str(support.PACKAGES),
        "spark.flambeau.udf.tiny_features": "tiny",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "local"),
        "spark.ui.enabled": "true",
        "spark.ui.port": str(support.free_port()),
        "spark.ui.showConsoleProgress": "false",
        "spark.task.maxFailures": "1",
    }.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture
def photo_table(spark: SparkSession, photos: dict[str, tuple[str, ...]]) -> DataFrame:
    """`file` and `content` of every photo."""
    files = spark.read.format("binaryFile").load(support.PHOTOS.as_uri())
    return files.selectExpr("regexp_extract(path, '[^/]+$', 0) AS file", "content")


@pytest.fixture
def vectors(spark: SparkSession) -> DataFrame:
    """Rows for the package `tiny`: right, NULL, right, and one that is too short."""
    rows = [(1, [1.0, 2.0, 3.0, 4.0]), (2, None), (3, [0.0, 0.0, 5.0, 0.0]), (4, [1.0])]
    return spark.createDataFrame(rows, "id int, x array<float>")
