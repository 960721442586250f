"""`.venv/bin/python bench/train/workers.py`: samples per second of fits in Spark, compared with Python torch, DDP and TorchDistributor.

It trains a convolutional net over 512 pictures, in steps of 32 and of 128 rows, and a linear head over 20,000 rows of
features, as in run.py. There are one and two workers, one thread each, and two independent fits for comparison. Every
arm (arm.py) is a new process, and all take turns. Losses are compared first. The net begins with the same parameters
in all arms, so its loss over all rows before the first step must be equal. The last losses must be close to each other
(orders of rows differ, and so do the first parameters of the head). Samples per second are medians of the epochs after
the first, of all rounds. Then come seconds to the first step, and sums over ranks (all_reduce.py). Writes
bench/results/<version>/train_workers.json and train_all_reduce.json, which scaling.py reads. `--tiny` shows in two
minutes whether it runs, and saves nothing.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "python")]
import all_reduce
import loop
import train_alone  # loop.py finds it

import harness
from flambeau.version import __version__

ARMS = (
    [("torch", 1), ("by_index", 1)]
    + [(arm, n) for n in (1, 2) for arm in ("ddp", "distributor", "flambeau")]
    + [("apart", 2)]
)
ROWS = {"net": 512, "net_128": 512, "head": 20_000}
EPOCHS = {"net": 5, "net_128": 5, "head": 6}
NEAR = 0.25
"""Largest difference of the last epochs' losses, as a share of the larger one."""
EQUAL = {1: 1e-4, 2: 0.05}
"""Largest relative difference of the net's losses before any step, by workers: with two, batch normalization gets halves of the batch."""
LEAST = {"net": 0.95, "head": 1.2}
"""Of Python torch's rate (its loop with a DataLoader), with one worker."""
LIMIT_SECONDS, TRIES = 100, 3
"""An arm that takes longer hangs."""
LEAST_OF_DDP, LEAST_OF_ONE, FIRST_STEP_SECONDS = 0.9, 1.8, 2.0
FREE_CORES, LEAST_OF_APART = 1.9, 0.95
"""If both cores are free, two independent loops reach this much of one; otherwise two workers are compared with those."""


def provide(folder: Path, rows: dict[str, int]) -> None:
    """The net's package, and the rows as Parquet: `x`, as deep as its shape, and `label`."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    train_alone.package(folder / "package", loop.fresh("net"))
    for kind, count in rows.items():
        values, labels = loop.rows_of(kind, count)
        column: Any = pa.array(values.numpy().reshape(-1))
        for size in reversed(loop.TRAININGS[kind].shape):
            offsets = np.arange(0, len(column) + 1, size, dtype=np.int32)
            column = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), column)
        table = pa.table({"x": column, "label": pa.array(labels.numpy().astype(np.float64))})
        (folder / kind).mkdir()
        parts = 4
        for part in range(parts):
            first, last = part * count // parts, (part + 1) * count // parts
            pq.write_table(table.slice(first, last - first), folder / kind / f"part-{part}.parquet")


def measure(kind: str, rows: int, epochs: int, rounds: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Every arm, by `name xWORKERS`: its last output, and the rate over all rounds."""
    found: dict[str, dict[str, Any]] = {}
    rates: dict[str, list[float]] = {}
    paths = os.pathsep.join(map(str, (HERE, ROOT / "python")))
    for number in range(1, rounds + 1):
        for arm, workers in ARMS:
            name = f"{arm} x{workers}"
            print(f"  {kind}, round {number}, {name} ...", flush=True)
            command = [sys.executable, HERE / "arm.py", arm, kind, workers, rows, epochs, folder]
            found[name] = finished(command, paths)
            rates.setdefault(name, []).extend(found[name]["samples_per_s"][1:])
    for name, printed in found.items():
        printed["steady_samples_per_s"], printed["best_samples_per_s"] = (
            statistics.median(rates[name]),
            max(rates[name]),
        )
    return found


def finished(command: list[Any], paths: str) -> dict[str, Any]:
    """The output of an arm. c10d's processes sometimes abort at their end, or wait for a rank that is gone: those arms
    are retried, and the number of retries is saved. Ours is never retried."""
    tries = 1 if "flambeau" in command else TRIES
    for failed in range(tries):
        try:
            found = harness.run_arm(command, limit_s=LIMIT_SECONDS, OMP_NUM_THREADS="1", PYTHONPATH=paths)
        except (TimeoutError, SystemExit) as error:
            print(f"    {error}", flush=True)
            continue
        return {**found, "failed_before": failed}
    sys.exit(f"bench: {command} did not succeed in {tries} tries")


