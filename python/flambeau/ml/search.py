"""Searches for good parameters: at random, and by successive halving. MLlib itself has a grid only.

    from flambeau.ml import RandomSearch, log_uniform, choice

    head = TorchClassifier(maxEpochs=20)
    space = {head.learningRate: log_uniform(1e-4, 1e-1), head.hiddenLayers: choice([], [64], [128, 64])}
    found = RandomSearch(estimator=head, space=space, evaluator=evaluator, numTrials=16).fit(rows)
    found.bestModel, found.avgMetrics, found.trials.show(), found.plot()

What lives here: `RandomSearch`, `SuccessiveHalving` and `SearchModel`; the spaces are in `_spaces`. Both hold back a part of the rows (the
same for all trials), fit the others through `fitMultiple`, and compare the models with the evaluator. For heads, `fitMultiple` reads and
featurizes the rows once for all trials.

Any Spark ML estimator works, also one written in Python. That is why this does not wrap the searches that the jar has for Scala. Only the
driver runs this code; fits run as Spark jobs. Saving and loading: `_saved_searches`.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING, Any, TypeVar

from pyspark.ml import Estimator, Model
from pyspark.ml.param import Param, TypeConverters
from pyspark.ml.param.shared import HasParallelism, HasSeed
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import SparkSession

from . import _saved_searches as saved
from ._params import Keywords, param
from ._spaces import Draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pyspark.ml.evaluation import Evaluator
    from pyspark.sql import DataFrame

ParamMap = dict[Param[Any], Any]
S = TypeVar("S", bound="_Search")


@dataclass(frozen=True)
class Trial:
    """One fit: its candidate, its round, its `resource` (halving only), its values (one for each column of the table), and the
    evaluator's metric."""

    candidate: int
    round: int
    resource: int | None
    params: dict[str, Any]
    metric: float


class _Search(Keywords, Estimator[Any], HasSeed, HasParallelism, MLWritable, MLReadable[Any]):
    """Shared by the searches."""

    estimator: Estimator[Any]
    space: dict[Param[Any], Draw]
    evaluator: Evaluator

    numTrials: Param[int] = param("numTrials", "parameter sets that are tried", TypeConverters.toInt)
    trainRatio: Param[float] = param(
        "trainRatio",
        "share of the rows that is trained on; trials are compared on the others",
        TypeConverters.toFloat,
    )

    def __init__(
        self, estimator: Estimator[Any], space: Mapping[Param[Any], Draw], evaluator: Evaluator, **given: Any
    ) -> None:
        super().__init__()
        self._setDefault(numTrials=16, trainRatio=0.75, seed=0, parallelism=1)
        self.estimator, self.space, self.evaluator = estimator, dict(space), evaluator
        self._given(given)

    def _candidates(self) -> list[ParamMap]:
        source = random.Random(self.getSeed())
        return [{name: draw(source) for name, draw in self.space.items()} for _ in range(self.getNumTrials())]

    def _columns(self, params: ParamMap) -> dict[str, Any]:
        """The values by column: a parameter's name, with its stage's uid before it if the name alone is ambiguous."""
        names = Counter(["candidate", "round", "resource", "metric", *(each.name for each in self.space)])
        return {p.name if names[p.name] == 1 else f"{p.parent}.{p.name}": _plain(value) for p, value in params.items()}

    def copy(self: S, extra: ParamMap | None = None) -> S:
        """A copy with these parameters; those of the estimator and of the evaluator are passed to them, as in `CrossValidator`."""
        extra = extra or {}
        same = super().copy(extra)
        same.estimator, same.evaluator = self.estimator.copy(extra), self.evaluator.copy(extra)
        same.space = dict(self.space)
        return same

    def write(self) -> MLWriter:
        """The writer: the search, its estimator and evaluator (which must be writable), its space."""
        return saved.SearchWriter(self)

    @classmethod
    def read(cls: type[S]) -> MLReader[S]:
        """The reader of saved searches of this class."""
        return saved.SearchReader(cls)

    def _fit(self, dataset: DataFrame) -> SearchModel:
        ratio = self.getTrainRatio()
        if not 0 < ratio < 1:
            raise ValueError(f"trainRatio is {ratio}; it must be between 0 and 1")
        if not self.space or self.getNumTrials() < 1:
            raise ValueError(f"need a parameter to draw and a trial, not {len(self.space)} and {self.getNumTrials()}")
        train, held = (part.cache() for part in dataset.randomSplit([ratio, 1 - ratio], self.getSeed()))
        try:
            best, trials = self._run(train, held)
        finally:
            train.unpersist()
            held.unpersist()
        return self._copyValues(SearchModel(best, trials)._resetUid(self.uid))

    def _run(self, train: DataFrame, held: DataFrame) -> tuple[Model, list[Trial]]:
        raise TypeError(f"{type(self).__name__} does not say how it searches")

    def _tried(self, train: DataFrame, held: DataFrame, maps: Sequence[ParamMap]) -> list[tuple[Model, float]]:
        """The model and the metric of each parameter map; `parallelism` fits run in parallel, each over a share of the maps."""
        lanes = max(1, min(self.getParallelism(), len(maps)))
        shares = [list(range(lane, len(maps), lanes)) for lane in range(lanes)]

        def work(share: list[int]) -> list[tuple[int, Model, float]]:
            fitted = self.estimator.fitMultiple(train, [maps[index] for index in share])
            return [(share[at], model, self.evaluator.evaluate(model.transform(held))) for at, model in fitted]

        with ThreadPool(lanes) as pool:
            found = sorted((one for part in pool.map(work, shares) for one in part), key=lambda one: one[0])
        return [(model, metric) for _, model, metric in found]

    def _ranked(self, metrics: Sequence[float]) -> list[int]:
        """Positions, the best first; NaN comes last."""
        sign = -1.0 if self.evaluator.isLargerBetter() else 1.0
        return sorted(range(len(metrics)), key=lambda at: math.inf if math.isnan(metrics[at]) else sign * metrics[at])


