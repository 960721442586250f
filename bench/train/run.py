"""`.venv/bin/python bench/train/run.py`: samples per second of training, ours and the same loops in Python torch. One thread each.

Three trainings, the same rows, optimizer and batch: a linear head and an MLP over 20,000 rows of 1,280 features, and a small
convolutional net over 512 pictures of 64 x 64. Ours is the engine alone (rust/train/examples/train_alone.rs, no JVM); Python's are the
loop with a DataLoader, as users write it, and the fastest loop over tensors in memory (train_alone.py in the same folder).
Losses first: after the last epoch they must be close to each other (shuffles and first parameters differ, so they are not equal;
rust/train/tests/train/equality.rs tests equality). Writes bench/results/<version>/train.json.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "python")]

import harness
from flambeau.version import __version__

EXAMPLES = ROOT / "rust" / "train" / "examples"
OURS = ROOT / "target" / "release" / "examples" / "train_alone"
EPOCHS = 4
TRAININGS = {"linear head": ("head", 64), "mlp head": ("mlp", 64), "convolutional net": ("net", 32)}
NEAR = 0.25
"""Largest difference of the last epochs' losses, as a share of the larger one."""

Epochs = list[tuple[float, float]]


def printed(command: Sequence[str | Path]) -> dict[str, Epochs]:
    """The output of a program: name -> (loss, samples per second) of each epoch; ours has no name."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "LD_LIBRARY_PATH": str(ROOT / ".libtorch" / "lib")}
    if command[0] == sys.executable:
        del env["LD_LIBRARY_PATH"]
    done = subprocess.run([str(part) for part in command], env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: {command} failed\n{done.stderr[-4000:]}")
    found = {}
    for line in done.stdout.splitlines():
        name, bracket, rest = line.partition("[")
        if bracket:
            found[name.strip() or "flambeau"] = ast.literal_eval(bracket + rest)
    return found


def measure(kind: str, batch: int, folder: Path) -> list[dict[str, object]]:
    """All arms of one training, in turns, twice; the best epoch of each."""
    more = [folder] if kind == "net" else []
    python: list[str | Path] = [sys.executable, EXAMPLES / "train_alone.py", kind, *more, str(batch), str(EPOCHS)]
    ours: list[str | Path] = [OURS, kind, *more, str(batch), str(EPOCHS)]
    arms: dict[str, dict[str, object]] = {}
    for _ in range(2):
        for command in (python, ours):
            for name, epochs in printed(command).items():
                best = max(rate for _, rate in epochs)
                before = arms.get(name, {"samples_per_s": 0.0})
                arms[name] = {
                    "arm": name,
                    "samples_per_s": round(max(best, float(str(before["samples_per_s"]))), 1),
                    "last_loss": round(epochs[-1][0], 4),
                }
    return list(arms.values())


def main() -> None:
    """See the module."""
    subprocess.run(
        ["cargo", "build", "--release", "-p", "flambeau-train", "--example", "train_alone"], cwd=ROOT, check=True
    )
    described = harness.describe()
    results = {}
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as folder:
        for title, (kind, batch) in TRAININGS.items():
            arms = measure(kind, batch, Path(folder) / "net")
            losses = [float(str(arm["last_loss"])) for arm in arms]
            if max(losses) - min(losses) > NEAR * max(losses):
                sys.exit(f"bench: {title}: the losses are not near each other: {arms}")
            ours = next(float(str(arm["samples_per_s"])) for arm in arms if arm["arm"] == "flambeau")
            print(f"\n{title}")
            for arm in arms:
                rate = float(str(arm["samples_per_s"]))
                print(f"  {arm['arm']!s:16} {rate:12.0f} samples/s  {ours / rate:5.2f}x  loss {arm['last_loss']}")
            results[title] = arms
    described["load_after"] = os.getloadavg()[0]
    print(harness.keep("train", __version__, {"machine": described, "trainings": results}))


if __name__ == "__main__":
    main()
