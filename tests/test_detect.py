"""`detect`: SQL's boxes are those of the image processors' own decoding. Random weights, real photos of different proportions."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers as hf
from PIL import Image
from pyspark.errors import AnalysisException
from torch import Tensor, nn

import library_detectors as detectors
import support
from flambeau import export
from flambeau import functions as F
from flambeau.export import libraries
from library_models import LICENSE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SIZE = {"height": detectors.HEIGHT, "width": detectors.WIDTH}
MAKERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "yolos": lambda: (detectors.yolos(), hf.YolosImageProcessorPil(size=SIZE)),
    "detr": lambda: (detectors.detr(), hf.DetrImageProcessorPil(size=SIZE)),
}


def agree(given: list[Any], expected: list[dict[str, Any]]) -> None:
    assert len(given) == len(expected)
    for one, right in zip((row.asDict(recursive=True) for row in given), expected):
        assert (one["label"], one["index"]) == (right["label"], right["index"])
        assert one["score"] == pytest.approx(right["score"], abs=1e-4)
        assert one["box"] == pytest.approx(right["box"], abs=0.5)


@pytest.mark.parametrize("name", MAKERS)
def test_boxes_are_in_the_photos_pixels(spark: SparkSession, tmp_path: Path, photos: dict[str, Any], name: str) -> None:
    network, processor = MAKERS[name]()
    libraries.from_transformers(network, tmp_path / name, processor=processor, name=name, **LICENSE)
    files = [support.PHOTOS / file for file in sorted(photos)[:8]]
    table = spark.read.format("binaryFile").load([file.as_uri() for file in files])
    rows = table.select("path", F.detect("content", tmp_path / name, 0.3).alias("d")).orderBy("path").collect()
    expected = detectors.found(network, processor, files, 0.3)
    for row, right in zip(rows, expected):
        agree(row["d"], right)
    assert len({round(Image.open(file).width / Image.open(file).height, 2) for file in files}) > 2
    assert all(expected)
    if name == "yolos":
        # The random DETR gives all its boxes one class and nearly one score.
        assert sum(map(len, expected)) < 12 * len(files)
        assert len({one["index"] for all in expected for one in all}) > 1


class Fixed(nn.Module):
    """Two boxes, in pixels of the input, with a class and a score each; the second is worse the darker the picture is."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        rows = image.shape[0]
        boxes = torch.tensor([[0.0, 0.0, 32.0, 16.0], [8.0, 8.0, 24.0, 24.0]]).expand(rows, 2, 4)
        light = image.mean((1, 2, 3))
        scores = torch.stack([torch.full_like(light, 0.75), light], 1)
        count = torch.where(light > 0.05, 2, 0)
        return boxes, scores, torch.tensor([1, 0]).expand(rows, 2), count


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crop of 32 x 32 from the middle, after the shorter side became 32; nothing in black pictures."""
    folder: Path = tmp_path_factory.mktemp("detect") / "fixed"
    outputs = [
        export.Output("boxes", "boxes", boxes=export.Boxes("xyxy", "pixels"), lengths="count"),
        export.Output("scores", "box_scores", lengths="count", activation="none"),
        export.Output("classes", "box_classes", labels=["cat", "dog"], lengths="count"),
        export.Output("count"),
    ]
    image = export.ImageInput(resize=32, crop=32, exif_orientation=True)
    export.package(Fixed().eval(), folder, name="fixed", inputs=[image], outputs=outputs, **LICENSE)
    return folder


def png(width: int, height: int, level: int, **options: Any) -> bytearray:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (level, level, level)).save(file, "PNG", **options)
    return bytearray(file.getvalue())


def rows_of(spark: SparkSession, *pictures: bytearray | None) -> DataFrame:
    return spark.createDataFrame(list(enumerate(pictures)), "id int, photo binary")


def boxes(row: Any) -> list[tuple[str, tuple[float, ...]]]:
    return [(one["label"], tuple(one["box"])) for one in row]


def test_crops_sizes_and_counts(spark: SparkSession, fixed: Path) -> None:
    """Pictures of very different sizes in one batch. A picture of 320 x 64 was halved, and the crop began at x = 128 of it."""
    turned = Image.Exif()
    turned[0x0112] = 6
    pictures = [
        png(64, 64, 255),
        png(320, 64, 200),
        png(3200, 6400, 30),
        png(64, 64, 0),
        png(64, 320, 200, exif=turned),
    ]
    table = rows_of(spark, *pictures).coalesce(1)
    found = [row["d"] for row in table.select("id", F.detect("photo", fixed, 0.1).alias("d")).orderBy("id").collect()]
    assert boxes(found[0]) == [("cat", (16, 16, 48, 48)), ("dog", (0, 0, 64, 32))]
    assert boxes(found[1]) == [("cat", (144, 16, 176, 48)), ("dog", (128, 0, 192, 32))]
    assert boxes(found[2]) == [("dog", (0, 1600, 3200, 3200)), ("cat", (800, 2400, 2400, 4000))]
    assert found[3] == []
    # Turned by its EXIF tag it is 320 x 64, and so are its boxes.
    assert boxes(found[4]) == boxes(found[1])
    assert [one["index"] for one in found[0]] == [0, 1]
    usual = table.selectExpr("id", f"detect(photo, '{fixed}') d").orderBy("id").collect()
    assert [len(row["d"]) for row in usual] == [2, 2, 1, 0, 2]


def test_rows_that_cannot_be_read(spark: SparkSession, fixed: Path) -> None:
    rows = rows_of(spark, png(64, 64, 255), None, bytearray(b"no picture"), png(64, 64, 0))
    tried = [row["d"] for row in rows.select("id", F.try_detect("photo", fixed).alias("d")).orderBy("id").collect()]
    assert tried[1:] == [None, None, []] and len(tried[0]) == 2
    with pytest.raises(Exception, match="FLAMBEAU_BAD_INPUT"):
        rows.select(F.detect("photo", fixed)).collect()


def test_the_functions_describe_themselves(spark: SparkSession, fixed: Path) -> None:
    text = "\n".join(row[0] for row in spark.sql("DESCRIBE FUNCTION EXTENDED detect").collect())
    assert "detect(image, model[, threshold])" in text and "default 0.5" in text
    kind = spark.sql(f"SELECT detect(X'00', '{fixed}') AS d").schema["d"].dataType.simpleString()
    box = "struct<xmin:float,ymin:float,xmax:float,ymax:float>"
    assert kind == f"array<struct<label:string,index:int,score:float,box:{box}>>"
    with pytest.raises(AnalysisException, match=r"threshold must be from 0 to 1, not 1\.5"):
        spark.sql(f"SELECT detect(X'00', '{fixed}', 1.5)")
    with pytest.raises(AnalysisException, match=r"'tiny' has no output of role boxes, so it cannot detect"):
        spark.sql("SELECT detect(array(1, 2, 3, 4), 'tiny')")


def test_a_named_function(spark: SparkSession, fixed: Path) -> None:
    import flambeau

    flambeau.register(spark, "find_pets", str(fixed))
    rows_of(spark, png(64, 64, 255)).createOrReplaceTempView("one_picture")
    found = spark.sql("SELECT find_pets(photo) a, find_pets(photo, threshold => 0.9) b FROM one_picture").head(1)[0]
    assert [len(found["a"]), len(found["b"])] == [2, 1]
    text = "\n".join(row[0] for row in spark.sql("DESCRIBE FUNCTION EXTENDED find_pets").collect())
    assert "find_pets(image[, threshold])" in text


def test_a_processor_of_many_sizes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(export.ExportError, match="give image="):
        libraries.from_transformers(detectors.yolos(), tmp_path / "y", processor=hf.YolosImageProcessorPil(), **LICENSE)
