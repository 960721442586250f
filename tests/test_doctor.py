"""`flambeau.doctor` and `python -m flambeau doctor`: what they say where all is well, and where something is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import flambeau
import support

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_a_session_that_works(spark: SparkSession) -> None:
    report = flambeau.doctor(spark)
    assert report.ok, report
    text = str(report)
    assert "libtorch 2.13.0" in text and "runs with the engine" in text and text.endswith("Flambeau works here.")


def test_a_model_that_does_not_exist(spark: SparkSession) -> None:
    report = flambeau.doctor(spark, model="no_such_model")
    assert not report.ok
    assert "no_such_model" in (report.checks[-1].problem or "")


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flambeau", "doctor", *arguments],
        env=support.environment(PYTHONPATH=str(support.ROOT / "python"), **environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_two_executors_from_the_command_line() -> None:
    done = command("--master", "local-cluster[2,1,1024]")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [sum(line.startswith(f"ok       executor {i} on ") for line in lines) for i in (0, 1)] == [2, 2], done.stdout
    assert lines[-2] == "ok       executors: 2, 2 tasks at the same time"


def test_what_is_wrong_with_a_machine(tmp_path: Path) -> None:
    done = command(JAVA_HOME=str(tmp_path), FLAMBEAU_JARS=str(tmp_path / "none.jar"))
    assert done.returncode == 1
    assert f"PROBLEM  Java: JAVA_HOME={tmp_path} has no bin/java. Install Java 17 or 21" in done.stdout
    assert "PROBLEM  jars: FLAMBEAU_JARS names jars that do not exist" in done.stdout
    assert done.stdout.endswith("2 problems.\n")
