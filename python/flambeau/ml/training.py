"""Estimators that train in Spark, and their models.

    from flambeau.ml import TorchClassifier

    classifier = TorchClassifier(featuresCol="content", modelName="efficientnet_lite0", numWorkers=4, maxEpochs=20)
    model = classifier.fit(photos)                  # label, content
    model.transform(more).select("prediction")
    model.summary.history.show()
    model.savePackage("/models/mine")               # for flambeau.register and SQL

What lives here: the estimators, thin over the jar's, and their models. `fit` with several parameter maps reads and
featurizes the rows once. What each parameter does and when to change it: docs/training.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.ml.wrapper import JavaEstimator, JavaModel
from pyspark.sql import DataFrame as ClassicDataFrame
from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from .. import _setup
from .._names import JAVA_PACKAGE
from ._generated_params import (
    ClassifierKeywords,
    ClassifierParams,
    EstimatorKeywords,
    EstimatorParams,
    GroupedClassifierKeywords,
    GroupedClassifierParams,
    GroupedKeywords,
    GroupedParams,
    RegressorKeywords,
    RegressorParams,
)
from ._params import Keywords, Saved
from .callback import EpochEnd, JavaCallback
from .learning_rates import LearningRateRange
from .summary import TrainingSummary

if TYPE_CHECKING:
    from pyspark.ml.param import Param
    from pyspark.sql import DataFrame
    from typing_extensions import Self, Unpack


class TrainedModel(Keywords, JavaModel, Saved):
    """What fitted models share. It comes before the class of its parameters, as the others here do."""

    def __init__(self, java_model: Any = None) -> None:
        JavaModel.__init__(self, java_model)
        self._setDefault(**self._defaults())
        if java_model is not None and not is_remote():
            self._transfer_params_from_java()

    @property
    def hasSummary(self) -> bool:
        """Whether this model was fitted in this session."""
        return bool(self._call_java("hasSummary"))

    @property
    def summary(self) -> TrainingSummary:
        """How its training went; only of a model that was fitted in this session."""
        assert self._java_obj is not None
        return TrainingSummary(self._java_obj.summary())

    def savePackage(self, path: str | os.PathLike[str]) -> None:
        """Copies the model's package into a new folder, on any Hadoop file system. It is a model like any other, for
        `flambeau.register`, `featurize`, `classify`, `infer`."""
        self._call_java("savePackage", os.fspath(path))


class Trainer(Keywords, JavaEstimator[Any], Saved):
    """What estimators share."""

    _model_class: type[Any]

    def __init__(self, **given: Any) -> None:
        super().__init__()
        _setup.require_stages(type(self).__name__)
        self._java_obj = self._new_java_obj(f"{JAVA_PACKAGE}.{type(self).__name__}", self.uid)
        self._setDefault(**self._defaults())
        self._given(given)

    def _create_model(self, java_model: Any) -> Any:
        return self._model_class(java_model)

    def fitMultiple(self, dataset: DataFrame, paramMaps: Sequence[dict[Param[Any], Any]]) -> Iterator[tuple[int, Any]]:
        """A model for each parameter map. The rows are read once for all maps that use the same rows in the same way."""
        if is_remote():
            return super().fitMultiple(dataset, paramMaps)
        estimator = self.copy()
        estimator._transfer_params_to_java()
        jvm = dataset.sparkSession._jvm
        assert jvm is not None, "a classic session"
        maps = [estimator._transfer_param_map_to_java(each) for each in paramMaps]
        java_models = estimator._java_obj.fit(dataset._jdf, jvm.PythonUtils.toSeq(maps))
        models = []
        for index, each in enumerate(paramMaps):
            one = estimator.copy(each)
            models.append((index, one._copyValues(one._create_model(java_models.apply(index)))))
        return iter(models)


class EpochTrainer(Trainer):
    """What estimators of one model share: its epochs can be watched, and its learning rate found."""

    def findLearningRate(
        self, dataset: DataFrame, start: float = 1e-6, end: float = 1.0, steps: int = 100
    ) -> LearningRateRange:
        """Tries learning rates: makes `steps` steps, each with a greater rate, and notes their losses. The result suggests a rate.

        Nothing else of this estimator changes; validation rows are not used, and no checkpoint is written. Not over Spark Connect.

        Args:
            dataset: the rows, as for `fit`.
            start: the first rate.
            end: the last rate, if the loss has not exploded before.
            steps: how many are tried.
        """
        if is_remote():
            raise ValueError(
                "findLearningRate needs a classic session: over Spark Connect, training runs on the server"
            )
        self._transfer_params_to_java()
        assert self._java_obj is not None
        found = self._java_obj.findLearningRate(dataset._jdf, float(start), float(end), int(steps))
        return LearningRateRange(
            [float(rate) for rate in found.learningRates()],
            [float(loss) for loss in found.losses()],
            [float(loss) for loss in found.smoothed()],
            float(found.suggestion()),
        )

    def setEpochCallback(self, function: Callable[[EpochEnd], None]) -> Self:
        """Calls `function` after each epoch of a fit, in this process; the workers wait meanwhile.

        It gets the epoch's losses and metrics (`EpochEnd`), and may stop the training, which then ends as with `patience`. If it raises an
        error, the fit fails with it. It is not a parameter: copies have it, a saved estimator does not. Not over Spark Connect.
        """
        if is_remote():
            raise ValueError(
                "an epoch callback needs a classic session: over Spark Connect, training runs on the server"
            )
        # Not at the top: a client of Spark Connect alone has no gateway.
        from pyspark import SparkContext
        from pyspark.java_gateway import ensure_callback_server_started

        ensure_callback_server_started(SparkContext._gateway)
        self._java_obj.setEpochCallback(JavaCallback(function))
        return self


class TorchClassificationModel(TrainedModel, ClassifierParams):
    """A fitted `TorchClassifier`: adds scores, probabilities and the most probable class, lazily."""

    @property
    def numClasses(self) -> int:
        """Number of classes."""
        return int(self._call_java("numClasses"))


class TorchClassifier(EpochTrainer, ClassifierParams):
    """A classifier over features: a linear layer, or hidden layers, trained inside the executors.

    Features are vectors or arrays of numbers. With `modelName` they are images, sounds or texts, and that model computes their features,
    once for all epochs. Labels are 0, 1, … as `StringIndexer` makes them. The same rows, seed and batch size give the same
    model with one worker and with several, up to the rounding of floats. Parameters: docs/training.md.
    """

    _model_class = TorchClassificationModel

    def __init__(self, **params: Unpack[ClassifierKeywords]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[ClassifierKeywords]) -> Self:
        """Sets the parameters that are given, as the constructor does."""
        return self._given(params)


class TorchRegressionModel(TrainedModel, RegressorParams):
    """A fitted `TorchRegressor`: adds the predicted number, or a vector of them, lazily."""


class TorchRegressor(EpochTrainer, RegressorParams):
    """A regressor over features: a linear layer, or hidden layers, trained inside the executors.

    Features as for `TorchClassifier`. Labels are numbers, or vectors or arrays of numbers for several targets at once.
    Parameters: docs/training.md.
    """

    _model_class = TorchRegressionModel

    def __init__(self, **params: Unpack[RegressorKeywords]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[RegressorKeywords]) -> Self:
        """Sets the parameters that are given, as the constructor does."""
        return self._given(params)


class TorchEstimatorModel(TrainedModel, EstimatorParams):
    """A fitted `TorchEstimator`: adds a classifier's columns, or the program's output as the prediction, lazily."""


class TorchEstimator(EpochTrainer, EstimatorParams):
    """Trains a TorchScript program, whole or in part: fine-tunes a network end to end, inside the executors.

    The program is a trainable package (`flambeau.export.trainable`), with inputs of any kind. The loss has a name,
    or is a method of the program (`method:NAME`). With `cross_entropy`, labels are classes and the model adds a classifier's
    columns. With any other loss it adds the output as the prediction. Parameters: docs/training.md.
    """

    _model_class = TorchEstimatorModel

    def __init__(self, **params: Unpack[EstimatorKeywords]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[EstimatorKeywords]) -> Self:
        """Sets the parameters that are given, as the constructor does."""
        return self._given(params)


class GroupedModel(Keywords, JavaModel, Saved):
    """What the models of many groups share."""

    def __init__(self, java_model: Any = None) -> None:
        JavaModel.__init__(self, java_model)
        self._setDefault(**self._defaults())
        if java_model is not None and not is_remote():
            self._transfer_params_from_java()

    @property
    def models(self) -> DataFrame:
        """A row for each group: the group's column, `rows`, `loss` (NaN where it diverged) and `parameters`."""
        assert self._java_obj is not None
        return ClassicDataFrame(self._java_obj.models(), SparkSession.active())


