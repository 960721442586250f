"""What training makes of data, as PySpark users meet it: every type of number as itself, outputs of several dimensions, bad rows,
and Spark's own meta-algorithms over our estimators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pyspark.ml import Pipeline
from pyspark.ml.classification import OneVsRest
from pyspark.ml.evaluation import BinaryClassificationEvaluator, MulticlassClassificationEvaluator, RegressionEvaluator
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder, TrainValidationSplit
from torch import nn

from flambeau import export
from flambeau.ml import GroupedTorchRegressor, TorchClassifier, TorchEstimator, TorchRegressor
from support import FAILURES

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

FIRST = 1 << 24
"""f32 holds all whole numbers up to this one."""


class Tastes(nn.Module):
    """What a user thinks of an item: numbers of both, looked up by ids that begin beyond 2^24."""

    def __init__(self) -> None:
        super().__init__()
        self.users = nn.Embedding(8, 4)
        self.items = nn.Embedding(8, 4)

    def forward(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        return (self.users(user - 16777216) * self.items(item - 16777216)).sum(1)


def test_ids_beyond_f32_are_learnt_from_and_served_alike(spark: SparkSession, tmp_path: Path) -> None:
    torch.manual_seed(1)
    export.trainable(
        Tastes(),
        tmp_path / "tastes",
        name="tastes",
        license="Apache-2.0",
        inputs=[export.TensorInput(name, [], dtype="i64", min=FIRST, max=FIRST + 7) for name in ("user", "item")],
        outputs=[export.Output("score", "other")],
        example=[torch.tensor([FIRST, FIRST + 1]), torch.tensor([FIRST + 2, FIRST + 3])],
        quiet=True,
    )
    # Neighbors differ in what they like, so a rounded id would learn and give a mixture.
    rows = spark.range(64).selectExpr(
        f"{FIRST} + id div 8 AS user",
        f"decimal({FIRST} + id % 8) AS item",
        "IF((id div 8 + id) % 2 = 0, 1d, -1d) AS label",
    )
    estimator = TorchEstimator(
        modelName=tmp_path / "tastes", loss="mse", maxEpochs=200, learningRate=0.05, batchSize=64, numWorkers=1
    )
    model = estimator.fit(rows)
    worst = model.transform(rows).selectExpr("max(abs(prediction - label)) AS worst").head()
    assert worst is not None and worst.worst < 0.1
    with pytest.raises(FAILURES, match=r"row 7 of partition 0.*does not fit dtype i64"):
        half = rows.coalesce(1).selectExpr(
            "IF(user = 16777216 AND item = 16777223, user + 0.5d, user) AS user", "item", "label"
        )
        estimator.fit(half)


class Steps(nn.Module):
    """Two numbers for each of three steps of a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_outputs_of_several_dimensions_come_out_as_arrays_of_arrays(spark: SparkSession, tmp_path: Path) -> None:
    torch.manual_seed(1)
    export.trainable(
        Steps(),
        tmp_path / "steps",
        name="steps",
        license="Apache-2.0",
        inputs=[export.TensorInput("x", [3, 2])],
        outputs=[export.Output("y", "other")],
        quiet=True,
    )
    pair = "array(float(sin(id + {0})), float(cos(id + {0})))"
    x = "array(" + ", ".join(pair.format(i) for i in range(3)) + ")"
    rows = (
        spark.range(80)
        .selectExpr("id", f"{x} AS x")
        .selectExpr("*", "transform(x, p -> array(double(2 * p[0]), double(-p[1]))) AS label")
    )
    estimator = TorchEstimator(
        modelName=tmp_path / "steps", featuresCol="x", loss="mse", maxEpochs=60, learningRate=0.1
    )
    model = estimator.fit(rows)
    predicted = model.transform(rows)
    assert predicted.schema["prediction"].dataType.simpleString() == "array<array<float>>"
    table = predicted.select("label", "prediction").collect()
    assert max(np.abs(np.array(row.prediction) - np.array(row.label)).max() for row in table) < 0.1
    # Labels in one dimension are compared in the order of memory, so it is the same training.
    flat = estimator.fit(rows.selectExpr("id", "x", "flatten(label) AS label"))
    assert flat.transform(rows).select("prediction").collect() == predicted.select("prediction").collect()
    model.savePackage(tmp_path / "fitted")
    served = rows.selectExpr(f"infer('{tmp_path / 'fitted'}', x).y AS prediction").collect()
    assert served == predicted.select("prediction").collect()
    loaded = Pipeline(stages=[estimator]).fit(rows)
    loaded.save(str(tmp_path / "pipeline"))
    assert (
        type(loaded).load(str(tmp_path / "pipeline")).transform(rows).schema["prediction"]
        == predicted.schema["prediction"]
    )
    with pytest.raises(FAILURES, match=r"one score for each class.*\[3, 2\]"):
        estimator.copy({estimator.loss: "cross_entropy"}).fit(rows.selectExpr("x", "1 AS label"))
    with pytest.raises(FAILURES, match=r"nest labels as the output"):
        estimator.fit(rows.selectExpr("x", "array(label) AS label"))


def test_skipped_rows_are_counted(spark: SparkSession) -> None:
    rows = spark.range(40).selectExpr(
        "IF(id = 3, array(1f), IF(id = 5, array(float('NaN'), 1f), array(float(sin(id)), float(cos(id))))) AS features",
        "IF(id = 9, -1, id % 2) AS label",
    )
    summary = TorchClassifier(maxEpochs=2, handleInvalid="skip").fit(rows).summary
    assert (summary.rows, summary.skippedRows) == (37, 3)
    with pytest.raises(FAILURES, match=r"row \d+ of partition \d+ cannot be trained on"):
        TorchClassifier(maxEpochs=2).fit(rows)


@pytest.mark.parametrize("kind", ["classifier", "regressor", "grouped"])
def test_meta_algorithms_take_our_estimators(spark: SparkSession, kind: str) -> None:
    rows = spark.range(80).selectExpr(
        "array(float(sin(id)), float(cos(id))) AS features", "double(sin(id) > 0) AS label", "id % 2 AS shop"
    )
    made: dict[str, tuple[Any, list[Any]]] = {
        "classifier": (
            TorchClassifier(maxEpochs=3),
            [MulticlassClassificationEvaluator(), BinaryClassificationEvaluator()],
        ),
        "regressor": (TorchRegressor(maxEpochs=3), [RegressionEvaluator()]),
        "grouped": (GroupedTorchRegressor(groupCol="shop", maxEpochs=3), [RegressionEvaluator()]),
    }
    one, evaluators = made[kind]
    grid = ParamGridBuilder().addGrid(one.learningRate, [0.1, 1e-5]).build()
    for evaluator in evaluators:
        searched = CrossValidator(
            estimator=Pipeline(stages=[one]), estimatorParamMaps=grid, evaluator=evaluator, numFolds=2
        ).fit(rows)
        assert len(searched.avgMetrics) == 2 and searched.transform(rows).count() == 80
        split = TrainValidationSplit(estimator=one, estimatorParamMaps=grid, evaluator=evaluator, seed=1).fit(rows)
        assert len(split.validationMetrics) == 2 and split.transform(rows).count() == 80


def test_one_vs_rest_says_what_to_do_instead(spark: SparkSession) -> None:
    rows = spark.range(30).selectExpr("array(float(id)) AS features", "double(id % 3) AS label")
    with pytest.raises(FAILURES, match="OneVsRest takes Spark's own classifiers only; TorchClassifier"):
        OneVsRest(classifier=TorchClassifier()).fit(rows)  # type: ignore[arg-type]  # what is tried
