"""The functions of tasks over Spark Connect give what they give in a classic session, as Columns and in SQL. Random weights."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import transformers as hf

import connect_tasks
import library_detectors
import library_pairs
import support
from flambeau.export import libraries
from library_models import LICENSE
from library_pairs import NAMES, NLI
from test_detect import SIZE
from test_transcribe import NETWORKS, TURNS, saved

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def packaged(folder: Path) -> Path:
    """A folder with a package for each function, by its name."""
    packages = folder / "packages"
    for name, kind, options in (
        ("rerank", "SequenceClassification", {"num_labels": 1}),
        ("entities", "TokenClassification", {"id2label": NAMES}),
        ("answer", "QuestionAnswering", {}),
        ("zero_shot", "SequenceClassification", {"id2label": NLI}),
    ):
        library_pairs.saved(folder / name, "Bert", kind, **options)
        pair = name in ("rerank", "zero_shot")
        libraries.from_transformers(str(folder / name), packages / name, quiet=True, pair=pair)
    processor = hf.YolosImageProcessorPil(size=SIZE)
    libraries.from_transformers(
        library_detectors.yolos(), packages / "detect", processor=processor, name="detect", **LICENSE
    )
    saved("Wav2Vec2ForCTC", folder / "speech", **NETWORKS["Wav2Vec2ForCTC"])
    libraries.from_transformers(str(folder / "speech"), packages / "transcribe", **LICENSE)
    return packages


def test_tasks_over_connect(spark: SparkSession, tmp_path: Path, photos: dict[str, tuple[str, ...]]) -> None:
    packages = packaged(tmp_path)
    for name, files in (("photos", [support.PHOTOS / file for file in sorted(photos)[:3]]), ("sounds", TURNS[:2])):
        (tmp_path / name).mkdir()
        for file in files:
            shutil.copy(file, tmp_path / name)
    rows = [(tmp_path / "photos").as_uri(), (tmp_path / "sounds").as_uri()]
    with support.connect_server(tmp_path, {}) as address:
        client: list[str | Path] = [sys.executable, Path(connect_tasks.__file__), address, packages, *rows]
        done = support.run(client, tmp_path, support.environment(PYTHONPATH=str(support.ROOT / "python")))
    found = json.loads(done.stdout.splitlines()[-1])
    expected = connect_tasks.results(spark, packages, *rows)
    assert found == json.loads(json.dumps(expected))
    assert all(column == sql for calls in found.values() for column, sql in calls)
    assert {name: len(calls) for name, calls in found.items()} == {
        "rerank": 4,
        "entities": 4,
        "answer": 4,
        "zero_shot": 4,
        "detect": 3,
        "transcribe": 2,
    }
    assert [calls[-1][0] for calls in (found["rerank"], found["answer"])] == [None, None]
    assert all(box for box, _ in found["detect"]) and all(said["words"] for said, _ in found["transcribe"])