def compare_losses(kind: str, arms: dict[str, dict[str, Any]]) -> None:
    """Ends the program if the arms do not train the same model."""
    last = {name: arm["losses"][-1] for name, arm in arms.items() if not name.startswith("apart")}
    if max(last.values()) - min(last.values()) > NEAR * max(last.values()):
        sys.exit(f"bench: {kind}: the last losses are not near each other: {last}")
    wanted = arms["torch x1"]["loss_before"]
    for workers, tolerance in EQUAL.items():
        ours = arms[f"flambeau x{workers}"]["loss_before"]
        if loop.TRAININGS[kind].module == "net" and abs(ours - wanted) > tolerance * wanted:
            sys.exit(f"bench: {kind}: with {workers} workers the loss before any step is {ours}, not {wanted}")


def goals(kind: str, arms: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The wanted ratios and the measured ones."""
    rate = {name: arm["steady_samples_per_s"] for name, arm in arms.items()}
    ours = {n: rate[f"flambeau x{n}"] for n in (1, 2)}
    ratios = {"of Python torch, 1 worker": (ours[1] / rate["torch x1"], LEAST[loop.TRAININGS[kind].module])}
    for workers in (1, 2):
        ratios[f"of DDP, {workers} workers"] = (ours[workers] / rate[f"ddp x{workers}"], LEAST_OF_DDP)
    two, apart = ours[2] / ours[1], rate["apart x2"] / ours[1]
    ratios["2 workers of 1"] = (two, LEAST_OF_ONE if apart >= FREE_CORES else round(LEAST_OF_APART * apart, 2))
    found = {
        name: {"reached": round(ratio, 2), "wanted": f">= {least}", "met": ratio >= least}
        for name, (ratio, least) in ratios.items()
    }
    found["2 loops apart of 1"] = {"reached": round(apart, 2), "wanted": "what the cores give", "met": True}
    for workers in (1, 2):
        for fit, seconds in arms[f"flambeau x{workers}"]["first_step_s"].items():
            name = f"seconds to the first step, {workers} workers, {fit}"
            met = seconds <= FIRST_STEP_SECONDS
            found[name] = {"reached": seconds, "wanted": f"<= {FIRST_STEP_SECONDS}", "met": met}
    return found


def show(kind: str, arms: dict[str, dict[str, Any]], reached: dict[str, dict[str, Any]]) -> None:
    print(f"\n{kind:18} {'samples/s':>10} {'best':>10} {'whole, s':>9} {'last loss':>10}")
    for name, arm in arms.items():
        print(
            f"{name:18} {arm['steady_samples_per_s']:10.0f} {arm['best_samples_per_s']:10.0f} {arm['fit_s']:9.2f} {arm['losses'][-1]:10.4f}"
        )
    for name, goal in reached.items():
        print(f"  {name}: {goal['reached']}, {goal['wanted']} wanted{'' if goal['met'] else ': MISSED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="how often every arm has its turn (default: 1)")
    parser.add_argument("--tiny", action="store_true", help="only to see whether it runs; nothing is kept")
    given = parser.parse_args()
    rows = {"net": 64, "net_128": 128, "head": 1280} if given.tiny else ROWS
    epochs = dict.fromkeys(ROWS, 2) if given.tiny else EPOCHS
    about = harness.describe()
    trainings = {}
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as temporary:
        folder = Path(temporary)
        provide(folder, rows)
        for kind in loop.TRAININGS:
            arms = measure(kind, rows[kind], epochs[kind], max(1, given.rounds), folder)
            compare_losses(kind, arms)
            reached = goals(kind, arms)
            show(kind, arms, reached)
            trainings[kind] = {"rows": rows[kind], "batch": loop.TRAININGS[kind].batch, "arms": arms, "goals": reached}
    print("\nsums over 2 ranks")
    sums = all_reduce.measure(1, 2, [4, 1_000_000]) if given.tiny else all_reduce.measure(2, 10, all_reduce.SIZES)
    if not given.tiny:
        about["load_after"] = os.getloadavg()[0]
        print(harness.keep("train_workers", __version__, {"machine": about, "trainings": trainings}))
        print(harness.keep("train_all_reduce", __version__, {"machine": about, **sums}))


if __name__ == "__main__":
    main()
