"""What the arms of all frameworks share: how many cores and rows a batch, the family's work, and timed passes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "python"), str(HERE)]
import harness

CORES = 2
PARTITIONS = {"images": 8, "text": 4, "audio": 8}
BATCH = {"images": 64, "text": 1024, "audio": 16}
"""Rows of one batch in a Python worker, for every framework."""


def worker(family: str, network: str, runtime: str) -> Callable[[Sequence[Any]], np.ndarray]:
    """The family's work, in whatever process this is called."""
    for folder in (ROOT / "models", ROOT / "tests" / "parity", HERE, HERE / family):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    import work

    return work.worker(network, runtime)


class Timed:
    """Passes, and their times."""

    def __init__(self, rows: int, passes: int) -> None:
        self.rows, self.passes = rows, passes
        self.rates: list[float] = []
        self.busy: list[float] = []

    def run(self, once: Callable[[], object]) -> None:
        """Every timed pass."""
        for _ in range(self.passes):
            started, used = time.perf_counter(), harness.cpu_seconds()
            once()
            self._add(self.rows, time.perf_counter() - started, harness.cpu_seconds() - used)

    def run_beyond(self, once: Callable[[], object], thrice: Callable[[], object]) -> None:
        """Timed passes of a system that loads again for each: the time for three times the rows minus the time for the rows."""
        for _ in range(self.passes):
            spent = []
            for query in (once, thrice):
                started, used = time.perf_counter(), harness.cpu_seconds()
                query()
                spent.append((time.perf_counter() - started, harness.cpu_seconds() - used))
            self._add(2 * self.rows, spent[1][0] - spent[0][0], spent[1][1] - spent[0][1])

    def _add(self, rows: int, seconds: float, cpu_seconds: float) -> None:
        self.rates.append(round(rows / seconds, 2))
        self.busy.append(round(rows / max(1e-3, cpu_seconds), 2))
