"""`detect` with detectors of torchvision: SQL's boxes are the library's, box by box. Random weights, real photos.

The program chooses its boxes with torchvision's `nms` and `roi_align`, which executors have from our library.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, nn

import library_torchvision as detectors
import support
from flambeau import export
from flambeau import functions as F
from flambeau.export import ExportError, libraries
from library_models import LICENSE
from support import FAILURES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

THRESHOLD = 0.3


@pytest.mark.parametrize("name", detectors.DETECTORS)
def test_boxes_are_the_librarys(spark: SparkSession, tmp_path: Path, photos: dict[str, Any], name: str) -> None:
    network = detectors.lively(name)
    side = 320 if name == "ssdlite" else detectors.SIDE
    image = None if name == "ssdlite" else export.ImageInput(resize=(side, side))
    libraries.from_torchvision(network, tmp_path / name, None, image=image, name=name, **LICENSE)
    files = [support.PHOTOS / file for file in sorted(photos)[:6]]
    expected = detectors.found(network, files, side, THRESHOLD)
    table = spark.read.format("binaryFile").load([file.as_uri() for file in files])
    rows = table.select("path", F.detect("content", tmp_path / name, THRESHOLD).alias("d")).orderBy("path").collect()
    assert sum(map(len, expected)) > 20 and len({index for every in expected for index, _, _ in every}) > 1
    for row, right in zip(rows, expected):
        assert [one["index"] for one in row["d"]] == [index for index, _, _ in right]
        assert [one["score"] for one in row["d"]] == pytest.approx([score for _, score, _ in right], abs=1e-4)
        for one, (_, _, box) in zip(row["d"], right):
            assert list(one["box"]) == pytest.approx(box, abs=0.5)


class Regions(nn.Module):
    """Where the picture's mean is not a number, so are its regions."""

    def forward(self, image: Tensor) -> Tensor:
        edge = image.mean((1, 2, 3)) / image.amax((1, 2, 3))
        place = torch.arange(image.shape[0]).to(image)
        rois = torch.stack([place, edge * 0, edge * 0, edge * 8, edge * 8], 1)
        return torch.ops.torchvision.roi_align(image, rois, 1.0, 2, 2, -1, True).flatten(1)


def test_regions_that_are_not_numbers_fail_their_row(spark: SparkSession, tmp_path: Path) -> None:
    import torchvision  # noqa: F401 - registers the operator

    inputs = [export.TensorInput("image", [3, 8, 8])]
    outputs = [export.Output("values", "features")]
    export.package(
        Regions().eval(), tmp_path / "net", name="regions", inputs=inputs, outputs=outputs, method="script", **LICENSE
    )
    picture = [[[float(y + x) for x in range(8)] for y in range(8)] for _ in range(3)]
    dark = [[[0.0] * 8] * 8] * 3
    rows = spark.createDataFrame([(1, picture), (2, dark)], "id int, x array<array<array<float>>>")
    found = rows.select("id", F.featurize("x", tmp_path / "net").alias("v"))
    light = found.where("id = 1").head()
    assert light is not None
    assert list(light.v) == pytest.approx(Regions()(torch.tensor([picture]))[0].tolist(), abs=1e-5)
    with pytest.raises(FAILURES, match=r"roi_align: 2 bins of -?nan samples"):
        found.where("id = 2").collect()


def test_operators_that_executors_do_not_have_are_named(tmp_path: Path) -> None:
    from torchvision.ops import RoIPool

    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = RoIPool((2, 2), 1.0)

        def forward(self, image: Tensor) -> Tensor:
            rois = torch.zeros(image.shape[0], 5)
            rois[:, 0] = torch.arange(image.shape[0])
            return self.pool(image, rois + torch.tensor([0.0, 1.0, 1.0, 5.0, 5.0])).flatten(1)

    with pytest.raises(ExportError, match="torchvision::roi_pool"):
        export.package(
            Pooled().eval(),
            tmp_path / "net",
            name="pooled",
            inputs=[export.TensorInput("image", [3, 8, 8])],
            outputs=[export.Output("values", "features")],
            method="script",
            **LICENSE,
        )


def test_a_detector_for_pictures_of_any_size_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"image=ImageInput\(resize=\(height, width\)\)"):
        libraries.from_torchvision(detectors.lively("retinanet"), tmp_path / "net", None, **LICENSE)
