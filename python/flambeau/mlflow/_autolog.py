"""Fits as runs of MLflow.

What lives here: `autolog`, which wraps the `fit` of Flambeau's estimators, of its searches, and of Spark's `CrossValidator` and
`TrainValidationSplit` over them. A fit is one run, or goes into the run that is active. A search is one run too, with a run
below it for each set of parameters; the fits that it makes have no runs of their own.

The wrapping is MLflow's (`safe_patch`): if logging fails, it warns, and the fit continues. What is logged is read from the fitted model
when the fit has ended.
"""

from __future__ import annotations

import contextlib
import importlib.util
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.utils.autologging_utils import autologging_integration, get_autologging_config
from mlflow.utils.autologging_utils.safety import safe_patch
from mlflow.utils.mlflow_tags import MLFLOW_AUTOLOGGING
from mlflow.utils.validation import MAX_METRICS_PER_BATCH, MAX_PARAM_VAL_LENGTH
from pyspark.ml import PipelineModel
from pyspark.ml.tuning import CrossValidator, TrainValidationSplit
from pyspark.sql.utils import is_remote

from ..ml.search import SearchModel, _Search
from ..ml.training import TrainedModel, Trainer
from ._flavor import FLAVOR, log_model

Params = Mapping[str, Any]

_searches = 0
"""How many searches are running: their fits have no runs of their own. They may run on other threads."""
_lock = threading.Lock()


@autologging_integration(FLAVOR)  # type: ignore[untyped-decorator]  # MLflow's own
def autolog(
    log_models: bool = True,
    log_plots: bool = True,
    registered_model_name: str | None = None,
    exclusive: bool = False,
    disable: bool = False,
    silent: bool = False,
) -> None:
    """Logs every fit of Flambeau's estimators to MLflow, from now on.

    A run gets the estimator's parameters, the losses and metrics of each epoch (the step is the epoch), a plot of them, and the
    fitted model. It also gets the numbers of rows and steps. If a run is active, the fit is logged to it. A fit that fails is a failed
    run. `RandomSearch`, `SuccessiveHalving`, `CrossValidator` and `TrainValidationSplit` are one run, with a nested run for each
    set of parameters that has its metric. Grouped estimators log their parameters only.

    Over Spark Connect only parameters are logged: the model and its history are on the server.

    Args:
        log_models: whether the fitted model is logged too, as `log_model` does, under the name `model`.
        log_plots: whether the plot is logged, as `training.png`. It needs matplotlib.
        registered_model_name: also registers each fitted model, as a new version of this name.
        exclusive: whether fits are left out while a run is active that the user started.
        disable: turns it off again.
        silent: whether MLflow's messages and warnings about it are suppressed.
    """
    safe_patch(FLAVOR, Trainer, "fit", _fit)
    for search in (CrossValidator, TrainValidationSplit, _Search):
        safe_patch(FLAVOR, search, "fit", _search)


def _fit(original: Callable[..., Any], self: Any, dataset: Any, params: Any = None) -> Any:
    if _searches:
        return original(self, dataset, params)
    with _run(f"{type(self).__name__}"):
        if isinstance(params, (list, tuple)):
            fitted = original(self, dataset, params)
            for each, model in zip(params, fitted):
                with mlflow.start_run(nested=True, tags={MLFLOW_AUTOLOGGING: FLAVOR}):
                    _log_params(self.copy(each))
                    _log_fitted(model)
            return fitted
        _log_params(self.copy(params) if params else self)
        model = original(self, dataset, params)
        _log_fitted(model)
        return model


def _search(original: Callable[..., Any], self: Any, dataset: Any, params: Any = None) -> Any:
    """A search over estimators of Flambeau; others are not ours to log."""
    if (
        _searches
        or isinstance(params, (list, tuple))
        or not _trains(self.getEstimator() if hasattr(self, "getEstimator") else self.estimator)
    ):
        return original(self, dataset, params)
    with _run(type(self).__name__):
        with _searching():
            found = original(self, dataset, params)
        trials = _trials(self, found)
        for trial in trials:
            with mlflow.start_run(nested=True, tags={MLFLOW_AUTOLOGGING: FLAVOR}):
                mlflow.log_params(_short(trial[0]))
                mlflow.log_metrics(trial[1])
        _log_params(self)
        mlflow.log_param("trials", len(trials))
        _log_fitted(found.bestModel)
        return found


