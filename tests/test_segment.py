"""`segment`: SQL's classes are those of the libraries' own decoding, pixel by pixel. Random weights, real photos of different proportions."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pyspark.errors import AnalysisException
from torch import Tensor, nn

import library_segmenters as segmenters
import support
from flambeau import export
from flambeau import functions as F
from flambeau.export import ExportError, libraries
from library_models import LICENSE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Expected = Callable[[Path, list[Path]], list[NDArray[Any]]]


def of_transformers(make: Callable[[], tuple[Any, Any]]) -> Expected:
    def written(package: Path, files: list[Path]) -> list[NDArray[Any]]:
        network, processor = make()
        libraries.from_transformers(network, package, processor=processor, name=package.name, **LICENSE)
        return segmenters.of_transformers(network, processor, files)

    return written


def of_torchvision(package: Path, files: list[Path]) -> list[NDArray[Any]]:
    network = segmenters.lraspp()
    image = export.ImageInput(resize=(segmenters.HEIGHT, segmenters.WIDTH), mean=segmenters.MEAN, std=segmenters.STD)
    libraries.from_torchvision(network, package, None, image=image, name=package.name, **LICENSE)
    return segmenters.of_torchvision(network, files)


LIBRARIES: dict[str, Expected] = {
    "segformer": of_transformers(segmenters.segformer),
    "beit": of_transformers(segmenters.beit),
    "lraspp": of_torchvision,
}


def picture_of(png: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_pixel_has_the_librarys_class(
    spark: SparkSession, tmp_path: Path, photos: dict[str, Any], name: str
) -> None:
    files = [support.PHOTOS / file for file in sorted(photos)[:8]]
    expected = LIBRARIES[name](tmp_path / name, files)
    table = spark.read.format("binaryFile").load([file.as_uri() for file in files])
    rows = table.select("path", F.segment("content", tmp_path / name).alias("s")).orderBy("path").collect()
    for row, right in zip(rows, expected):
        given = picture_of(row["s"]["map"])
        assert given.shape == right.shape and given.dtype == np.uint8
        # Neighbors at a border may be equal but for rounding; a pixel between them then has either class.
        assert np.mean(given == right) > 0.999
        counts = np.bincount(given.ravel(), minlength=len(segmenters.LABELS))
        found = [one.asDict() for one in row["s"]["segments"]]
        assert {one["index"]: one["pixels"] for one in found} == {i: n for i, n in enumerate(counts) if n}
        assert [one["pixels"] for one in found] == sorted(counts[counts > 0], reverse=True)
        assert [one["share"] for one in found] == pytest.approx([one["pixels"] / given.size for one in found])
        names = segmenters.LABELS
        if name != "lraspp":
            assert all(one["label"] == names[one["index"]] for one in found)
    assert len({index for right in expected for index in np.unique(right)}) > 2
    assert len({right.shape for right in expected}) > 2


class Halves(nn.Module):
    """Two classes: the left half of the prepared picture and the right half. In black pictures a score is not a number."""

    def forward(self, image: Tensor) -> Tensor:
        rows = image.shape[0]
        left = torch.tensor([1.0, 1.0, 0.0, 0.0]).expand(rows, 1, 2, 4)
        light = image.mean((1, 2, 3), keepdim=True)
        return torch.cat([left, 1 - left], 1) * (light / light)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crop of 32 x 32 from the middle, after the shorter side became 32."""
    folder: Path = tmp_path_factory.mktemp("segment") / "halves"
    outputs = [export.Output("scores", "pixel_scores", labels=["left", "right"])]
    image = export.ImageInput(resize=32, crop=32, exif_orientation=True)
    export.package(Halves().eval(), folder, name="halves", inputs=[image], outputs=outputs, **LICENSE)
    return folder


def png(width: int, height: int, level: int, **options: Any) -> bytearray:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (level, level, level)).save(file, "PNG", **options)
    return bytearray(file.getvalue())


def test_crops_turns_and_bad_rows(spark: SparkSession, halves: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    rows = [png(128, 64, 255), None, bytearray(b"no picture"), png(64, 128, 200, exif=turned), png(64, 64, 0)]
    table = spark.createDataFrame(list(enumerate(rows)), "id int, photo binary").coalesce(1)
    found = [row[0] for row in table.select(F.try_segment("photo", halves), "id").orderBy("id").collect()]
    # The crop shows the pixels 32 to 96 of the line.
    line = [255] * 32 + [0] * 32 + [1] * 32 + [255] * 32
    assert picture_of(found[0]["map"]).tolist() == [line] * 64
    listed = [(one["label"], one["index"], one["pixels"], one["share"]) for one in found[0]["segments"]]
    assert listed == [("left", 0, 2048, 0.25), ("right", 1, 2048, 0.25)]
    assert found[1:3] == [None, None]
    # Turned by its EXIF tag it is 128 x 64.
    assert found[3] == found[0]
    # A score that is not a number never counts, so no pixel has a class.
    assert picture_of(found[4]["map"]).tolist() == [[255] * 64] * 64 and found[4]["segments"] == []
    with pytest.raises(Exception, match="FLAMBEAU_BAD_INPUT"):
        table.select(F.segment("photo", halves)).collect()


def test_the_functions_describe_themselves(spark: SparkSession, halves: Path) -> None:
    import flambeau

    text = "\n".join(row[0] for row in spark.sql("DESCRIBE FUNCTION EXTENDED segment").collect())
    assert "segment(image, model)" in text and "grayscale PNG" in text
    kind = spark.sql(f"SELECT segment(X'00', '{halves}') AS s").schema["s"].dataType.simpleString()
    segments = "array<struct<label:string,index:int,pixels:bigint,share:float>>"
    assert kind == f"struct<map:binary,segments:{segments}>"
    with pytest.raises(AnalysisException, match=r"'tiny' has no output of role pixel_scores, so it cannot segment"):
        spark.sql("SELECT segment(array(1, 2, 3, 4), 'tiny')")
    flambeau.register(spark, "halves_of", str(halves))
    spark.createDataFrame([(png(64, 64, 255),)], "photo binary").createOrReplaceTempView("one_picture")
    assert len(spark.sql("SELECT halves_of(photo).segments s FROM one_picture").head(1)[0]["s"]) == 2


def test_scores_of_other_shapes_are_refused(tmp_path: Path) -> None:
    class Flat(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image.flatten(1)

    outputs = [export.Output("scores", "pixel_scores")]
    with pytest.raises(ExportError, match=r"must be floats \[n, classes, height, width\]"):
        inputs = [export.ImageInput(resize=(8, 8))]
        export.package(Flat().eval(), tmp_path / "flat", name="flat", inputs=inputs, outputs=outputs, **LICENSE)
    with pytest.raises(ExportError, match=r"takes pictures of any size.*mean="):
        libraries.from_torchvision(segmenters.lraspp(), tmp_path / "l", None, **LICENSE)
