"""`.venv/bin/python bench/train/photo_epochs.py`: how busy fine-tuning on photos keeps its worker.

The last blocks of EfficientNet-Lite0 (examples/fine_tuning.py), with random changes, over the tiles of bench/images: one worker in
`local[2]`, in steps of 16. In the first epoch, pictures are decoded on the pool during the steps; in the others, they
are read back from disk. An epoch's busy share is the part of its time in which steps did not wait for their rows.
Writes bench/results/<version>/train_photos.json.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent / "images"), str(HERE.parent), str(ROOT / "python"), str(ROOT / "examples")]
import data

import arm
import fine_tuning
import harness
from flambeau.version import __version__

LEAST_BUSY = 0.95
ROWS, EPOCHS = 192, 4


def shares(history: list[Any]) -> list[float]:
    return [1 - row.waitedSeconds / row.seconds for row in history]


def main() -> None:
    from flambeau.ml import TorchEstimator

    rounds = harness.rounds(__doc__)
    about = harness.describe()
    spark = arm.session(True)
    tiles = spark.read.format("binaryFile").load(str(data.provide("tiles")[0]))
    photos = tiles.selectExpr("content", "double(pmod(int(regexp_extract(path, '([0-9]+)[.]jpg', 1)), 4)) AS label")
    photos = photos.limit(ROWS).repartition(2).cache()
    assert photos.count() == ROWS
    epochs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as folder:
        program = fine_tuning.package(Path(folder) / "program")
        estimator = TorchEstimator(
            featuresCol="content",
            modelName=program,
            batchSize=16,
            maxEpochs=EPOCHS,
            learningRate=5e-4,
            seed=1,
            frozen=["trunk", "*norm*"],
            augmentFlip=True,
            augmentShift=16,
        )
        estimator.copy({estimator.maxEpochs: 1}).fit(photos.limit(16))
        for _ in range(rounds):
            history = estimator.fit(photos).summary.history.orderBy("epoch").collect()
            for row, busy in zip(history, shares(history)):
                print(
                    f"epoch {row.epoch}: {row.samplesPerSecond:.1f} photos/s, busy {busy:.3f}, loss {row.trainLoss:.4f}"
                )
                epochs.append(
                    {"epoch": row.epoch, "photos_per_s": round(row.samplesPerSecond, 2), "busy": round(busy, 4)}
                )
    spark.stop()
    first = statistics.median(one["busy"] for one in epochs if one["epoch"] == 1)
    later = statistics.median(one["busy"] for one in epochs if one["epoch"] > 1)
    print(f"busy share: first epoch {first:.3f}, later ones {later:.3f}{'' if later >= LEAST_BUSY else ': MISSED'}")
    kept = {
        "machine": {**about, "load_after": os.getloadavg()[0]},
        "least_busy": LEAST_BUSY,
        "first_epoch": first,
        "later_epochs": later,
    }
    print(harness.keep("train_photos", __version__, {**kept, "epochs": epochs}))


if __name__ == "__main__":
    main()
