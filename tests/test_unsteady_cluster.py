"""Tasks that run twice, and executors that leave: every row is there once, with the right numbers."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from standalone import standalone
from support import PACKAGES, PROGRAMS, ROOT, environment, run


@pytest.fixture
def result(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """What `programs/unsteady_job.py` says; no executor may have crashed."""
    with standalone(tmp_path) as master:
        program, events = PROGRAMS / "unsteady_job.py", tmp_path / "events"
        command: list[str | Path] = [sys.executable, program, request.param, master, PACKAGES / "tiny", events]
        done = run(command, tmp_path, environment(PYTHONPATH=str(ROOT / "python")))
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert not list(tmp_path.rglob("hs_err*")), "a JVM crashed"
    assert (found["rows"], found["ids"], found["equal"]) == (4000, 4000, 4000)
    return found


@pytest.mark.parametrize("result", ["speculation"], indirect=True)
def test_a_task_that_runs_twice_counts_once(result: dict[str, Any]) -> None:
    assert result["speculative"] >= 1 and "TaskKilled" in result["reasons"], result


@pytest.mark.parametrize("result", ["decommission"], indirect=True)
def test_an_executor_may_leave_in_the_middle_of_a_query(result: dict[str, Any], tmp_path: Path) -> None:
    # It did a part of the first stage, and nothing after it.
    assert 0 < result["tasks of 0"] < 14, result
    [log] = tmp_path.glob("workers/app-*/0/stderr")
    text = log.read_text(errors="replace")
    assert "Decommission executor 0" in text and re.search(r"Need to replicate [1-9]\d* RDD blocks", text), text[-4000:]