def _trains(estimator: Any) -> bool:
    stages = estimator.getStages() if hasattr(estimator, "getStages") else [estimator]
    return any(isinstance(stage, Trainer) for stage in stages)


@contextlib.contextmanager
def _run(name: str) -> Iterator[None]:
    """The active run, or a new one."""
    if mlflow.active_run():
        yield
    else:
        with mlflow.start_run(tags={MLFLOW_AUTOLOGGING: FLAVOR, "flambeau.estimator": name}):
            yield


@contextlib.contextmanager
def _searching() -> Iterator[None]:
    global _searches
    with _lock:
        _searches += 1
    try:
        yield
    finally:
        with _lock:
            _searches -= 1


def _trials(search: Any, found: Any) -> list[tuple[Params, dict[str, float]]]:
    """Parameters and metrics of each set that was tried."""
    evaluator = search.getEvaluator() if hasattr(search, "getEvaluator") else search.evaluator
    metric = evaluator.getMetricName() if hasattr(evaluator, "getMetricName") else "metric"
    if isinstance(found, SearchModel):
        rounds = [({"round": t.round, "resource": t.resource} if t.resource is not None else {}) for t in found._trials]
        return [({**t.params, **more}, {metric: t.metric}) for t, more in zip(found._trials, rounds)]
    metrics = found.avgMetrics if hasattr(found, "avgMetrics") else found.validationMetrics
    maps = search.getEstimatorParamMaps()
    return [({p.name: v for p, v in each.items()}, {metric: value}) for each, value in zip(maps, metrics)]


def _log_params(estimator: Any) -> None:
    values = {p.name: v for p, v in estimator.extractParamMap().items() if isinstance(v, (bool, int, float, str, list))}
    mlflow.log_params(_short({"estimator": type(estimator).__name__, **values}))


def _short(params: Params) -> dict[str, str]:
    """As text that MLflow takes."""
    return {name: str(value)[:MAX_PARAM_VAL_LENGTH] for name, value in params.items()}


def _log_fitted(fitted: Any) -> None:
    """The history, its plot and the package of a fitted model, or of the one that a pipeline ends with."""
    stages: Sequence[Any] = fitted.stages if isinstance(fitted, PipelineModel) else [fitted]
    for model in stages:
        if not isinstance(model, TrainedModel) or is_remote():
            continue
        if model.hasSummary:
            _log_history(model)
        if get_autologging_config(FLAVOR, "log_models", True):
            log_model(model, registered_model_name=get_autologging_config(FLAVOR, "registered_model_name", None))


def _log_history(model: TrainedModel) -> None:
    run = mlflow.active_run()
    assert run is not None
    summary = model.summary
    now = int(time.time() * 1000)
    epochs = [row.asDict() for row in summary.history.collect()]
    metrics = [
        Metric(name, float(value), now, epoch["epoch"])
        for epoch in epochs
        for name, value in epoch.items()
        if name != "epoch" and value is not None
    ]
    for start in range(0, len(metrics), MAX_METRICS_PER_BATCH):
        MlflowClient().log_batch(run.info.run_id, metrics=metrics[start : start + MAX_METRICS_PER_BATCH])
    totals = ("steps", "rows", "validationRows", "skippedRows")
    mlflow.log_metrics({name: float(getattr(summary, name)) for name in totals})
    mlflow.set_tag("flambeau.stoppedEarly", str(summary.stoppedEarly).lower())
    if get_autologging_config(FLAVOR, "log_plots", True) and importlib.util.find_spec("matplotlib"):
        mlflow.log_figure(summary.plot(), "training.png")
