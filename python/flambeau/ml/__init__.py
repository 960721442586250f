"""Models as Spark ML stages, for pipelines, cross-validation and saving: pretrained ones, and ones that train in Spark.

    from flambeau.ml import DeepImageFeaturizer, TorchClassifier
    from pyspark.ml import Pipeline

    featurizer = DeepImageFeaturizer(inputCol="content", outputCol="features", modelName="efficientnet_lite0")
    model = Pipeline(stages=[featurizer, TorchClassifier(maxEpochs=20)]).fit(photos)

What lives here: thin wrappers of the stages and estimators in the jar (`io.flambeau.ml`). The stages have the parameter names of Deep
Learning Pipelines. The executors' own process does all the work; no Python worker takes part. The session must come from
`flambeau.configure`.

Every stage adds columns, lazily. `handleInvalid` decides about rows whose input is NULL or cannot be read. `error` (default) fails the
query. `skip` drops the row. `keep` returns NULL, and puts the reason into the column `errorCol` if there is one.

A saved stage contains a copy of its model package and loads without the original. With `savePackage=False` it has the model's name or
URI only. A saved `CrossValidatorModel` contains its estimator too, and so a second copy. The model of a loaded stage is the copy, so its
`modelName` is the copy's URI.

`CrossValidator` reads its input again for every fold and every set of parameters. A featurizer inside the pipeline runs each time. If
that costs too much, featurize first, cache, and cross-validate the estimator alone.

Over Spark Connect the stages run on the server, which needs the jars; files are read and written there.

Spark's own readers (`PipelineModel.load`, …) find these classes once `flambeau` is imported. Training: docs/training.md.
"""

from __future__ import annotations

from ._spaces import choice, integer, log_uniform, uniform
from .callback import EpochEnd
from .learning_rates import LearningRateRange
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
    "EpochEnd",
    "GroupedTorchClassificationModel",
    "GroupedTorchClassifier",
    "GroupedTorchRegressionModel",
    "GroupedTorchRegressor",
    "LearningRateRange",
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
