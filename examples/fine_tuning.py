"""Fine-tuning compared with transfer learning: the last blocks of EfficientNet-Lite0 compared with a new head only, on food photos.

    .venv/bin/python examples/fine_tuning.py --out build/foods

What lives here: two trainings of one trainable package (a new classifier on the published weights), with the photos and the split of
`transfer_learning.py`. In the first, all but the classifier is frozen. In the second, the last blocks are trained too, with flipped and
shifted photos. It prints both accuracies, and takes a few minutes on two cores.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "examples"), str(ROOT / "models")]

from pyspark.ml import Pipeline
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import StringIndexer
from pyspark.sql import SparkSession

import flambeau
import real_data
from flambeau import export
from flambeau.ml import TorchEstimator
from transfer_learning import photos

TRUNK_BLOCKS = 13
"""The number of blocks (of 16) that are frozen in both trainings."""


class Padded(nn.Sequential):
    """A convolution of the published network, its padding and its normalization, as TorchScript can compile them."""

    def __init__(self, convolution: Any, normalization: nn.BatchNorm2d, bounded: bool) -> None:
        same = nn.Conv2d(
            convolution.in_channels,
            convolution.out_channels,
            convolution.kernel_size,
            convolution.stride,
            groups=convolution.groups,
            bias=False,
        )
        same.weight = convolution.weight
        parts: dict[str, nn.Module] = {
            "pad": convolution.static_padding,
            "convolution": same,
            "norm": normalization,
            "bound": nn.ReLU6() if bounded else nn.Identity(),
        }
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class Block(nn.Module):
    """One block: expand, filter by channel, project, and add the input if the shape is the same."""

    def __init__(self, published: Any) -> None:
        super().__init__()
        convolutions = [("_depthwise_conv", "_bn1", True), ("_project_conv", "_bn2", False)]
        if published._block_args.expand_ratio != 1:
            convolutions.insert(0, ("_expand_conv", "_bn0", True))
        self.layers = nn.Sequential(
            *(
                Padded(getattr(published, conv), getattr(published, norm), bounded)
                for conv, norm, bounded in convolutions
            )
        )
        settings = published._block_args
        stride = settings.stride[0] if isinstance(settings.stride, (list, tuple)) else settings.stride
        self.adds: bool = stride == 1 and settings.input_filters == settings.output_filters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.layers(x)
        return found + x if self.adds else found


class Classifier(nn.Module):
    """`trunk` is frozen, `tail` may be trained, `classifier` is new."""

    def __init__(self, published: Any, classes: int) -> None:
        super().__init__()
        blocks = [Block(block) for block in published._blocks]
        self.trunk = nn.Sequential(Padded(published._conv_stem, published._bn0, True), *blocks[:TRUNK_BLOCKS])
        self.tail = nn.Sequential(*blocks[TRUNK_BLOCKS:], Padded(published._conv_head, published._bn1, True))
        self.classifier = nn.Linear(published._fc.in_features, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.tail(self.trunk(image)).mean((2, 3)))


def package(out: Path) -> Path:
    """The trainable package, made from the published weights and a new classifier."""
    spec = importlib.util.spec_from_file_location("lite0_recipe", ROOT / "models" / "efficientnet_lite0.py")
    assert spec is not None and spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    published = recipe.load_network()
    torch.manual_seed(1)
    net = Classifier(published, len(real_data.FOOD_GROUPS)).eval()
    image = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        features = net.tail(net.trunk(image)).mean((2, 3))
        expected = published.extract_features(image).mean((2, 3))
    if not torch.allclose(features, expected, atol=1e-4):
        raise RuntimeError("the network built here is not the published one")
    settings: dict[str, Any] = {"interpolation": "bicubic", "scale": 1.0, "mean": [127.0] * 3, "std": [128.0] * 3}
    export.trainable(
        net,
        out,
        name="foods",
        license="Apache-2.0",
        inputs=[export.ImageInput(resize=256, crop=224, **settings)],
        outputs=[export.Output("logits", "scores")],
        overwrite=True,
        quiet=True,
    )
    return out


def train(spark: SparkSession, folder: Path, program: Path, epochs: int) -> dict[str, Any]:
    """Accuracy and seconds of both trainings."""
    rows = photos(spark, folder).cache()
    indexer = StringIndexer(inputCol="kind", outputCol="label", stringOrderType="alphabetAsc")
    judge = MulticlassClassificationEvaluator(metricName="accuracy")
    shared: dict[str, Any] = {
        "featuresCol": "content",
        "modelName": program,
        "batchSize": 16,
        "schedule": "cosine",
        "seed": 1,
    }
    ways = {
        "head alone": TorchEstimator(frozen=["trunk", "tail"], learningRate=3e-3, maxEpochs=epochs, **shared),
        "last blocks too": TorchEstimator(
            frozen=["trunk", "*norm*"],
            learningRate=5e-4,
            maxEpochs=epochs,
            augmentFlip=True,
            augmentShift=16,
            warmupSteps=20,
            **shared,
        ),
    }
    figures: dict[str, Any] = {}
    for name, estimator in ways.items():
        start = time.monotonic()
        model = Pipeline(stages=[indexer, estimator]).fit(rows.where("NOT held"))
        seconds = time.monotonic() - start
        accuracy = judge.evaluate(model.transform(rows.where("held")))
        figures[name] = {"accuracy": accuracy, "seconds": round(seconds, 1)}
    return figures


def main(arguments: list[str] | None = None) -> int:
    """The command; prints both results as they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "foods", help="folder for photos and packages")
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args(arguments)
    folder: Path = options.out / "photos"
    real_data.foods(folder)
    program = package(options.out / "program")
    spark = flambeau.configure(SparkSession.builder.master("local[2]").appName("fine tuning")).getOrCreate()
    try:
        print(json.dumps(train(spark, folder, program, options.epochs)))
    finally:
        spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
