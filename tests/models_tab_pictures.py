"""Makes the pictures of docs/models-tab.md: the tab of an application on two executors, while it trains.

Run it by hand after a change of the pages, in a built checkout:
PYTHONPATH=python:models:examples .venv/bin/python tests/models_tab_pictures.py
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from pyspark.sql.functions import col

import browser
import flambeau
import photos
import support
from flambeau import functions as F
from flambeau.ml import TorchClassifier

OUT = support.ROOT / "docs" / "images"


def main() -> None:
    photos.provide(support.PHOTOS)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SPARK_HOME"] = str(support.spark_home(Path(folder)))
        session = flambeau.configure(SparkSession.builder.master("local-cluster[2,1,1024]").appName("photos and texts"))
        session = session.config("spark.flambeau.models.path", str(support.MODELS)).config("spark.ui.port", "0")
        spark = session.config("spark.scheduler.minRegisteredResourcesRatio", "1.0").getOrCreate()
        pictures = spark.read.format("binaryFile").load(support.PHOTOS.as_uri()).select("content")
        damaged = spark.createDataFrame([(bytearray(b"no picture"),), (bytearray(b"\xff\xd8\xff"),)], "content binary")
        pictures.union(damaged).repartition(4).select(F.try_featurize("content", support.MODEL)).collect()
        texts = spark.range(0, 4000, 1, 4).selectExpr("concat('text number ', id) AS text")
        texts.select(F.featurize("text", "minilm_l6_v2")).write.format("noop").mode("overwrite").save()
        # Labels that no head can learn completely: the loss of validation rows rises in the end.
        rows = spark.range(0, 2000, 1, 1).selectExpr(
            "id", "transform(sequence(1, 12), i -> CAST(randn(3) AS FLOAT)) AS x", "id % 4 = 0 AS held"
        )
        rows = rows.selectExpr("*", "CAST(x[0] + x[1] * x[2] + randn(5) > 0 AS DOUBLE) AS label")
        train = rows.withColumn("features", array_to_vector(col("x"))).cache()
        head = TorchClassifier(
            maxEpochs=400, hiddenLayers=[32], batchSize=20, learningRate=0.0003, validationIndicatorCol="held"
        )
        fit = threading.Thread(target=head.fit, args=(train,))
        fit.start()
        OUT.mkdir(exist_ok=True)
        with browser.chromium() as chromium:
            page = browser.Visit(chromium, "http").page
            seen = page.locator("#flambeau-trainings td:nth-child(7)", has_text="of 400")
            while not (seen.count() and int(seen.inner_text().split()[0]) >= 150):
                page.goto(f"{spark.sparkContext.uiWebUrl}/models/")
            page.set_viewport_size({"width": 1500, "height": 640})
            page.screenshot(path=OUT / "models-tab.png")
            page.get_by_role("link", name=head.uid).click()
            page.screenshot(path=OUT / "models-tab-training.png")
        fit.join()
        spark.stop()


if __name__ == "__main__":
    main()
