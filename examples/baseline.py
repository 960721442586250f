"""What the demo is compared with: the same network in an iterator pandas UDF, as a careful user of PyTorch writes it.

The network is loaded once for each Python worker and uses one thread, since Spark's tasks are the parallelism. Photos are prepared with
Pillow. PyTorch runs the package's own program, so both sides compute the same. This needs PyTorch, pandas and pyarrow in the Python
workers, which Flambeau does not. Python workers import this module, so the session ships it to them (`ship`).
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.pandas.functions import pandas_udf

NAME = "PyTorch in a pandas UDF"
RESIZE, CROP, MEAN, STD = 256, 224, 127.0, 128.0
"""As model.toml of efficientnet_lite0 says."""


def ship(spark: SparkSession) -> None:
    """Sends this module to the Python workers, and makes batches as large as Flambeau's (32 images)."""
    spark.sparkContext.addPyFile(str(Path(__file__).resolve()))
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "32")


def prepared(content: bytes) -> np.ndarray:
    """f32 [3, 224, 224]: the shorter side to 256, bicubic; the center; (x - mean) / std."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    shorter = min(picture.size)
    width, height = (side * RESIZE // shorter for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - CROP) / 2), round((height - CROP) / 2)
    pixels = np.asarray(picture.crop((left, top, left + CROP, top + CROP)), np.float32)
    return ((pixels - MEAN) / STD).transpose(2, 0, 1)


@functools.cache
def loaded(program: str) -> torch.jit.ScriptModule:
    """The network of a Python worker, which Spark uses for several tasks."""
    torch.set_num_threads(1)
    return torch.jit.load(program).eval()


def features(package: Path) -> Column:
    """The features of the column `content`, by the program of `package`."""
    program = str(package / "model.pt")

    @pandas_udf("array<float>")  # type: ignore[call-overload, untyped-decorator]  # PySpark types no functions by hints
    def featurize(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        network = loaded(program)
        for batch in batches:
            pixels = torch.from_numpy(np.stack([prepared(content) for content in batch]))
            with torch.inference_mode():
                values, _ = network(pixels)
            yield pd.Series(list(values.numpy()))

    return featurize("content")


def least_cosine(package: Path, photos: DataFrame, ours: dict[str, Sequence[float]]) -> float:
    """How close both sides are on the worst photo. `photos` has `photo` and `content`; `ours`: photo -> its features."""
    theirs = {row.photo: row.values_ for row in photos.select("photo", features(package).alias("values_")).collect()}
    return min(_cosine(theirs[photo], ours[photo]) for photo in ours)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = math.fsum(a * b for a, b in zip(one, other))
    return product / math.sqrt(math.fsum(a * a for a in one) * math.fsum(b * b for b in other))