class GroupedTorchRegressionModel(GroupedModel, GroupedParams):
    """A fitted `GroupedTorchRegressor`: gives each row the prediction of its own group's model."""


class GroupedTorchRegressor(Trainer, GroupedParams):
    """One small regressor for every group of the rows, thousands of them in one job.

    Each of `numWorkers` tasks gets all rows of its groups and trains their heads together. The result is the same as if each group
    were trained alone. `batchSize` counts the rows of one group; default: all of them. Not supported: parameters that watch, stop or
    save one training, and `modelName`, `dropout`, `clipNorm` and `bf16`.
    """

    _model_class = GroupedTorchRegressionModel

    def __init__(self, **params: Unpack[GroupedKeywords]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[GroupedKeywords]) -> Self:
        """Sets the parameters that are given, as the constructor does."""
        return self._given(params)


class GroupedTorchClassificationModel(GroupedModel, GroupedClassifierParams):
    """A fitted `GroupedTorchClassifier`: gives each row the scores, the probabilities and the most probable class by its own
    group's model."""

    @property
    def numClasses(self) -> int:
        """Number of classes of each model."""
        return int(self._call_java("numClasses"))


class GroupedTorchClassifier(Trainer, GroupedClassifierParams):
    """One small classifier for every group of the rows, thousands of them in one job.

    Labels are 0, 1, … as for `TorchClassifier`. All groups have the same classes. Their number comes from the label column's
    metadata. Without metadata it is the largest label of all rows plus one, and the rows are read again to find it. Otherwise as
    `GroupedTorchRegressor`. `balance` is not supported.
    """

    _model_class = GroupedTorchClassificationModel

    def __init__(self, **params: Unpack[GroupedClassifierKeywords]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[GroupedClassifierKeywords]) -> Self:
        """Sets the parameters that are given, as the constructor does."""
        return self._given(params)
