"""Ends a test that hangs, and reports where it hung.

A watchdog thread watches the running test. After a deadline that is far above the time of any good test, it prints the
stacks of this Python and of every JVM below it. Then it kills the processes that this one started, and ends this
process: a session whose tasks never end would make every later test hang as well.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

DEADLINE_S = 1500
"""How long one test, with its fixtures, may last."""

EXIT_STATUS = 70


def descendants(process: int) -> list[int]:
    """The processes below one, the nearest first."""
    found = [process]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, children.read_text().split())
    return found[1:]


def stacks_below(process: int) -> str:
    """The stacks of every JVM at and below a process, as `jstack` prints them."""
    texts = []
    for one in [process, *descendants(process)]:
        with contextlib.suppress(OSError):
            executable = Path(f"/proc/{one}/exe").resolve()
            if executable.name == "java":
                texts.append(f"--- JVM {one} ---\n{_stacks(one, executable.with_name('jstack'))}")
    return "\n".join(texts)


def _stacks(process: int, jstack: Path) -> str:
    try:
        done = subprocess.run(
            [jstack if jstack.exists() else "jstack", str(process)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as cause:
        return f"no stacks: {cause}"
    return done.stdout + done.stderr


class Watchdog:
    """Looks after one test at a time."""

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        # Pytest replaces descriptor 2 by a file.
        self._stderr = os.fdopen(os.dup(2), "w", buffering=1)
        self._timer: threading.Timer | None = None

    def start(self, test: str) -> None:
        """A test begins."""
        self.stop()
        self._timer = threading.Timer(self._deadline_s, self._bark, [test])
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """It has ended."""
        if self._timer is not None:
            self._timer.cancel()

    def _bark(self, test: str) -> None:
        print(f"\n{test} hangs: it has not ended after {self._deadline_s} s", file=self._stderr)
        print(stacks_below(os.getpid()), file=self._stderr)
        faulthandler.dump_traceback(self._stderr)
        for process in reversed(descendants(os.getpid())):
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        sys.stdout.flush()
        os._exit(EXIT_STATUS)
