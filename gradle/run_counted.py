#!/usr/bin/env python3
"""run_counted.py FOLDER NAME -- COMMAND…: runs a test command, passes its output on, and counts.

Writes "PASSED FAILED" to FOLDER/test-counts/NAME. It reads the closing lines of cargo test and pytest, and lines
"check NAME: passed|failed". A command that fails without having counted a failure (it did not compile, say) counts as one.

Tests of cargo and checks go to FOLDER/test-results/NAME.xml as JUnit XML too; pytest and Gradle write their own.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from xml.etree import ElementTree

CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed")
CARGO_FILE = re.compile(r"^\s+(?:Running (?:unittests )?|Doc-tests )(\S+)")
CARGO_TEST = re.compile(r"^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED)$")
CHECK = re.compile(r"^check (\S+): (passed|failed)$")
STRAGGLERS_S = 5
"""How long processes that a command started may run after it."""
PYTEST = re.compile(r"^(?:=+ )?(?:\d+ \w+, )*\d+ (?:passed|failed|errors?)\b.* in [\d.]+s")


class Report:
    """The counts in a command's output."""

    def __init__(self, name: str) -> None:
        self.passed = self.failed = 0
        self.suite = ElementTree.Element("testsuite", name=name)
        self._file = name

    def read(self, line: str) -> None:
        """Takes one line of output."""
        if match := CARGO.match(line):
            self._count(int(match[1]), int(match[2]))
        elif match := CARGO_FILE.match(line):
            self._file = match[1]
        elif match := CARGO_TEST.match(line):
            self._case(match[1], is_passed=match[2] == "ok")
        elif match := CHECK.match(line):
            is_passed = match[2] == "passed"
            self._count(int(is_passed), int(not is_passed))
            self._case(match[1], is_passed=is_passed)
        elif PYTEST.match(line):
            number = {word.rstrip("s"): int(n) for n, word in re.findall(r"(\d+) (\w+)", line)}
            self._count(number.get("passed", 0), number.get("failed", 0) + number.get("error", 0))

    def ended(self, code: int) -> None:
        """Takes the exit status."""
        if code != 0 and self.failed == 0:
            self.failed = 1
            self._case("the command itself", is_passed=False)

    def write(self, folder: pathlib.Path, name: str) -> None:
        """Writes both files."""
        counts, results = folder / "test-counts" / name, folder / "test-results" / f"{name}.xml"
        for path in (counts, results):
            path.parent.mkdir(parents=True, exist_ok=True)
        counts.write_text(f"{self.passed} {self.failed}")
        cases = list(self.suite)
        if not cases:
            return
        failures = sum(len(case) for case in cases)
        self.suite.attrib.update(tests=str(len(cases)), failures=str(failures))
        ElementTree.indent(self.suite)
        ElementTree.ElementTree(self.suite).write(results, encoding="utf-8", xml_declaration=True)

    def _count(self, passed: int, failed: int) -> None:
        self.passed, self.failed = self.passed + passed, self.failed + failed

    def _case(self, name: str, *, is_passed: bool) -> None:
        case = ElementTree.SubElement(self.suite, "testcase", classname=self._file, name=name)
        if not is_passed:
            ElementTree.SubElement(case, "failure", message="see the output of the command")


def end_with(process: subprocess.Popen[str]) -> None:
    """Kills processes that an ended command left running: they hold the output open, so it would never end."""
    process.wait()
    time.sleep(STRAGGLERS_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def main() -> int:
    if len(sys.argv) < 5 or sys.argv[3] != "--":
        raise SystemExit(__doc__)
    folder, name, _, *command = sys.argv[1:]
    report = Report(name)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True
    ) as process:
        assert process.stdout is not None
        threading.Thread(target=end_with, args=(process,), daemon=True).start()
        for line in process.stdout:
            print(line, end="", flush=True)
            report.read(line.rstrip())
    report.ended(process.returncode)
    report.write(pathlib.Path(folder), name)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
