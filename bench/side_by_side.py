"""The command of a family: `main(family)` compares the results of all arms, then their speeds, and saves both.

Every arm runs in a fresh process (arm.py); all take turns, so that a busy minute hits all of them. A run over all rows writes
bench/results/<version>/<family>.json, case by case: cases that did not run keep their earlier results.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT / "python")]
import harness
import networks
import peers
from flambeau.version import __version__

LEAST_COSINE, LEAST_COSINE_BF16 = 0.9999, 0.999

F32 = (
    "flambeau",
    "udf onnxruntime",
    "udf openvino",
    "udf torch",
    "engine alone",
    "alone onnxruntime",
    "alone openvino",
)
BF16 = ("flambeau-bf16", "engine alone-bf16", "udf openvino-bf16", "alone openvino-bf16")
"""The arms that every family of pictures and texts has."""


@dataclass(frozen=True)
class Case:
    """One network over one set of rows. `arms`: their names in arm.py; `floors`: how many times faster than an arm Flambeau has to be."""

    name: str
    network: str
    source: Path
    arms: Sequence[str]
    floors: Mapping[str, float] = field(default_factory=dict)
    about: str = ""
    rows: int | None = None
    """Only the first rows, for a slow network; all of the source otherwise."""
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Arm -> its environment variables."""


