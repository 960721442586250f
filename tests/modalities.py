"""One input of each modality, and how to ask for it: shared by the tests that compare the numbers of all APIs.

What lives here: `inputs` (a photo, a text, half a minute of a meeting, four numbers) and `CALLS` (the calls, by
model). Also `packages` (model to package), `stage` (the ML stage of a call), and `as_bytes` (a result as its exact
bits).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyspark.ml import Transformer

from support import MODELS, PACKAGES, PHOTOS

CALLS = {
    "image": ("image", "efficientnet_lite0"),
    "text": ("text", "minilm_l6_v2"),
    "audio": ("audio", "resemblyzer"),
    "numbers": ("numbers", "tiny"),
}
"""Modality -> the column and the model of `featurize`."""


def packages() -> dict[str, str]:
    """Model -> its package."""
    return {model: str((PACKAGES if model == "tiny" else MODELS) / model) for _, model in CALLS.values()}


def stage(name: str, column: str, package: str) -> Transformer:
    """The Spark ML stage that gives the features of one modality in the column `out`."""
    from flambeau.ml import DeepAudioFeaturizer, DeepImageFeaturizer, DeepTextFeaturizer, TorchModelTransformer

    if name == "numbers":
        return TorchModelTransformer(
            model=package, outputType="array", inputMapping={"numbers": "x"}, outputMapping={"features": "out"}
        )
    kinds = {"image": DeepImageFeaturizer, "text": DeepTextFeaturizer, "audio": DeepAudioFeaturizer}
    return kinds[name](inputCol=column, outputCol="out", modelName=package, outputType="array")


def inputs(meetings: Path) -> Mapping[str, object]:
    """Column -> the value of the one row. The photos must have been provided."""
    import real_data

    real_data.meetings(meetings)
    return {
        "image": (PHOTOS / "chelsea.png").read_bytes(),
        "text": "a domesticated animal that sleeps on warm roofs",
        "audio": (meetings / "trn09.wav").read_bytes(),
        "numbers": [0.1, -2.5, 3.25, 1e-3],
    }


def as_bytes(values: Iterable[float]) -> str:
    """The 32-bit floats in hexadecimal."""
    numbers = list(values)
    return struct.pack(f"<{len(numbers)}f", *numbers).hex()
