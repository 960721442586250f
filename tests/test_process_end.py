"""A process that ends while tasks run in libtorch ends as it was told to, and not as a crash."""

from __future__ import annotations

import sys
from pathlib import Path

from support import MODELS, PROGRAMS, ROOT, environment, run


def test_a_driver_that_ends_in_the_middle_of_a_query_does_not_crash(tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, PROGRAMS / "ending_job.py", MODELS / "minilm_l6_v2"]
    done = run(command, tmp_path, environment(PYTHONPATH=str(ROOT / "python")))
    assert done.stdout.splitlines()[-1] == "3", done.stdout + done.stderr
    assert not list(tmp_path.glob("hs_err*")), "the JVM reported a crash"
