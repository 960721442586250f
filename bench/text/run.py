"""`./gradlew bench` or `.venv/bin/python bench/text/run.py`: embedded texts a second side by side, results compared first.

Every run is a fresh process; all arms take turns, twice (`--rounds`). predict_batch_udf runs as users run it, and with malloc tuned
as Flambeau does for itself; langchain4j on threads of its own and on the task's. Flambeau runs in f32;
where the machine can run the package's bf16 variant, that runs too, and is listed by itself. Writes bench/results/<version>/text.json and
prints a table.
"""

from __future__ import annotations

import functools
import json
import os
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

LEAST_COSINE = 0.9999
LEAST_COSINE_BF16 = 0.999
FLOORS = {"predict_batch_udf": 2.0, "langchain4j": 1.0, "langchain4j, on the task's thread": 1.0}
"""How many times faster than each arm Flambeau has to be."""
LEAST_FILL = 0.9
PACKAGE = ROOT / "build" / "bench-models" / "minilm_l6_v2"
"""Made for the benchmark alone, so that no other build changes it in between."""


def finish(arms: list[dict], out: dict[str, Path], about: dict[str, object]) -> None:
    """Compares the results of all arms, then prints and keeps their speeds; ends the program if results differ."""
    ours = np.load(out["flambeau"])
    least = {
        name: float(machine.cosines(ours, np.load(path)).min()) for name, path in out.items() if name != "flambeau"
    }
    for name, value in least.items():
        if value < (LEAST_COSINE_BF16 if "bf16" in name else LEAST_COSINE):
            sys.exit(f"bench: results differ, least cosine of embeddings {least}: no speed is worth comparing")
    machine.print_arms(arms, "flambeau", "rows")
    (fill,) = (arm["fill"] for arm in arms if arm["arm"] == "flambeau")
    reached = machine.times_faster(arms, "flambeau")
    print(f"least cosine of embeddings: {', '.join(f'{name} {value:.6f}' for name, value in least.items())}")
    print(f"fill of Flambeau's passes: {'unknown' if fill is None else f'{fill:.3f}'}, at least {LEAST_FILL} wanted")
    machine.print_floors(reached, FLOORS)
    kept = {"machine": {**about, "load_after": os.getloadavg()[0]}, "arms": arms, "least_cosine": least, "fill": fill}
    path = machine.keep("text", __version__, {**kept, "floors": {**FLOORS, "fill": LEAST_FILL}, "reached": reached})
    print(f"kept in {path.relative_to(ROOT)}")


def main() -> None:
    rounds = machine.rounds(__doc__)
    data.sources.model("minilm_l6_v2").make(PACKAGE)
    about = machine.describe()
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as temporary:
        folder = Path(temporary)
        texts = folder / "texts.json"
        texts.write_text(json.dumps(data.glosses()), encoding="utf-8")
        jars = ",".join(map(str, data.langchain4j(folder)))
        print(f"{data.ROWS} glosses; {about['cpu']}, {about['cores']} cores, load {about['load_before']:.1f}")
        kinds = {
            "flambeau": ("flambeau",),
            "predict_batch_udf": ("predict_batch_udf",),
            "langchain4j": ("langchain4j", jars),
            "predict_batch_udf, malloc tuned": ("predict_batch_udf",),
            "langchain4j, on the task's thread": ("langchain4j_task_thread", jars),
        }
        if "avx512_bf16" in about["features"]:
            kinds["flambeau, bf16"] = ("flambeau_bf16",)
        out = {name: folder / f"{number}.npy" for number, name in enumerate(kinds)}
        runs = {
            name: functools.partial(
                machine.run_arm,
                [sys.executable, HERE / "arm.py", kind, texts, out[name], *more],
                **(machine.TUNED if "tuned" in name else {}),
            )
            for name, (kind, *more) in kinds.items()
        }
        finish(machine.in_turns(runs, rounds, "rows"), out, about)


if __name__ == "__main__":
    main()
