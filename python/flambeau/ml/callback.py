"""What a program does after each epoch of a training: `setEpochCallback` of an estimator.

What lives here: `EpochEnd`, what the function gets; and the object that the JVM calls (over Py4J, as with `foreachBatch`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .._names import JAVA_PACKAGE


@dataclass(frozen=True)
class EpochEnd:
    """An epoch that has ended.

    paramMap       : which of the parameter maps of the fit is trained, from 0
    epoch          : from 1, as in the history
    trainLoss      : the weighted mean over the epoch
    validationLoss : None without validation rows
    metrics        : on the validation rows, by name
    learningRate   : of the last step
    samples        : rows that were trained on
    seconds        : how long the epoch took
    """

    paramMap: int
    epoch: int
    maxEpochs: int
    trainLoss: float
    validationLoss: float | None
    metrics: dict[str, float]
    learningRate: float
    samples: int
    seconds: float
    _of_java: Any = field(repr=False, compare=False)

    def stop(self) -> None:
        """Ends this training after this epoch, as `patience` does."""
        self._of_java.stop()


class JavaCallback:
    """The function as the JVM sees it."""

    def __init__(self, function: Callable[[EpochEnd], None]) -> None:
        self._function = function

    def onEpochEnd(self, epoch: Any) -> None:
        """Called by the JVM, on a thread of Py4J."""
        loss = float(epoch.validationLossOrNaN())
        self._function(
            EpochEnd(
                int(epoch.paramMap()),
                int(epoch.epoch()),
                int(epoch.maxEpochs()),
                float(epoch.trainLoss()),
                None if math.isnan(loss) else loss,
                {str(name): float(value) for name, value in dict(epoch.metricsAsJava()).items()},
                float(epoch.learningRate()),
                int(epoch.samples()),
                float(epoch.seconds()),
                epoch,
            )
        )

    class Java:
        """How Py4J makes a proxy of it."""

        implements = (f"{JAVA_PACKAGE}.EpochCallback",)
