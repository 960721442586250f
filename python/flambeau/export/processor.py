"""The processor of this machine: what a variant needs of it, and what it has."""

from __future__ import annotations

from pathlib import Path


def features() -> set[str]:
    """This processor's features, by Linux' names; none on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return set(flags.split())
