"""Shows each failure when it happens, and what the machine had left: a run is long, and may be ended before its summary."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

MOST_CHARACTERS = 6000
"""Of one failure: its end."""


def left() -> str:
    """What this machine has left. A machine without memory or disk makes tests fail that are right."""
    available = re.search(r"MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text(encoding="utf-8"))
    memory = f"{int(available[1]) >> 10} MiB of memory, " if available else ""
    return f"{memory}{shutil.disk_usage(Path.cwd()).free >> 20} MiB of disk"


class Shown:
    """A plugin of pytest that writes failures to its terminal."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Of a test, or of its fixtures."""
        if report.failed:
            text = report.longreprtext[-MOST_CHARACTERS:]
            self._terminal.write_line(f"\n{report.nodeid}, {report.when}, with {left()} left:\n{text}")
