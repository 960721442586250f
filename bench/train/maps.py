"""`.venv/bin/python bench/train/maps.py`: eight parameter maps of a head in one `fit`, compared with one map.

The rows are photos (the tiles of bench/images) for a pretrained network, and 1,280 features without one. `fit(rows,
maps)` reads and featurizes once. So eight maps must take at most 1.3 times as long as one over photos, 1.4 times over
features. The map that is also fitted alone must end with the same loss both times. Each time is the best of `--rounds`
warm fits. Writes bench/results/<version>/train_maps.json.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent / "images"), str(HERE.parent), str(ROOT / "python")]
import data

import arm
import harness
from flambeau.version import __version__

MOST = {"photos": 1.3, "features": 1.4}
RATES = [10.0**-power for power in (1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5)]
PARTITIONS = 4
FEATURES = 1280


def tables(spark: Any) -> dict[str, Any]:
    """Name -> rows with `label`, and `content` or `features`, in memory."""
    tiles = spark.read.format("binaryFile").load(str(data.provide("tiles")[0]))
    photos = tiles.selectExpr("content", "double(pmod(int(regexp_extract(path, '([0-9]+)[.]jpg', 1)), 4)) AS label")
    numbers = spark.range(0, 20_000).selectExpr(
        f"transform(sequence(1, {FEATURES}), i -> float(sin(id * i))) AS features", "double(pmod(id, 4)) AS label"
    )
    made = {"photos": photos.limit(512), "features": numbers}
    return {name: table.repartition(PARTITIONS).cache() for name, table in made.items()}


def seconds(head: Any, rows: Any, maps: list[Any], rounds: int) -> tuple[float, Any]:
    """The fastest of `rounds` fits after one that warms up, and its result."""
    head.fit(rows, maps)
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        given = head.fit(rows, maps)
        best = min(best, time.perf_counter() - started)
    return best, given


def main() -> None:
    from flambeau.ml import TorchClassifier

    rounds = harness.rounds(__doc__)
    about = harness.describe()
    spark = arm.session(True)
    results: dict[str, object] = {}
    for name, rows in tables(spark).items():
        count = rows.count()
        column: dict[str, Any] = (
            {"featuresCol": "content", "modelName": "efficientnet_lite0"} if name == "photos" else {}
        )
        head = TorchClassifier(maxEpochs=5, batchSize=64, seed=1, **column)
        maps = [{head.learningRate: rate} for rate in RATES]
        one, single = seconds(head, rows, maps[3:4], rounds)
        eight, models = seconds(head, rows, maps, rounds)
        losses = [model.summary.history.orderBy("epoch").tail(1)[0].trainLoss for model in (single[0], models[3])]
        if abs(losses[0] - losses[1]) > 1e-6 * abs(losses[0]):
            sys.exit(f"bench: {name}: the same parameters gave the losses {losses}: no time is worth comparing")
        times = eight / one
        print(
            f"{name}: {count} rows, one map {one:.2f} s, eight {eight:.2f} s: {times:.2f}x{'' if times <= MOST[name] else ': MISSED'}"
        )
        results[name] = {"rows": count, "one_s": round(one, 3), "eight_s": round(eight, 3), "times": round(times, 3)}
    spark.stop()
    kept = {"machine": {**about, "load_after": os.getloadavg()[0]}, "most": MOST, "maps": results}
    print(harness.keep("train_maps", __version__, kept))


if __name__ == "__main__":
    main()