def options(description: str | None, cases: Sequence[str]) -> argparse.Namespace:
    """The command line of a family."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(cases), help=f"with commas between; of {', '.join(cases)}")
    parser.add_argument("--arms", help="only these, with commas between (as 'flambeau,udf onnxruntime')")
    parser.add_argument("--rows", type=int, help="only the first rows; nothing is kept")
    parser.add_argument("--rounds", type=int, default=1, help="how often every arm has its turn (default: 1)")
    parser.add_argument("--passes", type=int, default=2, help="timed passes of an arm in each turn (default: 2)")
    chosen = parser.parse_args()
    chosen.cases = chosen.cases.split(",")
    if unknown := set(chosen.cases) - set(cases):
        parser.error(f"no case {', '.join(sorted(unknown))}")
    return chosen


def engine_alone(case: Case, chosen: argparse.Namespace, precision: str) -> dict[str, Any]:
    """Our engine without Spark, on one thread per core: the Rust example `engine_alone` over the same rows."""
    program = ROOT / "target" / "release" / "examples" / "engine_alone"
    build = [
        "cargo",
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--package",
        "flambeau-engine",
        "--example",
        program.name,
    ]
    subprocess.run(build, cwd=ROOT, check=True)
    batch = "1024" if case.source.is_file() else "32"
    command: list[str | Path] = [
        program,
        networks.PACKAGES / case.network,
        case.source,
        "2",
        batch,
        str(chosen.passes + 1),
        precision,
    ]
    command.append(str(chosen.rows or case.rows or 0))
    done = subprocess.run(command, env=harness.surroundings(), capture_output=True, text=True, check=True)
    passes = [json.loads(line) for line in done.stdout.splitlines()][1:]
    spent_s = sum(passes[-1][key] for key in ("prepare_ns", "forward_ns", "convert_ns")) / 1e9
    rates = [p["rows_per_s"] for p in passes]
    print(f"    {done.stdout.splitlines()[-1]}", flush=True)
    return {
        "rows": passes[-1]["rows"],
        "rows_per_s": rates,
        "rows_per_cpu_s": [passes[-1]["rows"] / spent_s],
        "last_pass": passes[-1],
    }


def run(family: str, case: Case, chosen: argparse.Namespace) -> dict[str, Any]:
    """One case, printed; ends the program if results differ."""
    python = peers.python()
    networks.package(case.network)
    arms = [arm for arm in case.arms if not chosen.arms or arm in chosen.arms.split(",")]
    if not has_bf16(case.network):
        arms = [arm for arm in arms if arm not in ("flambeau-bf16", "engine alone-bf16")]
    if any(runtime in arm for arm in arms for runtime in ("onnxruntime", "openvino")):
        networks.onnx(case.network)
    print(f"\n{family}, {case.name}: {case.about}", flush=True)
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as folder:
        out = {arm: Path(folder) / f"{number}.npy" for number, arm in enumerate(arms) if not arm.startswith("engine")}
        first = chosen.rows or case.rows
        rows = ["--rows", str(first)] if first else []
        runs = {}
        for arm in arms:
            if arm.startswith("engine alone"):
                runs[arm] = functools.partial(engine_alone, case, chosen, "bf16" if arm.endswith("bf16") else "f32")
                continue
            plain = arm.removesuffix(" malloc-tuned")
            command: list[str | Path] = [
                python,
                HERE / "arm.py",
                family,
                case.network,
                plain,
                case.source,
                out[arm],
                *rows,
            ]
            tuned = {} if plain == arm else harness.TUNED
            command += ["--passes", str(chosen.passes)]
            variables: dict[str, Any] = {"PYSPARK_PYTHON": str(python), **tuned, **case.environment.get(arm, {})}
            runs[arm] = functools.partial(harness.run_arm, command, **variables)
        found = harness.in_turns(runs, chosen.rounds, "rows")
        least, unlike = compared(case, out)
    if "flambeau-bf16" in unlike:
        unlike.append("engine alone-bf16")
    found = [arm for arm in found if arm["arm"] not in unlike]
    ours = "flambeau" if "flambeau" in arms else arms[0]
    harness.print_arms(found, ours, "rows")
    print(f"least cosine to {next(iter(out))}: {', '.join(f'{arm} {value:.6f}' for arm, value in least.items())}")
    if unlike:
        print(f"left out, for their results are not near enough: {', '.join(unlike)}")
    reached = harness.times_faster(found, ours)
    harness.print_floors(reached, {arm: floor for arm, floor in case.floors.items() if arm in reached})
    return {
        "about": case.about,
        "arms": found,
        "least_cosine": least,
        "left_out": unlike,
        "reached": reached,
        "floors": dict(case.floors),
    }


def has_bf16(network: str) -> bool:
    """Whether the package has a variant that this machine runs in bf16."""
    return 'precision = "bf16"' in (networks.PACKAGES / network / "model.toml").read_text(encoding="utf-8")


def compared(case: Case, out: Mapping[str, Path]) -> tuple[dict[str, float], list[str]]:
    """Least cosine of every arm's rows to the first arm's, and the arms of lower precision that differ too much. Ends the program
    if one in f32 is."""
    found = {arm: np.load(path) for arm, path in out.items()}
    first = next(iter(found.values()))
    if first.shape[1] == 1:  # probabilities: how near, as 1 - the largest difference
        least = {arm: float(1 - np.abs(first - values).max()) for arm, values in found.items()}
    else:
        least = {arm: float(harness.cosines(first, values).min()) for arm, values in found.items()}
    unlike = []
    for arm, value in least.items():
        is_rough = "bf16" in arm or "draft" in arm
        if value >= (LEAST_COSINE_BF16 if is_rough else LEAST_COSINE):
            continue
        if not is_rough:
            sys.exit(f"bench: results of {case.name} differ, least cosine {least}: no speed is worth comparing")
        unlike.append(arm)
    return least, unlike


def main(family: str, cases: Sequence[Case], chosen: argparse.Namespace) -> None:
    """Runs the chosen cases and saves the results."""
    about = harness.describe()
    print(f"{about['cpu']}, {about['cores']} cores, load {about['load_before']:.1f}", flush=True)
    path = harness.RESULTS / __version__ / f"{family}.json"
    for case in cases:
        result = run(family, case, chosen)
        if chosen.rows or chosen.arms:
            continue
        kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        result["machine"] = {**about, "load_after": os.getloadavg()[0]}
        harness.keep(family, __version__, {"cases": {**kept.get("cases", {}), case.name: result}})
        print(f"kept in {path.relative_to(ROOT)}", flush=True)
