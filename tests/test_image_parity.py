"""Features and labels in Spark compared with Pillow and Python torch, on the same files: cosine >= 0.9999, same first label.

The files are the demo's photos, and one of them again in every format and mode that users have: the features are
compared, whatever the encoding.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "models"), str(ROOT / "examples"), str(ROOT / "bench"), str(ROOT / "bench" / "images")]
from work import prepare  # what the package declares, by Pillow alone: the benchmark's Python arms use the same

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Expected = dict[str, tuple[np.ndarray, int]]
LEAST_COSINE = 0.9999


def variants(photo: Image.Image) -> dict[str, bytes]:
    """One photo in the formats and modes that the engine reads; lossy ones are their own reference."""
    rgb = photo.convert("RGB")
    alpha = rgb.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(rgb.size))
    pictures: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "baseline.jpg": (rgb, {"format": "JPEG", "quality": 92}),
        "progressive.jpg": (rgb, {"format": "JPEG", "progressive": True}),
        "gray.jpg": (rgb.convert("L"), {"format": "JPEG"}),
        "cmyk.jpg": (rgb.convert("CMYK"), {"format": "JPEG"}),
        "palette.png": (rgb.quantize(64), {"format": "PNG"}),
        "alpha.png": (alpha, {"format": "PNG"}),
        "lossless.webp": (rgb, {"format": "WEBP", "lossless": True}),
        "lossy.webp": (rgb, {"format": "WEBP", "quality": 85}),
        "first.gif": (rgb.quantize(128), {"format": "GIF"}),
        "plain.bmp": (rgb, {"format": "BMP"}),
        "lzw.tif": (rgb, {"format": "TIFF", "compression": "tiff_lzw"}),
    }
    encoded = {}
    for name, (picture, options) in pictures.items():
        buffer = io.BytesIO()
        picture.save(buffer, **options)
        encoded[name] = buffer.getvalue()
    return encoded


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    import photos

    folder = tmp_path_factory.mktemp("photos")
    photos.provide(folder)
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    assert len(found) >= 20
    return found | variants(Image.open(io.BytesIO(found["lion.jpg"])))


@pytest.fixture(scope="module")
def expected(files: dict[str, bytes]) -> Expected:
    """Features [1280] and the first label's index, by eager PyTorch."""
    import torch

    import efficientnet_lite0

    network = efficientnet_lite0.FeaturesAndLogits(efficientnet_lite0.load_network())
    result = {}
    with torch.inference_mode():
        for name, content in files.items():
            features, logits = network(torch.from_numpy(prepare(content))[None])
            result[name] = features[0].numpy(), int(logits[0].argmax())
    return result


def test_features_and_labels_are_those_of_python(
    spark: SparkSession, files: dict[str, bytes], expected: Expected
) -> None:
    from flambeau import functions as F

    table = spark.createDataFrame(list(files.items()), "name string, content binary")
    rows = table.select(
        "name",
        F.featurize("content", "efficientnet_lite0").alias("f"),
        F.classify("content", "efficientnet_lite0", 1).alias("c"),
    ).collect()
    assert len(rows) == len(files)
    for row in rows:
        features, label = expected[row.name]
        ours = np.array(row.f, dtype=np.float64)
        cosine = ours @ features / np.linalg.norm(ours) / np.linalg.norm(features)
        assert cosine >= LEAST_COSINE, f"{row.name}: cosine {cosine}"
        assert row.c[0]["index"] == label, row.name


def test_the_image_struct_gives_what_its_bytes_give(
    spark: SparkSession, files: dict[str, bytes], tmp_path: Path
) -> None:
    """Spark's own image source decodes to BGR structs; lossless files must give the very same features."""
    from flambeau import functions as F

    for name in ("chelsea.png", "coffee.png"):
        (tmp_path / name).write_bytes(files[name])
    structs = (
        spark.read.format("image")
        .load(str(tmp_path))
        .select("image.origin", F.featurize("image", "efficientnet_lite0").alias("f"))
    )
    encoded = (
        spark.read.format("binaryFile")
        .load(str(tmp_path))
        .select("path", F.featurize("content", "efficientnet_lite0").alias("f"))
    )
    by_name = {Path(row.path).name: row.f for row in encoded.collect()}
    found = structs.collect()
    assert len(found) == 2
    for row in found:
        assert np.array_equal(np.array(row.f), np.array(by_name[Path(row.origin).name]))
