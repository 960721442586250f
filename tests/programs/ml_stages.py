"""A user's programs around ML stages, each in a process of its own; prints JSON on the last line.

Usage:

    python ml_stages.py load FOLDER       a saved cross-validated pipeline, applied to the saved table
    python ml_stages.py connect FOLDER    stages over Spark Connect: transform, save, load, fit, cross-validate
    python ml_stages.py bare FOLDER       a session with the jars but without the extension
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.tuning import CrossValidator, CrossValidatorModel, ParamGridBuilder
from pyspark.sql import SparkSession

import flambeau


def predictions(frame: Any) -> list[list[Any]]:
    """Id, features, probabilities and prediction of each row."""
    rows = frame.select("id", "features", "probability", "prediction").orderBy("id").collect()
    return [
        [row.id, row.features.toArray().tolist(), row.probability.toArray().tolist(), row.prediction] for row in rows
    ]


def load(folder: str) -> dict[str, Any]:
    """`flambeau.ml` is not imported here: Spark's reader must find the stage by itself."""
    spark = (
        flambeau.configure(SparkSession.builder.master("local[2]")).config("spark.ui.enabled", "false").getOrCreate()
    )
    model = CrossValidatorModel.load(f"{folder}/fitted")
    pipeline = model.bestModel
    assert isinstance(pipeline, PipelineModel)
    stage: Any = pipeline.stages[0]
    return {
        "predictions": predictions(model.transform(spark.read.parquet(f"{folder}/rows"))),
        "class": f"{type(stage).__module__}.{type(stage).__name__}",
        "modelName": stage.getModelName(),
    }


def connect(folder: str) -> dict[str, Any]:
    """Everything happens on the server, which this process starts for itself."""
    from flambeau.ml import TorchClassifier, TorchModelTransformer

    builder = flambeau.configure(SparkSession.builder.remote("local[2]")).config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "2")
    spark = builder.config("spark.flambeau.models.path", f"{folder}/models").getOrCreate()
    rows = [(i, [float(i % 2), 1.0, float(i % 3), 4.0], float(i % 2)) for i in range(40)]
    good = spark.createDataFrame(rows, "id int, x array<float>, label double")
    bad = spark.createDataFrame([(100, [1.0, 2.0, 3.0, 4.0]), (101, [1.0]), (102, None)], "id int, x array<float>")
    keeping = TorchModelTransformer(model="tiny", outputMapping={"features": "f"}, handleInvalid="keep", errorCol="why")
    keeping.save(f"{folder}/stage")
    loaded = TorchModelTransformer.load(f"{folder}/stage")
    stage = TorchModelTransformer(
        model="tiny", outputMapping={"features": "features"}, outputType="vector", handleInvalid="skip"
    )
    regression = LogisticRegression(maxIter=5)
    pipeline = Pipeline(stages=[stage, regression])
    fitted = pipeline.fit(good)
    fitted.save(f"{folder}/fitted")
    validator = CrossValidator(
        estimator=pipeline,
        estimatorParamMaps=ParamGridBuilder().addGrid(regression.regParam, [0.0, 10.0]).build(),
        evaluator=MulticlassClassificationEvaluator(metricName="accuracy"),
        numFolds=2,
        seed=1,
    )
    best = validator.fit(good)
    best.save(f"{folder}/best")
    # Spark's server saves a model of ours and does not read it back: it reads models of its own classes only.
    head = TorchClassifier(featuresCol="x", maxEpochs=20, learningRate=0.1, batchSize=8, numWorkers=2)
    trained = head.fit(good)
    trained.save(f"{folder}/trained")
    return {
        "labels": [row.label for row in good.orderBy("id").collect()],
        "trained": [row.prediction for row in trained.transform(good).orderBy("id").collect()],
        "kept": [row.asDict() for row in keeping.transform(bad).select("id", "f", "why").orderBy("id").collect()],
        "loaded": [row.asDict() for row in loaded.transform(bad).select("id", "f", "why").orderBy("id").collect()],
        "loadedName": loaded.getModel(),
        "fitted": predictions(fitted.transform(good)),
        "refitted": predictions(PipelineModel.load(f"{folder}/fitted").transform(good)),
        "metrics": [float(metric) for metric in best.avgMetrics],
        "best": predictions(best.transform(good)),
        "bestLoaded": predictions(CrossValidatorModel.load(f"{folder}/best").transform(good)),
    }


def bare(folder: str) -> dict[str, Any]:
    """The error for a user who forgot `flambeau.configure`."""
    from flambeau.ml import TorchModelTransformer

    builder = SparkSession.builder.master("local[1]").config("spark.jars", ",".join(flambeau.find_jars()))
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    try:
        TorchModelTransformer(model=f"{folder}/models/tiny").transform(
            spark.range(1).selectExpr("array(1f, 2f, 3f, 4f) AS x")
        )
    except Exception as error:
        return {"error": str(error)}
    return {"error": None}


if __name__ == "__main__":
    print(json.dumps({"load": load, "connect": connect, "bare": bare}[sys.argv[1]](sys.argv[2])))
