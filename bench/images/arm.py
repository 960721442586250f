"""One arm of the image benchmark in a process of its own: `arm.py ARM IMAGES OUT`.

Arms: `flambeau`, `pandas_udf` (iterator of series, model loaded once a worker), `predict_batch_udf`. All read the same cached
rows in the same `local[2]` with one intra-op thread a task, run EfficientNet-Lite0 in f32 with the same preparation, and end
in Spark's `noop` sink. Prints one JSON line: images/s of every pass, and writes the features of all images to OUT.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "models")]
PASSES = 2
BATCH = 64
PARTITIONS = 8


def prepare(content: bytes) -> np.ndarray:
    """Pillow's decode, shorter side 256 by bicubic, centre crop 224, (x - 127) / 128: f32 [3, 224, 224]."""
    import io

    from PIL import Image

    picture = Image.open(io.BytesIO(content)).convert("RGB")
    width, height = picture.size
    size = (256, int(256 * height / width)) if width <= height else (int(256 * width / height), 256)
    picture = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    pixels = np.asarray(picture.crop((left, top, left + 224, top + 224)), dtype=np.float32)
    return ((pixels - 127.0) / 128.0).transpose(2, 0, 1)


def load():
    """The eager PyTorch network, as a user would load it."""
    sys.path[:0] = [str(ROOT / "python"), str(ROOT / "models")]
    import torch

    import efficientnet_lite0

    torch.set_num_threads(1)
    return torch, efficientnet_lite0.load_network()


def features_of(torch, network, pixels: np.ndarray) -> np.ndarray:
    """[n, 3, 224, 224] to [n, 1280]."""
    with torch.inference_mode():
        return network.extract_features(torch.from_numpy(pixels)).mean((2, 3)).numpy()


def pandas_udf_column():
    """As users write it: an iterator UDF, batches of Spark's own size cut to BATCH."""
    from pyspark.sql.functions import pandas_udf

    @pandas_udf("array<float>")
    def featurize(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        torch, network = load()
        for contents in batches:
            parts = []
            for first in range(0, len(contents), BATCH):
                pixels = np.stack([prepare(bytes(content)) for content in contents[first : first + BATCH]])
                parts.append(features_of(torch, network, pixels))
            yield pd.Series(list(np.concatenate(parts)))

    return featurize


def predict_batch_column():
    """Spark's own predict_batch_udf over the bytes."""
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import ArrayType, FloatType

    def make():
        torch, network = load()

        def predict(contents: np.ndarray) -> np.ndarray:
            return features_of(torch, network, np.stack([prepare(bytes(content)) for content in contents]))

        return predict

    return predict_batch_udf(make, return_type=ArrayType(FloatType()), batch_size=BATCH)


def session(arm: str):
    """`local[2]`; Flambeau's jars only where they are measured."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName(f"bench-{arm}").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "3g").config("spark.sql.shuffle.partitions", "2")
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "128")
    if arm == "flambeau":
        import flambeau

        builder = flambeau.configure(builder)
    return builder.getOrCreate()


def main() -> None:
    arm, images, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = session(arm)
    spark.sparkContext.setLogLevel("ERROR")
    table = spark.read.format("binaryFile").load(images).select("path", "content").repartition(PARTITIONS).cache()
    rows = table.count()
    if arm == "flambeau":
        from flambeau import functions as F

        column = F.featurize("content", "efficientnet_lite0")
    else:
        column = (pandas_udf_column() if arm == "pandas_udf" else predict_batch_column())("content")
    result = table.select("path", column.alias("features"))
    rates = []
    for _ in range(PASSES):
        started = time.perf_counter()
        result.write.format("noop").mode("overwrite").save()
        rates.append(rows / (time.perf_counter() - started))
    collected = result.toPandas().sort_values("path")
    np.save(out, np.stack(collected["features"].to_numpy()).astype(np.float32))
    print(json.dumps({"arm": arm, "rows": rows, "images_per_s": [round(rate, 2) for rate in rates]}))
    spark.stop()


if __name__ == "__main__":
    main()
