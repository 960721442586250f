"""Transfer learning: a pretrained network's features and a head of Spark ML, as one pipeline.

    python examples/mllib_head.py --on foods     # photos: EfficientNet-Lite0 and ten food groups
    python examples/mllib_head.py --on topics    # texts: MiniLM and six topics of WordNet

Every row is classified by a head that was trained on the other folds, four fifths of the rows (`--folds` divides them otherwise). The
program prints the accuracy and writes a confusion matrix as an image. Then it fits the whole pipeline, saves it, loads it and compares. It
fails (exit 1) if too few rows are right.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import StringIndexer
from pyspark.sql import Window
from pyspark.sql import functions as F

import pictures
import real_data
import session  # finds the recipes and flambeau, which come next

import efficientnet_lite0  # isort: skip
from flambeau import export
from flambeau.ml import DeepImageFeaturizer, DeepTextFeaturizer

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from flambeau.ml import DeepAudioFeaturizer

TEXTS_PER_TOPIC = 300


@dataclass(frozen=True)
class Task:
    """Rows with the columns `input` and `label`, the featurizer for them, and the accuracy that must be reached."""

    title: str
    rows: DataFrame
    featurizer: DeepImageFeaturizer | DeepTextFeaturizer | DeepAudioFeaturizer
    least_accuracy: float
    regularization: float


def foods(spark: SparkSession, folder: Path) -> Task:
    """Photos of foods; the label is the food group."""
    real_data.foods(folder)
    files = spark.read.format("binaryFile").load(folder.resolve().as_uri())
    groups = spark.createDataFrame(list(real_data.FOOD_GROUPS.items()), "letter string, label string")
    lettered = files.selectExpr("left(regexp_extract(path, '[^/]+$', 0), 1) AS letter", "content AS input")
    rows = lettered.join(groups, "letter").select("input", "label")
    featurizer = DeepImageFeaturizer(modelName=str(whole_photo_package(folder.parent / "whole_photo")))
    return Task("Food groups of photos", rows, featurizer, 0.80, 0.05)


def whole_photo_package(folder: Path) -> Path:
    """EfficientNet-Lite0 that sees the whole photo: the food is often at the edge, which the usual center crop cuts off.

    Preparation belongs to the package, so another preparation is another package.
    """
    network = efficientnet_lite0.FeaturesAndLogits(efficientnet_lite0.load_network())
    export.package(
        network, folder, name="whole_photo", license="Apache-2.0", overwrite=True, quiet=True,
        inputs=[export.ImageInput(resize=(224, 224), interpolation="bicubic", scale=1.0, mean=[127.0] * 3, std=[128.0] * 3)],
        outputs=[export.Output("features", "features"), export.Output("logits", "scores")],
    )  # fmt: skip
    return folder


def topics(spark: SparkSession, folder: Path) -> Task:
    """Definitions of WordNet; the label is the topic."""
    rows = spark.createDataFrame(real_data.topics(TEXTS_PER_TOPIC), "input string, label string").repartition(8)
    return Task("Topics of definitions", rows, DeepTextFeaturizer(modelName=session.model("minilm_l6_v2")), 0.87, 0.002)


TASKS = {"foods": foods, "topics": topics}


def in_folds(task: Task, folds: int) -> DataFrame:
    """The rows with `fold`, from 0: each label's rows take turns, in the order of a hash of their content."""
    by_hash = Window.partitionBy("label").orderBy(F.xxhash64("input"))
    return task.rows.withColumn("fold", F.row_number().over(by_hash) % folds)


def cross_validated(featurized: DataFrame, task: Task, folds: int) -> tuple[list[str], list[list[int]]]:
    """The labels, and the confusion matrix over all rows: each is judged by a head that was trained on the other folds."""
    index = StringIndexer(inputCol="label", outputCol="index", stringOrderType="alphabetAsc").fit(featurized)
    indexed = index.transform(featurized).cache()
    counts = [[0] * len(index.labels) for _ in index.labels]
    for fold in range(folds):
        fitted = head(task).fit(indexed.filter(F.col("fold") != fold))
        judged = fitted.transform(indexed.filter(F.col("fold") == fold))
        for row in judged.groupBy("index", "prediction").count().collect():
            counts[int(row["index"])][int(row["prediction"])] += row["count"]
    indexed.unpersist()
    return index.labels, counts


def head(task: Task) -> LogisticRegression:
    """The classifier: one weight for each feature and class."""
    return LogisticRegression(featuresCol="features", labelCol="index", regParam=task.regularization, maxIter=12)


def run(name: str, out: Path, folds: int) -> int:
    """The whole example; the exit code."""
    spark = session.open_session("transfer learning")
    try:
        task = TASKS[name](spark, out / name)
        stage = task.featurizer.setInputCol("input").setOutputCol("features")
        rows = in_folds(task, folds)
        # Featurized once: the head reads its rows many times, one task for each partition and iteration.
        featurized = stage.transform(rows).repartition(spark.sparkContext.defaultParallelism).cache()
        labels, counts = cross_validated(featurized, task, folds)
        featurized.unpersist()
        index = StringIndexer(inputCol="label", outputCol="index", stringOrderType="alphabetAsc")
        pipeline = Pipeline(stages=[index, stage, head(task)]).fit(rows.filter("fold > 0"))
        agrees = saved_agrees(pipeline, rows.filter("fold = 0"), out / f"{name}-pipeline")
    finally:
        spark.stop()
    total, right = sum(map(sum, counts)), sum(counts[i][i] for i in range(len(labels)))
    accuracy = right / total
    title = f"{task.title}: {accuracy:.1%} of {total} are right"
    picture = out / f"{name}.png"
    pictures.confusion_matrix(picture, title, labels, counts)
    print(f"{title}\n{picture.resolve()}")
    print(f"saved, loaded, predictions equal: {agrees}")
    if accuracy < task.least_accuracy:
        print(f"mllib_head: accuracy {accuracy:.3f} is below {task.least_accuracy}", file=sys.stderr)
    return 0 if agrees and accuracy >= task.least_accuracy else 1


def saved_agrees(model: PipelineModel, test: DataFrame, folder: Path) -> bool:
    """Whether the pipeline predicts the same after it was saved (with its network) and loaded."""
    scored = model.transform(test).select("input", "index", "prediction").cache()
    shutil.rmtree(folder, ignore_errors=True)
    model.write().save(folder.resolve().as_uri())
    again = PipelineModel.load(folder.resolve().as_uri()).transform(test).select(*scored.columns).cache()
    return again.exceptAll(scored).isEmpty() and scored.exceptAll(again).isEmpty()


def main() -> int:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Train a head on a pretrained network's features in Spark ML.")
    parser.add_argument("--on", choices=tuple(TASKS), default="foods", help="default: %(default)s")
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=session.ROOT / "build" / "examples", metavar="DIR")
    options = parser.parse_args()
    return run(options.on, options.out, options.folds)


if __name__ == "__main__":
    sys.exit(main())
