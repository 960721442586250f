"""`./gradlew bench` or `.venv/bin/python bench/images/run.py`: images/s side by side, results compared first.

Every arm runs in a fresh process, one after another, on a machine that should do nothing else. The Python arms run twice:
as users run them, and with malloc tuned (MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ raised, as Flambeau always does
for itself). Writes bench/results/<version>/images.json and prints a table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "python")]
import data
import machine

from flambeau.version import __version__

TUNED = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 32)}
LEAST_COSINE = 0.9999


def run(command: list[str], **environment: str) -> dict:
    """The last line of the command's output, as JSON."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'python'}", "PYSPARK_PYTHON": sys.executable, **environment}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} failed\n{done.stderr[-4000:]}")
    line = done.stdout.strip().splitlines()[-1]
    print(f"    {line}", flush=True)
    return json.loads(line)


def spark_arm(arm: str, images: Path, out: Path, **environment: str) -> dict:
    print(f"  {arm}{' (malloc tuned)' if environment else ''} …", flush=True)
    return run([sys.executable, str(HERE / "arm.py"), arm, str(images), str(out)], **environment)


def engine_alone(images: Path) -> dict:
    print("  engine alone …", flush=True)
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--package", "flambeau-engine", "--example", "engine_alone"], cwd=ROOT, check=True)
    program = ROOT / "target" / "release" / "examples" / "engine_alone"
    package = ROOT / "build" / "models" / "efficientnet_lite0"
    done = subprocess.run([program, package, images, "2", "32", "4"], capture_output=True, text=True, check=True)
    passes = [json.loads(line) for line in done.stdout.splitlines()]
    return {"arm": "engine alone", "rows": passes[-1]["rows"], "images_per_s": [p["rows_per_s"] for p in passes], "last_pass": passes[-1]}


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def main() -> None:
    images = data.provide(ROOT / "build" / "bench-images")
    about = machine.describe()
    print(f"{len(list(images.iterdir()))} JPEG tiles of {data.SIZE[0]}x{data.SIZE[1]}; {about['cpu']}, {about['cores']} cores, load {about['load_before']:.1f}")
    print("  boundary …", flush=True)
    boundary = run([sys.executable, str(HERE / "boundary.py")])
    with tempfile.TemporaryDirectory() as folder:
        out = {arm: Path(folder) / f"{arm}.npy" for arm in ("flambeau", "pandas_udf", "predict_batch_udf")}
        arms = [spark_arm("flambeau", images, out["flambeau"]), engine_alone(images)]
        for arm in ("pandas_udf", "predict_batch_udf"):
            arms.append(spark_arm(arm, images, out[arm]))
            arms.append({**spark_arm(arm, images, out[arm], **TUNED), "arm": f"{arm}, malloc tuned"})
        ours = np.load(out["flambeau"])
        least = {arm: float(cosines(ours, np.load(out[arm])).min()) for arm in ("pandas_udf", "predict_batch_udf")}
    if min(least.values()) < LEAST_COSINE:
        sys.exit(f"bench: results differ, least cosine of features {least}: no speed is worth comparing")
    # The first pass of every arm loads and warms up; the best of the others counts.
    for arm in arms:
        arm["best"] = max(arm["images_per_s"][1:])
    flambeau = arms[0]["best"]
    print(f"\n{'arm':36} {'images/s':>9} {'Flambeau is':>12}")
    for arm in arms:
        print(f"{arm['arm']:36} {arm['best']:9.1f} {flambeau / arm['best']:11.2f}x")
    print(f"least cosine of features: {', '.join(f'{arm} {value:.6f}' for arm, value in least.items())}")
    print(f"boundary, no-op model, 1 M rows: {', '.join(f'{ns} ns a row at {rows} rows a batch' for rows, ns in boundary['ns_per_row'].items())}")
    path = machine.keep("images", __version__, {"machine": about, "arms": arms, "least_cosine": least, "boundary": boundary})
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
