"""Programs that try to crash their executor: each fails its own query with its own condition, and the process runs the next.

They run in a separate process, which they try to end. A program that never ends cannot be stopped from inside. Spark's
task reaper ends its executor, as described in docs/errors.md; the last test shows that.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import COMMAND_DEADLINE_S, PACKAGES, PROGRAMS, ROOT, environment, executor_logs, run, spark_home

sys.path.insert(0, str(ROOT / "tests" / "fixtures"))
import hostile_programs as hostile

DIVISION = ("FLAMBEAU_BAD_INPUT", "an integer division has no result")
DEEP_CODE = ("FLAMBEAU_BAD_MODEL", "nests too deep to be compiled safely")
DEEP_DATA = ("FLAMBEAU_BAD_MODEL", "nests too deep to be loaded safely")

REFUSED = {
    "floor_division": DIVISION,
    "remainder": DIVISION,
    "remainder_by_zero": DIVISION,
    "greatest_divisor": DIVISION,
    "int32_tensors": DIVISION,
    "folded_at_load": ("FLAMBEAU_BAD_MODEL", "an integer division has no result"),
    "zero_tensors": ("FLAMBEAU_BAD_INPUT", "ZeroDivisionError"),
    "parentheses": DEEP_CODE,
    "signs": DEEP_CODE,
    "negations": DEEP_CODE,
    "lists": DEEP_CODE,
    "sums": DEEP_CODE,
    "calls": DEEP_CODE,
    "types": DEEP_CODE,
    "blocks": ("FLAMBEAU_BAD_MODEL", "blocks within one another"),
    "nested_data": DEEP_DATA,
    "nested_tuples": DEEP_DATA,
    "data_in_itself": ("FLAMBEAU_BAD_MODEL", "a value is put into itself"),
    "record_twice": ("FLAMBEAU_BAD_MODEL", "twice"),
    "old_format": ("FLAMBEAU_BAD_MODEL", "PyTorch 1.3 or older"),
    "code_of_300_mb": ("FLAMBEAU_BAD_MODEL", "at most 256 MiB"),
    "cut_off": ("FLAMBEAU_BAD_MODEL", "cannot be loaded as TorchScript"),
    "recursion": ("FLAMBEAU_BAD_MODEL", "recursive"),
    "hundred_gigabytes": ("FLAMBEAU_OUT_OF_MEMORY", "not enough memory"),
    "product_overflows": ("FLAMBEAU_BAD_INPUT", "overflow"),
    "writes_a_file": ("FLAMBEAU_BAD_MODEL", "the program calls save"),
    "reads_a_file": ("FLAMBEAU_BAD_MODEL", "the program calls from_file"),
    "wrong_shape": ("FLAMBEAU_BAD_MODEL", "has shape [1, 3]"),
    "wrong_rows": ("FLAMBEAU_BAD_MODEL", "has shape [2, 4]"),
    "complex": ("FLAMBEAU_BAD_MODEL", "ComplexFloat"),
    "quantized": ("FLAMBEAU_BAD_MODEL", "QInt8"),
    "meta": ("FLAMBEAU_BAD_INPUT", "meta"),
    "fraction_for_whole": ("FLAMBEAU_BAD_MODEL", "model.toml declares I64"),
    "shape_overflows": ("FLAMBEAU_BAD_MODEL", "a row has less than 2^31 values"),
    "raises": ("FLAMBEAU_BAD_INPUT", "not today"),
}

ANSWERED = {
    "int64_tensors": [1.0, 2.0, 3.0, 4.0],
    "sparse": [2.0, 3.0, 4.0, 5.0],
    "chain_of_operators": [3001.0, 3002.0, 3003.0, 3004.0],
    "chain_of_methods": [2.0, 3.0, 4.0, 5.0],
}

MUTANTS = [f"mutant{number}" for number in range(int(os.environ.get("FLAMBEAU_MUTANTS", "60")))]
"""A longer run has more of them, and begins with the same."""

FILE = Path("/tmp/flambeau-hostile-file")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package for each program."""
    folder = tmp_path_factory.mktemp("hostile")
    for name in [*hostile.PROGRAMS, *MUTANTS]:
        hostile.make(name, folder / name)
    return folder


@pytest.fixture(scope="module")
def answers(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The results of one process for all of them; it must not end before the last."""
    FILE.unlink(missing_ok=True)
    names = [*REFUSED, *ANSWERED, "nan", *MUTANTS]
    command: list[str | Path] = [sys.executable, PROGRAMS / "hostile_job.py", packages, PACKAGES / "tiny", *names]
    variables = environment(PYTHONPATH=str(ROOT / "python"))
    done = subprocess.run(
        [str(part) for part in command],
        cwd=tmp_path_factory.mktemp("job"),
        env=variables,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=COMMAND_DEADLINE_S + len(MUTANTS),
        check=False,
    )
    found = {answer["name"]: answer for answer in map(json.loads, done.stdout.splitlines())}
    assert list(found) == names, (
        f"the process ended (exit {done.returncode}) after {list(found)[-1:]}\n{done.stderr[-4000:]}"
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return found


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_program_fails_its_query_only(answers: dict[str, dict[str, Any]], name: str) -> None:
    condition, part = REFUSED[name]
    answer = answers[name]
    assert answer.get("condition") == condition, answer
    assert part in answer["message"] and name in answer["message"]
    assert answer["right"] == [2.0, 4.0, 6.0]


@pytest.mark.parametrize("name", ANSWERED)
def test_an_odd_program_is_answered_right(answers: dict[str, dict[str, Any]], name: str) -> None:
    assert answers[name].get("value") == ANSWERED[name], answers[name]
    assert answers[name]["right"] == [2.0, 4.0, 6.0]


def test_nan_is_an_answer(answers: dict[str, dict[str, Any]]) -> None:
    assert all(math.isnan(value) for value in answers["nan"]["value"])


def test_mutated_programs_are_answered_or_refused(answers: dict[str, dict[str, Any]]) -> None:
    """With a condition that is not a bug in Flambeau; most do not load, some still work."""
    found = [answers[name].get("condition") for name in MUTANTS]
    assert set(found) <= {None, "FLAMBEAU_BAD_INPUT", "FLAMBEAU_BAD_MODEL", "FLAMBEAU_NATIVE"}, found
    assert found.count("FLAMBEAU_BAD_MODEL") > len(MUTANTS) / 3
    for name in MUTANTS:
        assert "value" in answers[name] or "Please report" not in answers[name]["message"], answers[name]


def test_no_program_wrote_a_file(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["writes_a_file"] and not FILE.exists()


def test_the_task_reaper_contains_a_program_that_never_ends(packages: Path, tmp_path: Path) -> None:
    """As docs/errors.md says: the executor is killed, and a new one runs the next query."""
    home = spark_home(tmp_path)
    variables = environment(SPARK_HOME=str(home), PYTHONPATH=str(ROOT / "python"))
    command: list[str | Path] = [
        sys.executable,
        PROGRAMS / "endless_job.py",
        packages / "endless_loop",
        PACKAGES / "tiny",
    ]
    done = run(command, tmp_path, variables)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["canceled"] and answer["next"] == [2.0, 4.0, 6.0]
    assert len(executor_logs(home)) == 2, "the executor that ran the loop, and the one that came after"
