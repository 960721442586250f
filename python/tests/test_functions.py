"""`flambeau.functions` builds the documented calls, in classic PySpark and over Connect.

Columns are built and read as text, before any analysis: no model is needed. What the calls do is tested end to end under
`tests/`; the errors of a session without Flambeau are in `tests/test_setup.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql.functions import col

import flambeau
from flambeau import functions as F

CALLS = [
    (lambda: F.featurize("content", "net"), "featurize(content, 'net')"),
    (lambda: F.featurize(col("content"), Path("/models/net")), "featurize(content, '/models/net')"),
    (lambda: F.try_featurize("p.content", "net"), "try_featurize(p.content, 'net')"),
    (lambda: F.classify("content", "net"), "classify(content, 'net', 5)"),
    (lambda: F.classify("content", "net", k=3), "classify(content, 'net', 3)"),
    (lambda: F.try_classify(col("content"), "net", 1), "try_classify(content, 'net', 1)"),
    (lambda: F.infer("net", "a", col("b")), "infer('net', a, b)"),
    (lambda: F.try_infer("net", "a"), "try_infer('net', a)"),
    (lambda: F.detect("photo", "net"), "detect(photo, 'net', 0.5)"),
    (lambda: F.try_detect("photo", "net", 0.9), "try_detect(photo, 'net', 0.9)"),
    (lambda: F.segment("photo", "net"), "segment(photo, 'net')"),
    (lambda: F.try_segment("photo", "net"), "try_segment(photo, 'net')"),
    (lambda: F.transcribe("sound", "net"), "transcribe(sound, 'net')"),
    (lambda: F.try_transcribe("sound", "net"), "try_transcribe(sound, 'net')"),
    (lambda: F.rerank("q", col("t"), "net"), "rerank(q, t, 'net')"),
    (lambda: F.try_rerank("q", "t", "net"), "try_rerank(q, t, 'net')"),
    (lambda: F.entities("t", "net"), "entities(t, 'net')"),
    (lambda: F.try_entities("t", "net"), "try_entities(t, 'net')"),
    (lambda: F.answer("q", "t", "net"), "answer(q, t, 'net')"),
    (lambda: F.try_answer("q", "t", "net"), "try_answer(q, t, 'net')"),
    (lambda: F.read_bytes("path"), "read_bytes(path)"),
    (lambda: F.try_read_bytes(col("path")), "try_read_bytes(path)"),
]


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    """A classic session."""
    builder = flambeau.configure(SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false"))
    session = (
        builder.config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1").getOrCreate()
    )
    yield session
    session.stop()


@pytest.mark.parametrize(("make", "text"), CALLS)
def test_classic_calls(spark: SparkSession, make: Callable[[], Any], text: str) -> None:
    assert str(make()) == f"Column<'{text}'>"


@pytest.mark.parametrize(("make", "text"), CALLS)
def test_connect_calls(monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any], text: str) -> None:
    monkeypatch.setenv("SPARK_CONNECT_MODE_ENABLED", "1")
    column = make()
    assert type(column).__module__ == "pyspark.sql.connect.column"
    name, _, rest = text.partition("(")
    expression = column._expr
    assert expression._name == name
    assert len(expression._args) == rest.count(",") + 1


def test_analysis_looks_the_model_up(spark: SparkSession) -> None:
    with pytest.raises(AnalysisException, match=r"FLAMBEAU_UNKNOWN_MODEL.*there is no model 'net'"):
        spark.range(1).select(F.featurize("id", "net"))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: F.featurize("content", None), TypeError, "must be a name, path or URI"),  # type: ignore[arg-type]  # refused
        (lambda: F.featurize("content", 3), TypeError, "not int"),  # type: ignore[arg-type]  # refused
        (lambda: F.featurize("content", " "), ValueError, "must be a name, path or URI"),
        (lambda: F.featurize("content", b"net"), TypeError, "not bytes"),  # type: ignore[arg-type]  # refused
        (lambda: F.featurize(3, "net"), TypeError, "Column or the name of one, not int"),  # type: ignore[arg-type]  # refused
        (lambda: F.classify("content", "net", 0), ValueError, "at least 1"),
        (lambda: F.classify("content", "net", True), ValueError, "at least 1"),
        (lambda: F.classify("content", "net", 2**31), ValueError, "below 2"),
        (lambda: F.classify("content", "net", "3"), ValueError, "whole number"),  # type: ignore[arg-type]  # refused
        (lambda: F.detect("photo", "net", 1.5), ValueError, "from 0 to 1"),
        (lambda: F.try_infer("net", None), TypeError, "not NoneType"),  # type: ignore[arg-type]  # refused
        (lambda: F.infer("net"), TypeError, "needs the model's inputs"),
    ],
)
def test_mistakes(spark: SparkSession, make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
