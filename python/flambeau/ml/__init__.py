"""Models as Spark ML stages, for pipelines, cross-validation and saving: pretrained ones, and ones that train in Spark.

    from flambeau.ml import DeepImageFeaturizer, TorchClassifier
    from pyspark.ml import Pipeline

    featurizer = DeepImageFeaturizer(inputCol="content", outputCol="features", modelName="efficientnet_lite0")
    model = Pipeline(stages=[featurizer, TorchClassifier(maxEpochs=20)]).fit(photos)

What lives here: thin wrappers of the stages and estimators in the jar (`io.flambeau.ml`); the first with the parameter names
that users of Deep Learning Pipelines know. All work is done by the executors' own process, no Python worker takes part. The
session must come from `flambeau.configure`.

Every stage adds columns, lazily. A row whose input is NULL or cannot be read is handled by `handleInvalid`: `error`
(default) fails the query, `skip` drops the row, `keep` gives NULL and, in the column `errorCol` if there is one, the
reason. A saved stage carries a copy of its model package and loads without the original; with `savePackage=False` it
holds the model's name or URI only (a saved `CrossValidatorModel` holds its estimator too, and with it a second copy).
The model of a loaded stage is the copy, so its `modelName` is the copy's URI.

`CrossValidator` reads its input again for every fold and every set of parameters, and with it a featurizer inside of the
pipeline. Where that costs too much, featurize first, cache, and cross-validate the estimator alone.

Over Spark Connect the stages run on the server, which needs the jars; files are read and written there.

Spark's own readers (`PipelineModel.load`, …) find these classes once `flambeau` is imported. Training: docs/training.md.
"""

from __future__ import annotations

from ._spaces import choice, integer, log_uniform, uniform
from .pretrained import (
    DeepAudioFeaturizer,
    DeepImageFeaturizer,
    DeepImagePredictor,
    DeepTextFeaturizer,
    TorchModelTransformer,
)
from .search import RandomSearch, SearchModel, SuccessiveHalving
from .summary import TrainingSummary
from .training import (
    GroupedTorchClassificationModel,
    GroupedTorchClassifier,
    GroupedTorchRegressionModel,
    GroupedTorchRegressor,
    TorchClassificationModel,
    TorchClassifier,
    TorchEstimator,
    TorchEstimatorModel,
    TorchRegressionModel,
    TorchRegressor,
)

__all__ = [
    "DeepAudioFeaturizer",
    "DeepImageFeaturizer",
    "DeepImagePredictor",
    "DeepTextFeaturizer",
    "GroupedTorchClassificationModel",
    "GroupedTorchClassifier",
    "GroupedTorchRegressionModel",
    "GroupedTorchRegressor",
    "RandomSearch",
    "SearchModel",
    "SuccessiveHalving",
    "TorchClassificationModel",
    "TorchClassifier",
    "TorchEstimator",
    "TorchEstimatorModel",
    "TorchModelTransformer",
    "TorchRegressionModel",
    "TorchRegressor",
    "TrainingSummary",
    "choice",
    "integer",
    "log_uniform",
    "uniform",
]
