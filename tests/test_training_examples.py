"""The training examples run as a newcomer runs them, and learn what they claim."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from support import ROOT, environment, run


def example(name: str, folder: Path, *arguments: str | Path, **variables: str) -> dict[str, Any]:
    """The figures that an example prints."""
    command = [sys.executable, ROOT / "examples" / f"{name}.py", *arguments]
    printed = run(command, folder, environment(PYTHONPATH=str(ROOT / "python"), **variables)).stdout.splitlines()
    return json.loads(next(line for line in printed if line.startswith("{")))


def test_transfer_learning_on_real_photos(tmp_path: Path) -> None:
    figures = example("transfer_learning", tmp_path, "--out", tmp_path, "--workers", "2")
    assert figures["photos"] + figures["held"] == 455
    assert figures["accuracy"] >= 0.74 and figures["sql_accuracy"] == figures["accuracy"]
    assert figures["loss"][-1] < 0.1 < figures["loss"][0]


def test_regression_on_a_real_table(tmp_path: Path) -> None:
    figures = example("regression", tmp_path)
    assert figures["cars"] + figures["held"] == 392
    assert figures["network"] < 3.5 and figures["linear"] < 4 < figures["mean"]


def test_fine_tuning_beside_a_head_alone(tmp_path: Path) -> None:
    # Its model of 18 MB comes to the driver, but not as a task's result.
    small = {"PYSPARK_SUBMIT_ARGS": "--conf spark.driver.maxResultSize=8m pyspark-shell"}
    figures = example("fine_tuning", tmp_path, "--out", tmp_path, "--epochs", "1", **small)
    assert all(way["accuracy"] > 0.5 for way in figures.values())


def test_a_text_classifier_over_definitions(tmp_path: Path) -> None:
    figures = example("text_classes", tmp_path)
    assert figures["held"] == 700 and figures["accuracy"] > 0.88


def test_a_speaker_classifier_over_meetings(tmp_path: Path) -> None:
    figures = example("speakers", tmp_path)
    assert figures["speakers"] == 13 and figures["accuracy"] > 0.6 and figures["majority"] < 0.3
