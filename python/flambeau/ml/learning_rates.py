"""Which learning rate to begin with: what `findLearningRate` of an estimator found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class LearningRateRange:
    """The losses of steps with ever greater learning rates.

    - `learningRates` of the steps.
    - `losses` of the steps, each before it changed the parameters.
    - `smoothed`: the losses as a moving average, which keeps 0.9 of itself in each step.
    - `suggestion`: the rate at which the smoothed loss falls fastest.
    """

    learningRates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float

    def plot(self) -> Figure:
        """The smoothed loss over the rates, with the suggestion marked, as a matplotlib figure."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot(self.learningRates, self.smoothed)
        axes.axvline(self.suggestion, linestyle="--", label=f"suggestion {self.suggestion:.2g}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
        axes.legend()
        return figure
