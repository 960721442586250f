"""`./gradlew bench` or `.venv/bin/python bench/images/run.py`: images/s side by side, results compared first.

Three sets: tiles of 500 x 375, photos of 1024 x 683, large ones of 4000 x 3000 (data.py); four networks. A case is called
`SET/NETWORK`; `--cases`, `--arms` and `--rows` cut it down, as in

    bench/images/run.py --cases photos/efficientnet_lite0 --arms 'flambeau,udf onnxruntime' --rows 200 --passes 1

which takes less than a minute. Writes bench/results/<version>/images.json and prints a table.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import data

import networks
import side_by_side

FRAMEWORKS = ("udf onnxruntime malloc-tuned", "predict_batch_udf torch", "daft onnxruntime", "ray onnxruntime")
FLOORS = {
    "photos/efficientnet_lite0": {"udf onnxruntime": 2.0, "udf torch": 4.0, "flambeau-bf16": 1 / 1.6},
    "photos/resnet50": {"udf onnxruntime": 1.3, "flambeau-bf16": 1 / 1.9},
    "photos/vit_b_16": {"udf onnxruntime": 1.3, "flambeau-bf16": 1 / 1.9},
    "large/efficientnet_lite0": {"udf onnxruntime": 4.0},
}
ARMS = {
    "tiles/efficientnet_lite0": (*side_by_side.F32, *side_by_side.BF16),
    "photos/efficientnet_lite0": (*side_by_side.F32, *side_by_side.BF16, *FRAMEWORKS),
    "large/efficientnet_lite0": ("flambeau", "udf onnxruntime", "udf onnxruntime+draft", "udf torch", "flambeau-bf16"),
    **{f"photos/{network}": (*side_by_side.F32, *side_by_side.BF16) for network in networks.RANDOM_IMAGES},
}
ROWS = {"resnet50": 256, "vit_b_16": 128}
"""The first photos, for the slower networks; whole sets for the others."""
ABOUT = dict.fromkeys(networks.RANDOM_IMAGES, "random weights")


def main() -> None:
    chosen = side_by_side.options(__doc__, list(ARMS))
    cases = []
    for name in chosen.cases:
        set_name, network = name.split("/")
        source, about = data.provide(set_name)
        rows = ROWS.get(network)
        first = f"the first {rows} of " if rows else ""
        about = f"{first}{about}; {network}, {ABOUT.get(network, 'published weights')}"
        cases.append(side_by_side.Case(name, network, source, ARMS[name], FLOORS.get(name, {}), about, rows))
    side_by_side.main("images", cases, chosen)


if __name__ == "__main__":
    main()
