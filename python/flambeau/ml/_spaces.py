"""Search spaces: the distributions that parameter sets are drawn from.

What lives here: `uniform`, `log_uniform`, `integer` and `choice`. Each is a small value that is called with a source of random
numbers and that can be stored as JSON. A parameter is stored as the uid of its stage and its name, and found again in a loaded estimator
by these. Nothing here needs a Spark session.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pyspark.ml.param import Param, Params

Draw = Callable[[random.Random], Any]


@dataclass(frozen=True)
class Uniform:
    """See `uniform`."""

    low: float
    high: float

    def __call__(self, source: random.Random) -> float:
        return source.uniform(self.low, self.high)


@dataclass(frozen=True)
class LogUniform:
    """See `log_uniform`."""

    low: float
    high: float

    def __call__(self, source: random.Random) -> float:
        return math.exp(source.uniform(math.log(self.low), math.log(self.high)))


@dataclass(frozen=True)
class Integer:
    """See `integer`."""

    low: int
    high: int

    def __call__(self, source: random.Random) -> int:
        return source.randint(self.low, self.high)


@dataclass(frozen=True)
class Choice:
    """See `choice`."""

    values: tuple[Any, ...]

    def __call__(self, source: random.Random) -> Any:
        return source.choice(self.values)


KINDS: dict[str, Any] = {"uniform": Uniform, "logUniform": LogUniform, "integer": Integer, "choice": Choice}


def uniform(low: float, high: float) -> Uniform:
    """A number between `low` and `high`, all equally likely."""
    if not low <= high:
        raise ValueError(f"uniform needs low <= high, not {low} and {high}")
    return Uniform(low, high)


def log_uniform(low: float, high: float) -> LogUniform:
    """A number between `low` and `high`, both above 0, all orders of magnitude equally likely: right for learning rates."""
    if not 0 < low <= high:
        raise ValueError(f"log_uniform needs 0 < low <= high, not {low} and {high}")
    return LogUniform(low, high)


def integer(low: int, high: int) -> Integer:
    """A whole number from `low` to `high`, both included."""
    if not low <= high:
        raise ValueError(f"integer needs low <= high, not {low} and {high}")
    return Integer(low, high)


def choice(*values: Any) -> Choice:
    """One of the values."""
    if not values:
        raise ValueError("choice needs at least one value")
    return Choice(values)


def stored(space: Mapping[Param[Any], Draw]) -> list[dict[str, Any]]:
    """The space as JSON; fails if a distribution is the user's own function."""
    names = {kind: name for name, kind in KINDS.items()}
    for param, draw in space.items():
        if type(draw) not in names:
            raise TypeError(
                f"the search cannot be saved: {param.name} is drawn by {draw!r}; uniform, log_uniform, integer and choice can be saved"
            )
    return [{"param": reference(p), "kind": names[type(d)], "draw": asdict(d)} for p, d in space.items()]  # type: ignore[call-overload]  # a dataclass, as `names` says


def restored(space: list[dict[str, Any]], estimator: Params) -> dict[Param[Any], Draw]:
    """The space that `stored` stored, with the parameters of this estimator."""
    found: dict[Param[Any], Draw] = {}
    for each in space:
        values = {name: tuple(v) if isinstance(v, list) else v for name, v in each["draw"].items()}
        found[referred(each["param"], estimator)] = KINDS[each["kind"]](**values)
    return found


def reference(param: Param[Any]) -> dict[str, str]:
    """A parameter by the uid of its stage and by its name."""
    return {"parent": param.parent, "name": param.name}


def referred(name: Mapping[str, str], estimator: Params) -> Param[Any]:
    """The parameter of the estimator, or of a stage inside of it."""
    for stage in _stages(estimator):
        if stage.uid == name["parent"] and stage.hasParam(name["name"]):
            return stage.getParam(name["name"])
    raise ValueError(
        f"neither {estimator.uid} nor a stage inside of it has the parameter {name['name']} of {name['parent']}"
    )


def _stages(stage: Params) -> list[Params]:
    """The stage and all that its parameters hold: a pipeline's stages, a validator's estimator."""
    found = [stage]
    for value in stage.extractParamMap().values():
        for inner in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(inner, Params):
                found += _stages(inner)
    return found
