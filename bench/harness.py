"""Shared by all benchmarks: an arm in its own process, the machine that it ran on, results saved by version.

`run_arm` starts a program and reads the last line that it prints as JSON; `in_turns` does so for several arms, round after
round, so that a busy minute hits all of them. `TUNED` is glibc's malloc as Flambeau sets it for itself; Python arms run with
and without. `cosines` compares results before speed is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
TUNED = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 32)}


def describe() -> dict[str, object]:
    """Processor, cores, memory in GiB, versions, and the commit that was measured."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    field = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in info.splitlines())}
    flags = field.get("flags", "").split()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "cpu": f"{field.get('model name', 'unknown')} (family {field.get('cpu family')}, model {field.get('model')})",
        "cores": os.cpu_count(),
        "features": [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags],
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "os": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "commit": commit.stdout.strip(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
    }


def surroundings() -> dict[str, str]:
    """This shell's environment for an arm. OpenBLAS chooses its kernels itself, as it does for users: a setting of
    this shell could slow an arm down."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}


def run_arm(command: Sequence[object], limit_s: float | None = None, **environment: str) -> dict[str, Any]:
    """Runs `command` to its end and returns the last line of its output, which is JSON; ends the program if it fails.

    After `limit_s` seconds it is killed with all processes that it started, and TimeoutError is raised.
    """
    env = {**surroundings(), "PYTHONPATH": str(ROOT / "python"), "PYSPARK_PYTHON": sys.executable, **environment}
    words = [str(part) for part in command]
    process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        # By id, since Spark's Python workers and torchrun leave the process group.
        for started in family(process.pid, parents()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(started, signal.SIGKILL)
        process.communicate()
        raise TimeoutError(f"{' '.join(words)} did not end within {limit_s} s") from None
    lines = output.strip().splitlines()
    if process.returncode != 0 or not lines:
        sys.exit(f"bench: {' '.join(words)} failed\n{errors[-4000:]}")
    print(f"    {lines[-1]}", flush=True)
    return json.loads(lines[-1])


def rounds(description: str | None) -> int:
    """The command line of a benchmark: how many rounds."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="how often every arm has its turn (default: 2)")
    return max(1, parser.parse_args().rounds)


def in_turns(arms: Mapping[str, Callable[[], dict[str, Any]]], times: int, unit: str) -> list[dict[str, Any]]:
    """Runs every arm once in each round and joins its output: its rates (`<unit>_per_s`, and `<unit>_per_cpu_s`, rows a second of
    processor time) of all rounds, and the best of each. `arms`: name -> a function that runs it, in a new process each time.
    """
    joined: dict[str, dict[str, Any]] = {}
    for number in range(1, times + 1):
        for name, start in arms.items():
            print(f"  round {number}, {name} ...", flush=True)
            line = start()
            rates = {key: line.pop(key) for key in (f"{unit}_per_s", f"{unit}_per_cpu_s")}
            arm = joined.setdefault(name, {**line, "arm": name, **{key: [] for key in rates}})
            for key, values in rates.items():
                arm[key] += values
                arm["best_per_cpu_s" if "cpu" in key else "best"] = max(arm[key])
    return list(joined.values())


def times_faster(arms: list[dict[str, Any]], ours: str) -> dict[str, dict[str, float]]:
    """How many times faster the arm `ours` is than every other, by the clock and by processor time."""
    (mine,) = (arm for arm in arms if arm["arm"] == ours)
    return {
        arm["arm"]: {
            "wall": round(mine["best"] / arm["best"], 2),
            "cpu": round(mine["best_per_cpu_s"] / arm["best_per_cpu_s"], 2),
        }
        for arm in arms
        if arm is not mine
    }


def print_arms(arms: list[dict[str, Any]], ours: str, unit: str) -> None:
    """A table of all arms, and how many times faster the arm `ours` is."""
    faster = times_faster(arms, ours)
    print(f"\n{'arm':36} {unit + '/s':>9} {'faster':>8} {unit + '/CPU s':>13} {'faster':>8}")
    for arm in arms:
        times = faster.get(arm["arm"], {"wall": 1.0, "cpu": 1.0})
        print(
            f"{arm['arm']:36} {arm['best']:9.1f} {times['wall']:7.2f}x {arm['best_per_cpu_s']:13.1f} {times['cpu']:7.2f}x"
        )


def print_floors(reached: Mapping[str, Mapping[str, float]], floors: Mapping[str, float]) -> None:
    """The wanted ratios and the measured ones. Wall-clock time counts; CPU time is shown next to it."""
    for name, floor in floors.items():
        wall, cpu = reached[name]["wall"], reached[name]["cpu"]
        print(f"{name}: {wall}x (CPU {cpu}x), at least {floor}x wanted{'' if wall >= floor else ': MISSED'}")


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cosine of every row of `a` with the same row of `b`."""
    lengths = (a * a).sum(1) ** 0.5 * (b * b).sum(1) ** 0.5
    return (a * b).sum(1) / lengths


def stats() -> dict[int, list[str]]:
    """For every process, the fields of its `stat` from the third on."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        # The second field is the program's name in parentheses, and may hold blanks. A process may end meanwhile.
        with contextlib.suppress(OSError):
            found[int(stat.parent.name)] = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return found


def parents() -> dict[int, int]:
    """Process -> its parent."""
    return {process: int(fields[1]) for process, fields in stats().items()}


def family(root: int, parent_of: Mapping[int, int]) -> set[int]:
    """`root` and all processes below it."""
    found = {root}
    while more := {process for process, parent in parent_of.items() if parent in found} - found:
        found |= more
    return found


def cpu_seconds() -> float:
    """CPU time so far of this process and of all below it (the JVM, Python workers), including ended ones that were waited for.

    On a machine with other work, rows per CPU second are more meaningful than rows per second.
    """
    all_processes = stats()
    ours = family(os.getpid(), {process: int(fields[1]) for process, fields in all_processes.items()})
    ticks = {process: sum(map(int, fields[11:15])) for process, fields in all_processes.items()}
    return sum(ticks.get(process, 0) for process in ours) / os.sysconf("SC_CLK_TCK")


def keep(name: str, version: str, content: dict[str, object]) -> Path:
    """Writes bench/results/<version>/<name>.json and returns its path."""
    path = RESULTS / version / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path
