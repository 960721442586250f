"""The Python functions in real sessions: needs the built jars and `build/test-packages` (Gradle: `pythonJars`, `testModels`)."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT

PACKAGES = ROOT / "build" / "test-packages"


def use_functions(kind: str) -> dict[str, Any]:
    """Runs the user's program in a process of its own and returns what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYSPARK_PYTHON": sys.executable}
    program = Path(__file__).with_name("use_functions.py")
    done = subprocess.run(
        [sys.executable, str(program), kind, str(PACKAGES)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", ["classic", "connect"])
def test_the_functions_give_the_models_numbers(kind: str) -> None:
    result = use_functions(kind)
    label = "array<struct<label:string,index:int,probability:float>>"
    assert result["schema"] == (
        f"struct<id:int,features:array<float>,labels:{label},tried:{label},all:struct<features:array<float>,logits:array<float>>>"
    )
    first, second = result["rows"]
    assert first["features"] == [2, 4, 6]
    assert first["all"] == {"features": [2, 4, 6], "logits": [2, 3, 4]}
    total = sum(math.exp(score) for score in (2, 3, 4))
    assert [(entry["label"], entry["index"]) for entry in first["tried"]] == [("c", 2), ("b", 1), ("a", 0)]
    assert [entry["probability"] for entry in first["tried"]] == pytest.approx(
        [math.exp(score) / total for score in (4, 3, 2)], rel=1e-5
    )
    assert first["labels"] == first["tried"][:2]
    assert second == {"id": 2, "features": None, "labels": None, "tried": None, "all": None}


def test_a_jvm_without_the_jars_is_said_to_be_one() -> None:
    program = """
from pyspark.sql import SparkSession
import flambeau
SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate().stop()
try:
    flambeau.configure(SparkSession.builder)
except flambeau.FlambeauError as error:
    print(error)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert "JVM is already running without the Flambeau jars" in done.stdout
