"""What gradle/run_counted.py counts, and the report that it writes for programs that read JUnit XML."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import support

ROOT = Path(__file__).resolve().parent.parent
LINES = """\
     Running tests/engines.rs (target/release/deps/engines-1)
test one ... ok
test two ... FAILED
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out
check ruff: passed
3 passed, 1 warning in 2.10s
"""


def run(folder: Path, script: str) -> int:
    command = [sys.executable, str(ROOT / "gradle" / "run_counted.py"), str(folder), "all", "--", "sh", "-c", script]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_lines_of_every_tool_are_counted(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text(LINES, encoding="utf-8")
    assert run(tmp_path, f"cat {tmp_path}/lines; exit 101") == 101
    assert (tmp_path / "test-counts" / "all").read_text(encoding="utf-8") == "5 1"
    suite = ElementTree.parse(tmp_path / "test-results" / "all.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    cases = [(case.get("classname"), case.get("name"), len(case)) for case in suite]
    assert cases == [("tests/engines.rs", "one", 0), ("tests/engines.rs", "two", 1), ("tests/engines.rs", "ruff", 0)]


def test_a_command_that_fails_by_itself_is_one_failure(tmp_path: Path) -> None:
    assert run(tmp_path, "exit 3") == 3
    assert (tmp_path / "test-counts" / "all").read_text(encoding="utf-8") == "0 1"
    assert "the command itself" in (tmp_path / "test-results" / "all.xml").read_text(encoding="utf-8")


def test_what_a_command_leaves_running_does_not_hold_it_up(tmp_path: Path) -> None:
    assert run(tmp_path, f"sleep 3600 & echo $! > {tmp_path}/left; echo 'check all: passed'") == 0
    assert (tmp_path / "test-counts" / "all").read_text(encoding="utf-8") == "1 0"
    left = int((tmp_path / "left").read_text(encoding="utf-8"))
    support.wait_until(lambda: not support.is_running(left), "it is killed")
