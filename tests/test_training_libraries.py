"""Models of transformers and timm are trained further in Spark, from one line, as the library's own module trains in PyTorch.

The batches hold all rows, so their order does not matter: without dropout the losses are PyTorch's, step by step. With dropout, the mean
loss of many passes over weights that hardly change is PyTorch's. Random weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import timm
import torch
import transformers as hf
from PIL import Image

import library_models
import library_pairs
from flambeau.export import ExportError, libraries
from flambeau.ml import TorchEstimator
from library_models import LICENSE, made
from library_sounds import SPECTROGRAM, WAVES
from support import PHOTOS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

RATE, STEPS = 0.002, 6
TEXTS = [
    f"the {mood} {animal} {does}"
    for mood in ("happy", "sad", "very lazy")
    for animal in ("cat", "dog", "fox")
    for does in ("runs", "sleeps")
]
LABELS = [float(text.split()[1] == "happy") for text in TEXTS]


def losses(module: Any, batch: dict[str, torch.Tensor], labels: torch.Tensor, rate: float, steps: int) -> list[float]:
    """PyTorch's own loop."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=0.0)
    module.train()
    found = []
    for _ in range(steps):
        result = module(**batch)
        loss = torch.nn.functional.cross_entropy(getattr(result, "logits", result), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(float(loss.detach()))
    return found


def fitted(rows: DataFrame, package: Path, rate: float, steps: int, **more: Any) -> Any:
    """All rows are one batch."""
    return TorchEstimator(
        modelName=package, featuresCol="input", batchSize=rows.count(), maxEpochs=steps, learningRate=rate, **more
    ).fit(rows)


def history(model: Any) -> list[float]:
    return [row.trainLoss for row in model.summary.history.orderBy("epoch").collect()]


def texts(folder: Path, dropout: float) -> tuple[Any, dict[str, torch.Tensor]]:
    """The package of a small BERT in `folder`, the module, and its batch."""
    shares = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    network, tokenizer = library_pairs.saved(folder / "saved", "Bert", "SequenceClassification", num_labels=2, **shares)
    libraries.from_transformers(str(folder / "saved"), folder / "package", trainable=True, quiet=True)
    return network, dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(list(zip(TEXTS, LABELS)), "input string, label double").repartition(2).cache()


def test_a_text_classifier_of_transformers(rows: DataFrame, tmp_path: Path) -> None:
    network, batch = texts(tmp_path, 0.0)
    model = fitted(rows, tmp_path / "package", RATE, STEPS)
    expected = losses(network, batch, torch.tensor(LABELS).long(), RATE, STEPS)
    assert history(model) == pytest.approx(expected, rel=1e-3) and expected[-1] < 0.9 * expected[0]
    with torch.no_grad():
        right = network.eval()(**batch).logits.softmax(1).numpy()
    given = {row.input: row.probability.toArray() for row in model.transform(rows).collect()}
    assert np.allclose(np.array([given[text] for text in TEXTS]), right, atol=2e-3)


def test_dropout_of_transformers_drops_as_much(rows: DataFrame, tmp_path: Path) -> None:
    network, batch = texts(tmp_path, 0.3)
    found = history(fitted(rows, tmp_path / "package", 1e-9, 150))
    expected = losses(network, batch, torch.tensor(LABELS).long(), 1e-9, 150)
    apart = abs(np.mean(found) - np.mean(expected))
    assert len(set(found)) > 140 and apart < 4 * np.sqrt((np.var(found) + np.var(expected)) / 150)
    assert 0.7 < np.std(found) / np.std(expected) < 1.4


def test_an_image_classifier_of_timm(spark: SparkSession, photos: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = timm.create_model("test_resnet", pretrained=False, num_classes=2, drop_path_rate=0.0)
    libraries.from_timm(network, tmp_path / "package", trainable=True, **LICENSE)
    names = sorted(photos)
    labeled = spark.createDataFrame(
        [(name, float(place % 2)) for place, name in enumerate(names)], "file string, label double"
    )
    files = (
        spark.read.format("binaryFile")
        .load(PHOTOS.as_uri())
        .selectExpr("regexp_extract(path, '[^/]+$', 0) AS file", "content AS input")
    )
    rows = files.join(labeled, "file").select("input", "label").cache()
    model = fitted(rows, tmp_path / "package", RATE, STEPS, outputName="logits")
    prepare = timm.data.create_transform(**timm.data.resolve_data_config({}, model=network))
    batch = torch.stack([prepare(Image.open(PHOTOS / name).convert("RGB")) for name in names])
    labels = torch.tensor([place % 2 for place in range(len(names))])
    expected = losses(network, {"x": batch}, labels, RATE, STEPS)
    assert history(model) == pytest.approx(expected, rel=0.02) and expected[-1] < 0.9 * expected[0]
    model.savePackage(tmp_path / "fitted")
    after = torch.jit.load(str(tmp_path / "fitted" / "model.pt")).state_dict()
    means = [value for name, value in after.items() if name.endswith("running_mean")]
    assert means and min(float(mean.abs().max()) for mean in means) > 0.001, "the statistics of the photos"


def test_sentence_embeddings_learn_from_pairs(spark: SparkSession, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    library_models.sentences(tmp_path / "source")
    config = tmp_path / "source" / "config.json"
    settings = json.loads(config.read_text(encoding="utf-8"))
    shares = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config.write_text(json.dumps({**settings, **shares}), encoding="utf-8")
    libraries.from_sentence_transformers(str(tmp_path / "source"), tmp_path / "package", trainable=True, quiet=True)
    partners = [f"a {text.split()[-2]} that {text.split()[-1]}" for text in TEXTS]
    pairs = spark.createDataFrame(list(zip(TEXTS, partners)), "input string, partner string").repartition(2).cache()
    model = fitted(pairs, tmp_path / "package", RATE, STEPS, loss="contrastive", pairCol="partner", temperature=0.1)

    network = SentenceTransformer(str(tmp_path / "source"), device="cpu").train()
    loss_of = MultipleNegativesRankingLoss(network, scale=10.0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.0)
    expected = []
    for _ in range(STEPS):
        batch = [network.tokenize(texts) for texts in (TEXTS, partners)]
        loss = loss_of(batch, None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(float(loss.detach()))
    assert history(model) == pytest.approx(expected, rel=1e-3) and expected[-1] < 0.9 * expected[0]
    right = network.eval().encode(TEXTS)
    found = {row.input: row.prediction.toArray() for row in model.transform(pairs).collect()}
    assert np.allclose(np.array([found[text] for text in TEXTS]), right, atol=5e-3)
    # The result is a model of sentences like the one that it began from.
    model.savePackage(tmp_path / "tuned")
    table = spark.createDataFrame([(TEXTS[0],)], "text string")
    (row,) = table.selectExpr(f"featurize(text, '{tmp_path / 'tuned'}') AS r").collect()
    assert np.allclose(np.array(row.r), found[TEXTS[0]], atol=1e-5)


WINDOWS = {"image_size": 64, "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
KINDS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "SwinForImageClassification": ("SwinConfig", {**WINDOWS, "drop_path_rate": 0.2}, {"_DropPath", "Dropout"}),
    "ResNetForImageClassification": (
        "ResNetConfig",
        {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1]},
        {"BatchNorm2d"},
    ),
    "ASTForAudioClassification": (
        "ASTConfig",
        {**SPECTROGRAM, "max_length": 100, "attention_probs_dropout_prob": 0.1},
        {"_Attention", "Dropout"},
    ),
    "Wav2Vec2ForSequenceClassification": (
        "Wav2Vec2Config",
        {**WAVES, "layerdrop": 0.0, "apply_spec_augment": False},
        {"_Attention", "Dropout"},
    ),
}
"""Architecture -> its configuration, settings, and the layers that must stay switchable."""


def processor(kind: str) -> Any:
    """What transformers prepares rows of this architecture with."""
    if "Image" in kind:
        return hf.ViTImageProcessorPil(size={"height": 64, "width": 64})
    return hf.Wav2Vec2FeatureExtractor() if kind.startswith("Wav2Vec2") else hf.ASTFeatureExtractor(max_length=100)


@pytest.mark.parametrize("kind", KINDS)
def test_images_and_sounds_of_transformers_stay_trainable(kind: str, tmp_path: Path) -> None:
    config, settings, layers = KINDS[kind]
    network = made(kind, config, {**settings, "num_labels": 3})
    options = {**LICENSE, "name": "net", "processor": processor(kind), "trainable": True}
    libraries.from_transformers(network, tmp_path / "net", **options)
    program = torch.jit.load(str(tmp_path / "net" / "model.pt"))
    assert layers <= {module.original_name for module in program.modules()}
    if kind.startswith("Wav2Vec2"):
        network.config.apply_spec_augment = True
        with pytest.raises(ExportError, match="layer drop or masks"):
            libraries.from_transformers(network, tmp_path / "masked", **options)
