"""Searches for good parameters beside MLlib's grid: at random, and by successive halving.

    from flambeau.ml import RandomSearch, log_uniform, choice

    head = TorchClassifier(maxEpochs=20)
    space = {head.learningRate: log_uniform(1e-4, 1e-1), head.hiddenLayers: choice([], [64], [128, 64])}
    found = RandomSearch(estimator=head, space=space, evaluator=evaluator, numTrials=16).fit(rows)
    found.bestModel, found.avgMetrics, found.trials.show(), found.plot()

What lives here: the spaces, `RandomSearch`, `SuccessiveHalving` and `SearchModel`. Both hold back a part of the rows (the
same for all trials), fit the others through `fitMultiple`, which for heads reads and featurizes the rows once for all trials,
and compare by the evaluator. Any Spark ML estimator will do. Only the driver runs what is here; fits run as Spark jobs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from typing import TYPE_CHECKING, Any

from pyspark.ml import Estimator, Model
from pyspark.ml.param import Param, TypeConverters
from pyspark.ml.param.shared import HasParallelism, HasSeed
from pyspark.sql import SparkSession

from ._params import Keywords, param

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pyspark.ml.evaluation import Evaluator
    from pyspark.sql import DataFrame

Draw = Callable[[random.Random], Any]
ParamMap = dict[Param, Any]


def uniform(low: float, high: float) -> Draw:
    """A number between `low` and `high`, all equally likely."""
    return lambda source: source.uniform(low, high)


def log_uniform(low: float, high: float) -> Draw:
    """A number between `low` and `high`, both above 0, all orders of magnitude equally likely: right for learning rates."""
    if not 0 < low <= high:
        raise ValueError(f"log_uniform needs 0 < low <= high, not {low} and {high}")
    return lambda source: math.exp(source.uniform(math.log(low), math.log(high)))


def integer(low: int, high: int) -> Draw:
    """A whole number from `low` to `high`, both included."""
    return lambda source: source.randint(low, high)


def choice(*values: Any) -> Draw:
    """One of the values."""
    return lambda source: source.choice(values)


@dataclass(frozen=True)
class Trial:
    """One fit: which candidate, in which round, with what of `resource` (halving only), and what the evaluator said."""

    candidate: int
    round: int
    resource: int | None
    params: ParamMap
    metric: float


class _Search(Keywords, Estimator, HasSeed, HasParallelism):
    """What the searches share."""

    numTrials: Param[int] = param("numTrials", "parameter sets that are tried", TypeConverters.toInt)
    trainRatio: Param[float] = param(
        "trainRatio",
        "part of the rows that is trained on; the others are what trials are compared by",
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

    def _fit(self, dataset: DataFrame) -> SearchModel:
        ratio = self.getTrainRatio()
        if not 0 < ratio < 1:
            raise ValueError(f"trainRatio is {ratio}; it must be between 0 and 1")
        train, held = (part.cache() for part in dataset.randomSplit([ratio, 1 - ratio], self.getSeed()))
        try:
            best, trials = self._run(train, held)
        finally:
            train.unpersist()
            held.unpersist()
        return SearchModel(best, trials, self.evaluator.isLargerBetter())

    def _run(self, train: DataFrame, held: DataFrame) -> tuple[Model, list[Trial]]:
        raise TypeError(f"{type(self).__name__} does not say how it searches")

    def _tried(self, train: DataFrame, held: DataFrame, maps: Sequence[ParamMap]) -> list[tuple[Model, float]]:
        """The model and the metric of each parameter map; `parallelism` fits run side by side, each over a share of the maps."""
        lanes = max(1, min(self.getParallelism(), len(maps)))
        shares = [list(range(lane, len(maps), lanes)) for lane in range(lanes)]

        def work(share: list[int]) -> list[tuple[int, Model, float]]:
            fitted = self.estimator.fitMultiple(train, [maps[index] for index in share])
            return [(share[at], model, self.evaluator.evaluate(model.transform(held))) for at, model in fitted]

        with ThreadPool(lanes) as pool:
            found = sorted((one for part in pool.map(work, shares) for one in part), key=lambda one: one[0])
        return [(model, metric) for _, model, metric in found]

    def _ranked(self, metrics: Sequence[float]) -> list[int]:
        """Positions, the best first; what is no number comes last."""
        sign = -1.0 if self.evaluator.isLargerBetter() else 1.0
        return sorted(range(len(metrics)), key=lambda at: math.inf if math.isnan(metrics[at]) else sign * metrics[at])


class RandomSearch(_Search):
    """Tries `numTrials` parameter sets drawn at random.

    Parameters
    ----------
    estimator, evaluator : any of Spark ML's
    space : parameter of the estimator -> what to draw from (`uniform`, `log_uniform`, `integer`, `choice`)
    numTrials : default 16
    trainRatio : part of the rows that is trained on; default 0.75
    parallelism : fits that run side by side; default 1
    seed : of the draws and of the split; default 0
    """

    def _run(self, train: DataFrame, held: DataFrame) -> tuple[Model, list[Trial]]:
        candidates = self._candidates()
        tried = self._tried(train, held, candidates)
        trials = [Trial(at, 0, None, candidates[at], metric) for at, (_, metric) in enumerate(tried)]
        return tried[self._ranked([trial.metric for trial in trials])[0]][0], trials


class SuccessiveHalving(_Search):
    """Tries many parameter sets shortly, and the best of them for longer, round by round.

    A round fits each remaining set anew with as much of `resource` as the round allows; the best `1 / reduction` of them go
    on with `reduction` times as much, the last one with `maxResource`.

    Parameters
    ----------
    resource : a whole-number parameter of the estimator that says how much a fit costs, e.g. `estimator.maxEpochs`
    minResource, maxResource : of the first and of the last round; default 1 and 27
    reduction : default 3
    estimator, space, evaluator, numTrials, trainRatio, parallelism, seed : as for `RandomSearch`
    """

    minResource: Param[int] = param(
        "minResource", "what a fit of the first round gets of the resource", TypeConverters.toInt
    )
    maxResource: Param[int] = param(
        "maxResource", "what a fit of the last round gets of the resource", TypeConverters.toInt
    )
    reduction: Param[int] = param(
        "reduction",
        "by what the number of sets falls, and the resource of each rises, from round to round",
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
        self.resource = resource
        self._given(given)

    def _run(self, train: DataFrame, held: DataFrame) -> tuple[Model, list[Trial]]:
        least, most, factor = self.getMinResource(), self.getMaxResource(), self.getReduction()
        if not (factor > 1 and 0 < least <= most):
            raise ValueError(f"need reduction > 1 and 0 < minResource <= maxResource, not {factor}, {least} and {most}")
        remaining = list(enumerate(self._candidates()))
        trials: list[Trial] = []
        resource, number = least, 0
        while True:
            tried = self._tried(train, held, [{**params, self.resource: resource} for _, params in remaining])
            trials += [
                Trial(candidate, number, resource, params, metric)
                for (candidate, params), (_, metric) in zip(remaining, tried)
            ]
            order = self._ranked([metric for _, metric in tried])
            if resource >= most or len(remaining) == 1:
                return tried[order[0]][0], trials
            remaining = [remaining[at] for at in order[: max(1, len(remaining) // factor)]]
            resource, number = most if len(remaining) == 1 else min(most, resource * factor), number + 1


class SearchModel(Model):
    """What a search found: `bestModel` is used in its place."""

    def __init__(self, bestModel: Model, trials: Sequence[Trial], larger_is_better: bool) -> None:
        super().__init__()
        self.bestModel = bestModel
        self._trials = list(trials)
        self._larger_is_better = larger_is_better

    @property
    def avgMetrics(self) -> list[float]:
        """What the evaluator said of each parameter set, in the order of the draws; of halving, in its last round."""
        last = {trial.candidate: trial.metric for trial in self._trials}
        return [last[candidate] for candidate in sorted(last)]

    @property
    def trials(self) -> DataFrame:
        """A row for each fit, the best first: `candidate`, `round`, `resource`, a column for each parameter, `metric`."""
        ordered = sorted(self._trials, key=lambda t: (-t.round, -t.metric if self._larger_is_better else t.metric))
        rows = [
            {
                "candidate": t.candidate,
                "round": t.round,
                "resource": t.resource,
                **{name.name: _plain(value) for name, value in t.params.items()},
                "metric": float(t.metric),
            }
            for t in ordered
        ]
        kinds = {int: "bigint", float: "double", bool: "boolean"}
        schema = ", ".join(
            f"`{name}` {'bigint' if name == 'resource' else kinds.get(type(value), 'string')}"
            for name, value in rows[0].items()
        )
        return SparkSession.active().createDataFrame([tuple(row.values()) for row in rows], schema)

    def plot(self) -> Figure:
        """The metric of every fit over each parameter that is a number. Needs matplotlib."""
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("plot() needs matplotlib: python -m pip install matplotlib") from error
        names = [p for p, value in self._trials[0].params.items() if isinstance(value, (int, float))] or [None]
        figure = Figure(figsize=(4 * len(names), 4), layout="constrained")
        for panel, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names):
            places = [t.candidate if name is None else t.params[name] for t in self._trials]
            dots = panel.scatter(places, [t.metric for t in self._trials], c=[t.round for t in self._trials])
            panel.set_xlabel("candidate" if name is None else name.name)
            panel.set_ylabel("metric")
            if name is not None and min(places) > 0 and max(places) > 20 * min(places):
                panel.set_xscale("log")
        if any(t.round for t in self._trials):
            figure.colorbar(dots, label="round")
        return figure

    def _transform(self, dataset: DataFrame) -> DataFrame:
        return self.bestModel.transform(dataset)


def _plain(value: Any) -> Any:
    """A parameter's value as a table can hold it."""
    return value if isinstance(value, (bool, int, float)) else str(value)
