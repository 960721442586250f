"""The parameters of the estimators, as the jar declares them (`io.flambeau.ml`): names, documentation and defaults are the
same there, and a test compares them. What each does and when to change it: docs/training.md."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, TypedDict, Union

from pyspark.ml.param import Param, TypeConverters
from pyspark.ml.param.shared import (
    HasFeaturesCol,
    HasLabelCol,
    HasPredictionCol,
    HasProbabilityCol,
    HasRawPredictionCol,
    HasSeed,
    HasThresholds,
    HasValidationIndicatorCol,
    HasWeightCol,
)

from ._params import Keywords, Model, mapping, model, param, path
from ._stages import HasInvalid

Path = Union[str, "os.PathLike[str]"]
Int, Float, Text, Flag = TypeConverters.toInt, TypeConverters.toFloat, TypeConverters.toString, TypeConverters.toBoolean


class TrainingKeywords(TypedDict, total=False):
    """Arguments of every estimator."""

    labelCol: str
    predictionCol: str
    weightCol: str | None
    validationIndicatorCol: str | None
    handleInvalid: str
    errorCol: str | None
    loss: str
    huberDelta: float
    optimizer: str
    learningRate: float
    momentum: float
    nesterov: bool
    weightDecay: float
    clipNorm: float | None
    schedule: str
    warmupSteps: int
    stepEpochs: int
    gamma: float
    batchSize: int
    microBatchSize: int | None
    dropLast: bool
    maxEpochs: int
    patience: int | None
    minDelta: float
    metric: str
    restoreBest: bool
    precision: str
    numWorkers: int
    checkpointDir: Path | None
    checkpointEpochs: int
    checkpointSteps: int | None
    keepCheckpoints: int
    resumeFrom: Path | None
    logDir: Path | None
    peerTimeout: int
    seed: int


class HeadKeywords(TrainingKeywords, total=False):
    """Arguments of the estimators of heads."""

    featuresCol: str
    modelName: Model | None
    hiddenLayers: list[int]
    dropout: float
    activation: str


class ClassifierKeywords(HeadKeywords, total=False):
    """Arguments of `TorchClassifier`."""

    probabilityCol: str
    rawPredictionCol: str
    thresholds: list[float] | None
    classWeights: list[float] | None
    balance: bool
    labelSmoothing: float


class GroupedKeywords(TrainingKeywords, total=False):
    """Arguments of `GroupedTorchRegressor`."""

    groupCol: str
    featuresCol: str
    hiddenLayers: list[int]
    activation: str


class GroupedClassifierKeywords(GroupedKeywords, total=False):
    """Arguments of `GroupedTorchClassifier`."""

    probabilityCol: str
    rawPredictionCol: str
    thresholds: list[float] | None
    classWeights: list[float] | None
    labelSmoothing: float


class EstimatorKeywords(TrainingKeywords, total=False):
    """Arguments of `TorchEstimator`."""

    featuresCol: str
    probabilityCol: str
    rawPredictionCol: str
    thresholds: list[float] | None
    modelName: Model | None
    inputMapping: Mapping[str, str] | None
    outputName: str | None
    frozen: list[str]
    augmentFlip: bool
    augmentCrop: int
    augmentColour: float
    classWeights: list[float] | None
    balance: bool
    labelSmoothing: float


class HasOptimizer(HasInvalid):
    """The optimiser and its schedule."""

    optimizer: Param[str] = param(
        "optimizer", "how parameters follow their gradients: sgd, adam, adamw or rmsprop", Text
    )
    learningRate: Param[float] = param("learningRate", "size of a step; with a schedule, the largest", Float)
    momentum: Param[float] = param(
        "momentum", "part of the last step that is kept in the next (sgd, rmsprop), from 0 to less than 1", Float
    )
    nesterov: Param[bool] = param("nesterov", "whether to use Nesterov momentum (sgd with momentum)", Flag)
    weightDecay: Param[float] = param(
        "weightDecay",
        "how strongly parameters are pulled towards zero; in adamw apart from the gradient",
        Float,
    )
    clipNorm: Param[float] = param(
        "clipNorm", "norm of all gradients above which they are scaled down; not set: never", Float
    )
    schedule: Param[str] = param("schedule", "how the learning rate changes: constant, step, cosine or one_cycle", Text)
    warmupSteps: Param[int] = param(
        "warmupSteps", "steps during which the learning rate rises from zero at the start", Int
    )
    stepEpochs: Param[int] = param(
        "stepEpochs", "epochs after which the schedule step multiplies the learning rate by gamma", Int
    )
    gamma: Param[float] = param("gamma", "factor of the schedule step, above 0 and at most 1", Float)


class HasTrainingLoop(HasOptimizer):
    """Length of the training, batches, workers, and what is written meanwhile."""

    batchSize: Param[int] = param("batchSize", "rows of one step, over all workers together", Int)
    microBatchSize: Param[int] = param(
        "microBatchSize",
        "rows of one pass in a worker; gradients are added up over the step; not set: the worker's whole part of a step",
        Int,
    )
    dropLast: Param[bool] = param(
        "dropLast",
        "whether rows that do not fill an epoch's last batch are left out of that epoch; other rows in each epoch",
        Flag,
    )
    maxEpochs: Param[int] = param("maxEpochs", "maximum number of passes over the data", Int)
    patience: Param[int] = param(
        "patience",
        "training ends after this many epochs without a better metric on the validation rows; not set: never; needs validationIndicatorCol",
        Int,
    )
    minDelta: Param[float] = param("minDelta", "least improvement of the metric that counts as better", Float)
    restoreBest: Param[bool] = param(
        "restoreBest",
        "whether the result has the parameters of the epoch that was best on the validation rows, or those of the last",
        Flag,
    )
    precision: Param[str] = param(
        "precision", "numbers of the forward and backward pass: f32 or bf16 (parameters stay f32)", Text
    )
    numWorkers: Param[int] = param(
        "numWorkers", "Spark tasks that train one model together; all must run at the same time", Int
    )
    checkpointDir: Param[str] = param(
        "checkpointDir",
        "folder for checkpoints, on a Hadoop file system that all executors see; not set: none are written",
        path,
    )
    checkpointEpochs: Param[int] = param("checkpointEpochs", "epochs between two checkpoints", Int)
    checkpointSteps: Param[int] = param(
        "checkpointSteps",
        "steps between two checkpoints, beside those at the ends of epochs; not set: none in between",
        Int,
    )
    keepCheckpoints: Param[int] = param("keepCheckpoints", "how many checkpoints of a fit are kept, the newest", Int)
    resumeFrom: Param[str] = param(
        "resumeFrom",
        "checkpoint to continue from, or folder of checkpoints (the newest is used); not set: training starts from the beginning",
        path,
    )
    logDir: Param[str] = param(
        "logDir", "folder for TensorBoard's event files, on a Hadoop file system; not set: none are written", path
    )
    peerTimeout: Param[int] = param("peerTimeout", "seconds that a worker waits for another one before it fails", Int)


class TrainingParams(HasTrainingLoop, HasLabelCol, HasPredictionCol, HasWeightCol, HasValidationIndicatorCol, HasSeed):
    """What every estimator takes and its model keeps."""

    huberDelta: Param[float] = param(
        "huberDelta", "Huber loss only: error, in label units, above which the loss grows linearly", Float
    )

    def _defaults(self) -> dict[str, Any]:
        return {
            "labelCol": "label",
            "predictionCol": "prediction",
            "seed": 0,
            "handleInvalid": "error",
            "huberDelta": 1.0,
            "optimizer": "adamw",
            "learningRate": 1e-3,
            "momentum": 0.0,
            "nesterov": False,
            "weightDecay": 0.0,
            "schedule": "constant",
            "warmupSteps": 0,
            "stepEpochs": 10,
            "gamma": 0.1,
            "batchSize": 64,
            "dropLast": False,
            "maxEpochs": 20,
            "minDelta": 0.0,
            "metric": "loss",
            "restoreBest": True,
            "precision": "f32",
            "numWorkers": 1,
            "checkpointEpochs": 1,
            "keepCheckpoints": 2,
            "peerTimeout": 120,
        }


class HeadParams(TrainingParams, HasFeaturesCol):
    """What the estimators of heads take."""

    modelName: Param[str] = param(
        "modelName",
        "model that computes the features for the head, and is not trained: a name (looked up in spark.flambeau.models.path, "
        "then in jars), a path or a URI; featuresCol then holds images, sounds or texts; not set: featuresCol holds vectors or "
        "arrays of numbers",
        model,
    )
    hiddenLayers: Param[list[int]] = param(
        "hiddenLayers",
        "sizes of the hidden layers between the features and the result; none: a linear model",
        TypeConverters.toListInt,
    )
    dropout: Param[float] = param(
        "dropout",
        "share of each hidden layer's values that training sets to zero at random, from 0 to less than 1",
        Float,
    )
    activation: Param[str] = param("activation", "function after each hidden layer: relu, tanh, gelu or sigmoid", Text)

    def _defaults(self) -> dict[str, Any]:
        return {
            **super()._defaults(),
            "featuresCol": "features",
            "hiddenLayers": [],
            "dropout": 0.0,
            "activation": "relu",
        }


class HasClasses(HasProbabilityCol, HasRawPredictionCol, HasThresholds, Keywords):
    """How classes count, and the columns of their scores."""

    classWeights: Param[list[float]] = param(
        "classWeights",
        "weight of each class, in the order of the labels; multiplied with the rows' own weights",
        TypeConverters.toListFloat,
    )
    balance: Param[bool] = param(
        "balance",
        "whether each class counts the same, whatever its number of rows: weight rows / (classes * rows of the class)",
        Flag,
    )
    labelSmoothing: Param[float] = param(
        "labelSmoothing",
        "part of the target's probability that is spread evenly over all classes, from 0 to less than 1",
        Float,
    )


CLASSES = {
    "loss": "cross_entropy",
    "probabilityCol": "probability",
    "rawPredictionCol": "rawPrediction",
    "balance": False,
    "labelSmoothing": 0.0,
}
"""Defaults of what classifies."""


class ClassifierParams(HeadParams, HasClasses):
    """What `TorchClassifier` takes."""

    loss: Param[str] = param("loss", "loss that training minimizes: cross_entropy", Text)
    metric: Param[str] = param(
        "metric",
        "metric on the validation rows that early stopping and restoreBest compare: loss, accuracy, auc, f1",
        Text,
    )

    def _defaults(self) -> dict[str, Any]:
        return {**super()._defaults(), **CLASSES}


class RegressorParams(HeadParams):
    """What `TorchRegressor` takes."""

    loss: Param[str] = param("loss", "loss that training minimizes: mse, mae, huber", Text)
    metric: Param[str] = param(
        "metric", "metric on the validation rows that early stopping and restoreBest compare: loss, rmse, mae", Text
    )

    def _defaults(self) -> dict[str, Any]:
        return {**super()._defaults(), "loss": "mse"}


class EstimatorParams(TrainingParams, HasFeaturesCol, HasClasses):
    """What `TorchEstimator` takes."""

    loss: Param[str] = param(
        "loss", "loss that training minimizes: cross_entropy, bce, mse, mae, huber, method:NAME", Text
    )
    metric: Param[str] = param(
        "metric",
        "metric on the validation rows that early stopping and restoreBest compare: loss, accuracy, auc, f1, rmse, mae",
        Text,
    )
    modelName: Param[str] = param(
        "modelName",
        "trainable package (flambeau.export.trainable): a name (looked up in spark.flambeau.models.path, then in jars), a path or a URI",
        model,
    )
    inputMapping: Param[str] = param(
        "inputMapping",
        "which column feeds which input of the program, a JSON object from column to input; not set: featuresCol feeds the only "
        "input, or columns are named as the inputs",
        mapping,
    )
    outputName: Param[str] = param(
        "outputName", "output of the program that the loss is computed of; not set: the first", Text
    )
    frozen: Param[list[str]] = param(
        "frozen",
        "names of parameters that do not change: a name, a module's name, a pattern with *, or a regular expression",
        TypeConverters.toListString,
    )
    augmentFlip: Param[bool] = param(
        "augmentFlip", "whether half of the training images are mirrored left to right", Flag
    )
    augmentCrop: Param[int] = param(
        "augmentCrop", "maximum number of pixels that training images are shifted by, in each direction", Int
    )
    augmentColour: Param[float] = param(
        "augmentColour",
        "maximum share that brightness and contrast of training images change by, from 0 to 1",
        Float,
    )

    def _defaults(self) -> dict[str, Any]:
        return {
            **super()._defaults(),
            **CLASSES,
            "featuresCol": "features",
            "frozen": [],
            "augmentFlip": False,
            "augmentCrop": 0,
            "augmentColour": 0.0,
        }

    def getInputMapping(self) -> dict[str, str]:
        """Column -> input of the program."""
        return dict(json.loads(self.getOrDefault(self.inputMapping)))


class HasGroups(Keywords):
    """What the estimators of many small models take."""

    groupCol: Param[str] = param("groupCol", "column that says which model a row belongs to", Text)
    metric: Param[str] = param(
        "metric", "metric on the validation rows that early stopping and restoreBest compare: loss", Text
    )


class GroupedParams(HasGroups, RegressorParams):
    """What `GroupedTorchRegressor` takes."""


class GroupedClassifierParams(HasGroups, ClassifierParams):
    """What `GroupedTorchClassifier` takes."""
