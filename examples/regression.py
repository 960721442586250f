"""Regression on a real table: miles per gallon of cars of the seventies.

    .venv/bin/python examples/regression.py

What lives here: 392 cars (the table is in the `vega_datasets` wheel, MIT), scaled by Spark ML. A small network and a linear model are
compared on held-out cars.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "models")]

from pyspark.ml import Estimator, Pipeline, Transformer
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.feature import OneHotEncoder, StandardScaler, StringIndexer, VectorAssembler
from pyspark.sql import Row, SparkSession

import flambeau
import recipe
from flambeau.ml import TorchRegressor

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

VEGA = recipe.Wheel(
    "vega-datasets", "0.9.0", "3d7c63917be6ca9b154b565f4779a31fedce57b01b5b9d99d8a34a7608062a1d", license="MIT"
)
NUMBERS = ["Cylinders", "Displacement", "Horsepower", "Weight_in_lbs", "Acceleration", "year"]
LARGEST_ERROR = 3.5
"""Miles per gallon (RMSE) on the cars held back; always guessing the mean gives 7.8."""


def cars(spark: SparkSession) -> DataFrame:
    """`label` (miles per gallon), the numbers, `Origin`, and `held`: every fourth car."""
    table = json.loads(recipe.read_member(recipe.fetch(VEGA), "vega_datasets/_data/cars.json"))
    whole = [
        {
            **{name: float(car[name]) for name in NUMBERS[:-1]},
            "year": float(car["Year"][:4]),
            "Origin": car["Origin"],
            "label": float(car["Miles_per_Gallon"]),
        }
        for car in table
        if all(car[name] is not None for name in [*NUMBERS[:-1], "Miles_per_Gallon"])
    ]
    rows = [{**car, "held": at % 4 == 0} for at, car in enumerate(whole)]
    return spark.createDataFrame([Row(**car) for car in rows]).coalesce(1).cache()


def train(spark: SparkSession) -> dict[str, float]:
    """Root mean squared error of both models on the cars held back."""
    rows = cars(spark)
    known, held = rows.where("NOT held"), rows.where("held")
    prepare: list[Estimator[Any] | Transformer] = [
        StringIndexer(inputCol="Origin", outputCol="origin_index"),
        OneHotEncoder(inputCol="origin_index", outputCol="origin_flags"),
        VectorAssembler(inputCols=[*NUMBERS, "origin_flags"], outputCol="raw"),
        StandardScaler(inputCol="raw", outputCol="features", withMean=True),
    ]
    judge = RegressionEvaluator(metricName="rmse")
    shared: dict[str, Any] = {"learningRate": 0.1, "maxEpochs": 150, "batchSize": 32, "schedule": "cosine", "seed": 1}
    found = {
        "mean": judge.evaluate(
            held.selectExpr("label", f"double({known.agg({'label': 'avg'}).head(1)[0][0]}) AS prediction")
        )
    }
    for name, layers in (("linear", []), ("network", [32])):
        model = Pipeline(stages=[*prepare, TorchRegressor(hiddenLayers=layers, **shared)]).fit(known)
        found[name] = judge.evaluate(model.transform(held))
    return {**found, "cars": known.count(), "held": held.count()}


def main() -> int:
    """The command; 0 if the network is good enough."""
    spark = flambeau.configure(SparkSession.builder.master("local[2]").appName("cars")).getOrCreate()
    try:
        figures = train(spark)
    finally:
        spark.stop()
    print(json.dumps(figures))
    return 0 if figures["network"] < LARGEST_ERROR else 1


if __name__ == "__main__":
    sys.exit(main())
