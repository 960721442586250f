"""A test that hangs is ended with a report of the place, and so is a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hangs
import support

TESTS = Path(__file__).resolve().parent

HANGING = """
import subprocess, hangs
hangs.Watchdog(1).start("test_that_hangs")
left = subprocess.Popen(["sleep", "3600"])
print(left.pid, flush=True)
left.wait()
"""


def test_a_test_that_hangs_is_named_and_leaves_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGING], cwd=TESTS, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == hangs.EXIT_STATUS
    assert "test_that_hangs hangs: it has not ended after 1 s" in done.stderr
    assert "in wait" in done.stderr, "the stack of the thread that waits"
    support.wait_until(lambda: not support.is_running(int(done.stdout)), "what it started has ended")


def test_a_command_that_hangs_is_killed_with_its_jvms_and_says_where_they_were(tmp_path: Path) -> None:
    (tmp_path / "Sleeps.java").write_text(
        "class Sleeps { public static void main(String[] a) throws Exception { Thread.sleep(3_600_000); } }"
    )
    with pytest.raises(AssertionError, match=r"(?s)killed after 20 s.*Sleeps\.main"):
        support.run(["sh", "-c", "java Sleeps.java; exit 1"], cwd=tmp_path, seconds=20)
