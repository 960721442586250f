"""Spark Connect: a server started by `spark-submit --jars`, a separate client that has only the Python package.

The client's answers are those of a classic session. (`python/tests/test_in_spark.py` does the same over a server inside the
client's process.)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flambeau import functions as F
from support import MODEL, PACKAGES, PHOTOS, PROGRAMS, ROOT, connect_server, environment, run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """The client program's results from the server."""
    folder = tmp_path_factory.mktemp("connect")
    with connect_server(folder, {"spark.flambeau.udf.vectors_of": f"{PACKAGES}/tiny"}) as address:
        client: list[str | Path] = [sys.executable, PROGRAMS / "connect_client.py", address, PHOTOS.as_uri(), PACKAGES]
        done = run(client, folder, environment(PYTHONPATH=str(ROOT / "python")))
    return json.loads(done.stdout.splitlines()[-1])


def test_photos_get_the_labels_of_a_classic_session(answers: dict[str, Any], photo_table: DataFrame) -> None:
    rows = photo_table.select("file", F.classify("content", MODEL, 1).alias("labels")).collect()
    assert answers["labels"] == {row.file: row.labels[0].label for row in rows}


def test_vectors_get_the_numbers_of_a_classic_session(
    answers: dict[str, Any], spark: SparkSession, vectors: DataFrame
) -> None:
    classic = vectors.where("id < 4").select(
        "id", F.featurize("x", "tiny").alias("f"), F.classify("x", "tiny", 2).alias("l")
    )
    expected = [row.asDict(recursive=True) for row in classic.orderBy("id").collect()]
    assert answers["columns"] == answers["sql"] == expected
    assert answers["named"] == spark.sql("SELECT tiny_features(array(1, 2, 3, 4)) AS f").head(1)[0].f


def test_vectors_are_compared_and_joined_with_the_nearest(answers: dict[str, Any]) -> None:
    """(1, 2, 3, 4) has id 1, (0, 0, 5, 0) has id 3."""
    distance = 5**0.5 * 5**0.5
    assert answers["dot"] == [[25.0], [30.0]]
    assert [row[:3] for row in answers["neighbors"]] == [[11, 1, 1], [11, 3, 2], [13, 3, 1], [13, 1, 2]]
    assert [row[3] for row in answers["neighbors"]] == pytest.approx([0, distance, 0, distance])
    assert answers["duplicates"] == [[3, 1]]


def test_failures_reach_the_client_with_their_condition(answers: dict[str, Any]) -> None:
    condition, text = answers["bad_row"]
    assert "FLAMBEAU_BAD_INPUT" in text and "try_featurize" in text
    assert condition == "FLAMBEAU_BAD_INPUT"
    condition, text = answers["unknown"]
    assert condition == "FLAMBEAU_UNKNOWN_MODEL" and "no_such_model" in text
    assert answers["tried"] is None


def test_files_are_read_by_their_paths(answers: dict[str, Any], photos: dict[str, tuple[str, ...]]) -> None:
    assert answers["read"] == len(photos)
