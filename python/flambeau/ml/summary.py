"""How a training went: its history as a DataFrame and as a plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame, SparkSession

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOT_METRICS = {
    "epoch",
    "trainLoss",
    "validationLoss",
    "learningRate",
    "samples",
    "seconds",
    "samplesPerSecond",
    "waitedSeconds",
}
"""Columns of a history that are no metric."""


class TrainingSummary:
    """The `summary` of a model that was fitted in this session."""

    def __init__(self, java_summary: Any) -> None:
        self._java = java_summary

    @property
    def history(self) -> DataFrame:
        """A row for each epoch.

        Columns: `epoch` (from 1), `trainLoss`, `validationLoss`, one for each metric, `learningRate` (of the last step), `samples`,
        `seconds`, `samplesPerSecond`, `waitedSeconds`. `validationLoss` and the metrics are NULL without validation rows.
        `waitedSeconds` says how long the first worker's steps waited for their rows.
        """
        return DataFrame(self._java.history(), SparkSession.active())

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return int(self._java.steps())

    @property
    def stoppedEarly(self) -> bool:
        """Whether `patience` ended it before `maxEpochs`."""
        return bool(self._java.stoppedEarly())

    @property
    def rows(self) -> int:
        """Rows that were trained on."""
        return int(self._java.rows())

    @property
    def validationRows(self) -> int:
        """Rows in the validation set."""
        return int(self._java.validationRows())

    @property
    def skippedRows(self) -> int:
        """Rows that were left out by `handleInvalid`."""
        return int(self._java.skippedRows())

    def plot(self) -> Figure:
        """The losses and, next to them, the metrics, by epoch. Needs matplotlib."""
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("summary.plot() needs matplotlib: python -m pip install matplotlib") from error
        epochs = [row.asDict() for row in self.history.collect()]
        metrics = [name for name in (epochs[0] if epochs else {}) if name not in NOT_METRICS]
        figure = Figure(figsize=(10 if metrics else 5, 4), layout="constrained")
        panels = figure.subplots(1, 2 if metrics else 1, squeeze=False)[0]
        for panel, names in zip(panels, (["trainLoss", "validationLoss"], metrics)):
            for name in names:
                points = [(row["epoch"], row[name]) for row in epochs if row[name] is not None]
                if points:
                    panel.plot(*zip(*points), label=name, marker="." if len(points) < 30 else None)
            panel.set_xlabel("epoch")
            panel.legend()
        return figure
