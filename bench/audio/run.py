"""`./gradlew bench` or `.venv/bin/python bench/audio/run.py`: clips per second side by side, results compared first.

Two models: Resemblyzer's speaker embedding and Silero VAD's probability of speech. Every run is a fresh process; all
arms take turns, twice (`--rounds`). predict_batch_udf runs the same network on padded batches, with default malloc and
with Flambeau's malloc settings. It also runs the published Python package, one clip at a time. All arms are in f32
(also ONNX Runtime for Resemblyzer's LSTM), except for one of ours with Resemblyzer's bf16 variant. Writes
bench/results/<version>/audio.json and prints a table.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "python"), str(ROOT / "tests" / "parity")]
import data

import harness
import networks
import peers
import sources
from flambeau.version import __version__

FLOORS = {"predict_batch_udf": 1.5, "published package": 1.5}
"""How many times faster than each arm Flambeau has to be."""
LEAST_COSINE = {
    "predict_batch_udf": 0.9999,
    "predict_batch_udf, malloc tuned": 0.9999,
    "published package": 0.999,
    "flambeau, bf16": 0.999,
    "onnxruntime": 0.9999,
}
"""Of speaker embeddings. Resemblyzer's own Python computes its spectra with librosa."""
LARGEST_DIFFERENCE = 1e-3
"""Of probabilities of speech."""


def compared(model: str, out: dict[str, Path]) -> dict[str, float]:
    """How close every other arm's results are to Flambeau's: least cosine, or largest difference. Ends the program if
    they are too different."""
    ours = np.load(out["flambeau"])
    found: dict[str, float] = {}
    for name, path in out.items():
        if name == "flambeau":
            continue
        theirs = np.load(path)
        if model == "resemblyzer":
            found[name] = float(harness.cosines(ours, theirs).min())
            equal = found[name] >= LEAST_COSINE[name]
        else:
            found[name] = float(np.abs(ours - theirs).max())
            equal = found[name] <= LARGEST_DIFFERENCE
        if not equal:
            sys.exit(f"bench: results of {model} differ ({found}): no speed is worth comparing")
    return found


def main() -> None:
    rounds = harness.rounds(__doc__)
    clips = data.provide(ROOT / "build" / "bench-audio")
    about = harness.describe()
    print(f"{data.CLIPS} clips; {about['cpu']}, {about['cores']} cores, load {about['load_before']:.1f}", flush=True)
    models: dict[str, dict[str, object]] = {}
    for model in ("resemblyzer", "silero_vad"):
        sources.model(model).make(ROOT / "build" / "bench-models" / model)
        with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as temporary:
            kinds = {"flambeau": "flambeau", "predict_batch_udf": "predict_batch_udf", "published package": "published"}
            kinds["predict_batch_udf, malloc tuned"] = "predict_batch_udf"
            if model == "resemblyzer":
                kinds["flambeau, bf16"] = "flambeau-bf16"
                kinds["onnxruntime"] = "onnxruntime"
                networks.onnx("resemblyzer_windows")
            out = {name: Path(temporary) / f"{number}.npy" for number, name in enumerate(kinds)}
            runs = {
                name: functools.partial(
                    harness.run_arm,
                    [peers.python(), HERE / "arm.py", kind, model, clips, out[name]],
                    None,
                    PYSPARK_PYTHON=str(peers.python()),
                    **(harness.TUNED if "tuned" in name else {}),
                )
                for name, kind in kinds.items()
            }
            print(f"{model}:", flush=True)
            arms = harness.in_turns(runs, rounds, "clips")
            nearness = compared(model, out)
        harness.print_arms(arms, "flambeau", "clips")
        reached = harness.times_faster(arms, "flambeau")
        measure = "least cosine" if model == "resemblyzer" else "largest difference"
        print(f"{measure} of results: {', '.join(f'{name} {value:.6f}' for name, value in nearness.items())}")
        harness.print_floors(reached, FLOORS)
        models[model] = {"arms": arms, measure.replace(" ", "_"): nearness, "reached": reached}
        if "flambeau, bf16" in kinds:
            models[model]["reached_bf16"] = faster = harness.times_faster(arms, "flambeau, bf16")
            print(f"flambeau in bf16: {', '.join(f'{name} {times}' for name, times in faster.items())}")
    kept = {"machine": {**about, "load_after": os.getloadavg()[0]}, "models": models, "floors": FLOORS}
    path = harness.keep("audio", __version__, kept)
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