class RandomSearch(_Search):
    """Tries `numTrials` parameter sets drawn at random.

    Parameters
    ----------
    estimator, evaluator : any of Spark ML's
    space : parameter of the estimator -> distribution (`uniform`, `log_uniform`, `integer`, `choice`)
    numTrials : default 16
    trainRatio : part of the rows that is trained on; default 0.75
    parallelism : fits that run in parallel; default 1
    seed : of the draws and of the split; default 0
    """

    def _run(self, train: DataFrame, held: DataFrame) -> tuple[Model, list[Trial]]:
        candidates = self._candidates()
        tried = self._tried(train, held, candidates)
        order = self._ranked([metric for _, metric in tried])
        trials = [Trial(at, 0, None, self._columns(candidates[at]), float(tried[at][1])) for at in order]
        return tried[order[0]][0], trials


class SuccessiveHalving(_Search):
    """Tries many parameter sets for a short time, and the best of them for longer, round by round.

    A round fits each remaining set from the beginning, with the `resource` of the round. The best `1 / reduction` of them enter the
    next round with `reduction` times as much. The last round has `maxResource`.

    Parameters
    ----------
    resource : a whole-number parameter of the estimator that says how much a fit costs, e.g. `estimator.maxEpochs`
    minResource, maxResource : of the first and of the last round; default 1 and 27
    reduction : default 3
    estimator, space, evaluator, numTrials, trainRatio, parallelism, seed : as for `RandomSearch`
    """

    minResource: Param[int] = param("minResource", "resource of a fit in the first round", TypeConverters.toInt)
    maxResource: Param[int] = param("maxResource", "resource of a fit in the last round", TypeConverters.toInt)
    reduction: Param[int] = param(
        "reduction",
        "factor between rounds: the number of sets is divided by it, and the resource of each multiplied by it",
        TypeConverters.toInt,
    )

    def __init__(
        self,
        estimator: Estimator[Any],
        space: Mapping[Param[Any], Draw],
        evaluator: Evaluator,
        resource: Param[Any],
        **given: Any,
    ) -> None:
        super().__init__(estimator, space, evaluator)
        self._setDefault(minResource=1, maxResource=27, reduction=3)
        # Not as an attribute: Spark takes every attribute that is a Param for the search's own, and renames its owner.
        self._resource = (resource,)
        self._given(given)

    @property
    def resource(self) -> Param[Any]:
        """The parameter of the estimator that says how much a fit costs."""
        return self._resource[0]

    def _run(self, train: DataFrame, held: DataFrame) -> tuple[Model, list[Trial]]:
        least, most, factor = self.getMinResource(), self.getMaxResource(), self.getReduction()
        if not (factor > 1 and 0 < least <= most):
            raise ValueError(f"need reduction > 1 and 0 < minResource <= maxResource, not {factor}, {least} and {most}")
        if self.resource in self.space:
            raise ValueError(f"{self.resource.name} is the resource, so it cannot be in the space")
        remaining = list(enumerate(self._candidates()))
        trials: list[Trial] = []
        resource, number = least, 0
        while True:
            tried = self._tried(train, held, [{**params, self.resource: resource} for _, params in remaining])
            order = self._ranked([metric for _, metric in tried])
            trials = [
                Trial(remaining[at][0], number, resource, self._columns(remaining[at][1]), float(tried[at][1]))
                for at in order
            ] + trials
            if resource >= most or len(remaining) == 1:
                return tried[order[0]][0], trials
            remaining = [remaining[at] for at in order[: max(1, len(remaining) // factor)]]
            resource, number = most if len(remaining) == 1 else min(most, resource * factor), number + 1


class SearchModel(Model, MLWritable, MLReadable[Any]):
    """The result of a search. It transforms with `bestModel`."""

    def __init__(self, bestModel: Model, trials: Sequence[Trial]) -> None:
        super().__init__()
        self.bestModel = bestModel
        self._trials = list(trials)
        """The best first, those of later rounds before those of earlier ones."""

    @property
    def avgMetrics(self) -> list[float]:
        """The metric of each parameter set, in the order of the draws; for halving, of its last round."""
        last = {trial.candidate: trial.metric for trial in reversed(self._trials)}
        return [last[candidate] for candidate in sorted(last)]

    @property
    def trials(self) -> DataFrame:
        """A row for each fit, the best first, later rounds before earlier ones.

        Columns: `candidate`, `round`, `resource` (NULL unless halving), one for each parameter, `metric`. If two stages have a
        parameter of the same name, the stage's uid comes before the name.
        """
        names = list(self._trials[0].params)
        columns = {name: [trial.params[name] for trial in self._trials] for name in names}
        kinds = {name: _kind(values) for name, values in columns.items()}
        rows = [
            (t.candidate, t.round, t.resource, *(kinds[name][1](t.params[name]) for name in names), t.metric)
            for t in self._trials
        ]
        middle = "".join(f", `{name}` {kind}" for name, (kind, _) in kinds.items())
        schema = f"candidate bigint, round bigint, resource bigint{middle}, metric double"
        return SparkSession.active().createDataFrame(rows, schema)

    def plot(self) -> Figure:
        """The metric of every fit over each parameter that is a number. Needs matplotlib."""
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("plot() needs matplotlib: python -m pip install matplotlib") from error
        numbers = [name for name, value in self._trials[0].params.items() if isinstance(value, (int, float))]
        names: Sequence[str | None] = numbers or [None]
        figure = Figure(figsize=(4 * len(names), 4), layout="constrained")
        for panel, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
            places = [t.candidate if name is None else t.params[name] for t in self._trials]
            dots = panel.scatter(places, [t.metric for t in self._trials], c=[t.round for t in self._trials])
            panel.set_xlabel("candidate" if name is None else name)
            panel.set_ylabel("metric")
            if name is not None and min(places) > 0 and max(places) > 20 * min(places):
                panel.set_xscale("log")
        if any(t.round for t in self._trials):
            figure.colorbar(dots, label="round")
        return figure

    def copy(self, extra: ParamMap | None = None) -> SearchModel:
        """A copy; the parameters go to the best model."""
        same = super().copy(extra)
        same.bestModel = self.bestModel.copy(extra)
        return same

    def write(self) -> MLWriter:
        """The writer: the best model (which must be writable) and all trials."""
        return saved.ModelWriter(self)

    @classmethod
    def read(cls) -> MLReader[SearchModel]:
        """The reader of saved models."""
        return saved.ModelReader(cls, Trial)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        return self.bestModel.transform(dataset)


def _plain(value: Any) -> Any:
    """A parameter's value as a table and JSON can hold it."""
    value = value.item() if hasattr(value, "item") else value  # NumPy's numbers
    return value if isinstance(value, (bool, int, float)) else str(value)


def _kind(values: Sequence[Any]) -> tuple[str, Callable[[Any], Any]]:
    """The type of a column with these values, and how a value becomes one of it."""
    for types, name, convert in (((bool,), "boolean", bool), ((int,), "bigint", int), ((int, float), "double", float)):
        if all(type(value) in types for value in values):
            return name, convert
    return "string", str
