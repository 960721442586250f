"""Exact nearest neighbors side by side: `.venv/bin/python bench/nearest/run.py [--rounds N]`.

100,000 vectors of 384 floats of length 1, and the ten nearest to each among 100,000 others, by cosine, on two cores. The arms:

- `flambeau`: `flambeau.nearest` in `local[2]`, from Parquet to Parquet;
- `faiss`: IndexFlatIP of faiss-cpu, from NumPy to NumPy, without Spark;
- `cross join`: Spark's cross join with a pandas UDF, and `lsh`: Spark's BucketedRandomProjectionLSH. Both compare a part of the rows,
  since they would take hours. They are compared by pairs a second.

Results are compared first: each neighbor of `flambeau` has the similarity of the same rank in `faiss`, to f32's precision, and so it is
with `cross join`. `lsh` is approximate: how many of the nearest it finds is shown.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent), str(ROOT / "python")]
import harness
import peers
from flambeau.version import __version__

ROWS, DIMENSION, CLUSTERS = 100_000, 384, 1000
PART = {"flambeau": (ROWS, ROWS), "faiss": (ROWS, ROWS), "cross join": (400, 5000), "lsh": (1000, 5000)}
FLOORS = {"faiss": 0.7, "cross join": 20.0}
TOLERANCE = 2e-6
"""Of similarities in f32."""


def provide(folder: Path) -> None:
    """Both sides: noise around random centers, as embeddings of similar texts are."""
    import pyarrow as pa
    from pyarrow import parquet

    generator = np.random.default_rng(5)
    centers = generator.standard_normal((CLUSTERS, DIMENSION)).astype(np.float32)
    sides = {}
    for name in ("left", "right"):
        rows = centers[generator.integers(CLUSTERS, size=ROWS)]
        rows = rows + generator.standard_normal((ROWS, DIMENSION)).astype(np.float32)
        sides[name] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        vectors = pa.FixedSizeListArray.from_arrays(sides[name].ravel(), DIMENSION).cast(pa.list_(pa.float32()))
        table = pa.table({"id": pa.array(np.arange(ROWS)), "vector": vectors})
        (folder / name).mkdir()
        parquet.write_table(table, folder / name / "rows.parquet", row_group_size=ROWS // 4)
    np.savez(folder / "data.npz", **sides)


def compare(folder: Path) -> dict[str, float]:
    """The largest difference of similarities between arms; ends the program if it is too large."""
    found = {name: np.load(folder / f"{name}.npz") for name in PART}
    ours = found["flambeau"]
    differences = {"faiss": float(np.abs(ours["values"] - found["faiss"]["values"]).max())}
    with np.load(folder / "data.npz") as data:
        left, right = data["left"].astype(np.float64), data["right"].astype(np.float64)
    for name in ("cross join", "lsh"):
        queries, rows = PART[name]
        pairs = left[:queries] @ right[:rows].T
        nearest = np.sort(pairs, axis=1)[:, ::-1][:, :10]
        if name == "lsh":
            got = [len(set(ids) & set(np.argsort(-row)[:10])) for ids, row in zip(found[name]["ids"], pairs)]
            print(f"lsh finds {sum(got) / (10 * queries):.3f} of the nearest")
        else:
            differences[name] = float(np.abs(nearest - found[name]["values"]).max())
    print(f"largest difference of similarities: {differences}")
    if max(differences.values()) > TOLERANCE:
        sys.exit("bench: the results differ: no time is worth comparing")
    return differences


def main() -> None:
    times = harness.rounds(__doc__)
    about = harness.describe()
    faiss = peers.python(ROOT / "build" / "bench-venv-nearest", HERE / "requirements.txt")
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as place:
        folder = Path(place)
        provide(folder)

        def start(name: str) -> dict[str, Any]:
            program = faiss if name == "faiss" else sys.executable
            return harness.run_arm([program, HERE / "arm.py", name, folder, *PART[name]])

        arms = harness.in_turns({name: functools.partial(start, name) for name in PART}, times, "pairs")
        differences = compare(folder)
    harness.print_arms(arms, "flambeau", "pairs")
    faster = harness.times_faster(arms, "flambeau")
    harness.print_floors(faster, FLOORS)
    kept = {
        "machine": about,
        "rows": ROWS,
        "dimension": DIMENSION,
        "differences": differences,
        "arms": arms,
        "faster": faster,
    }
    print(harness.keep("nearest", __version__, kept))


if __name__ == "__main__":
    main()
