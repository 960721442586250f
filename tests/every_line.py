"""The same program on every line of Spark that a jar is built for, with the same results: `./gradlew testAllLines`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from support import PACKAGES, PHOTOS, PROGRAMS, ROOT, environment, run

LIBRARIES = ROOT / "build" / "libs"
PROPERTIES = (ROOT / "gradle.properties").read_text(encoding="utf-8")
LINES = dict(re.findall(r"^sparkLine\.([\d.]+)=(\S+)", PROPERTIES, re.MULTILINE))


def jars(line: str) -> str:
    found = [*LIBRARIES.glob(f"flambeau-spark{line}_2.13-*.jar"), *LIBRARIES.glob("flambeau-libtorch-*.jar")]
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
    assert len(found["labels"]) == len(photos) == found["streamed"] and found["right"] > 500
    assert found["unknown"] == "FLAMBEAU_UNKNOWN_MODEL 42704" and found["broken"] == "FLAMBEAU_BAD_INPUT 22000"
    return found


@pytest.mark.parametrize("line", LINES)
def test_a_line_gives_what_the_default_one_gives(line: str, expected: dict[str, Any], tmp_path: Path) -> None:
    home = ROOT / ".spark" / LINES[line]
    path = f"{home / 'python'}:{ROOT / 'python'}"
    found = job(tmp_path, PYTHONPATH=path, SPARK_HOME=str(home), FLAMBEAU_JARS=jars(line))
    assert found.pop("spark") == LINES[line]
    assert found == {key: value for key, value in expected.items() if key != "spark"}


def test_the_jar_of_another_line_says_which_one_to_use(tmp_path: Path) -> None:
    first, last = sorted(LINES)[0], sorted(LINES)[-1]
    home = ROOT / ".spark" / LINES[last]
    env = environment(
        PYTHONPATH=f"{home / 'python'}:{ROOT / 'python'}", SPARK_HOME=str(home), FLAMBEAU_JARS=jars(first)
    )
    with pytest.raises(
        AssertionError, match=f"made for Spark {first}.x.*this is Spark {LINES[last]}: use flambeau-spark{last}_2.13"
    ):
        run([sys.executable, PROGRAMS / "line_job.py", PHOTOS, PACKAGES, tmp_path], cwd=tmp_path, env=env)
