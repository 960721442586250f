"""How short and how long a row of the module may be, found by running it.

What lives here: `settle`, which goes through the inputs whose rows differ in length. `max_length` or the tokenizer
define the longest text. If neither does, it is the longest that the module takes, and that becomes the package's
`max_length`. If a module fails on the longest, the error has the number that it takes. Sounds have a limit in seconds,
often far above what a model can be run on. So the longest clip that is tried is half a minute, or more if a run stays
short.

All runs here are of one row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from torch import nn

from .batches import Lengths, draw, length_text
from .errors import ExportError
from .program import run
from .report import Progress
from .sequences import AudioInput, TextInput
from .specs import Input, Output

Problem = Callable[..., "str | None"]
"""Runs one row of a length (and of another input than the given one); None if the module takes it, otherwise its error."""
TYPICAL_TOKENS = 16
MOST_TOKENS = 4_096
"""The end of a position table is looked for up to this many tokens."""
SOUND_SECONDS = 30
SHORT_RUN_S = 0.25
"""A run that takes longer than this is not followed by one of twice the length."""


@dataclass
class Spans:
    """The least and greatest length of each input whose rows differ in length, by name; and what to tell the user."""

    shortest: dict[str, int] = field(default_factory=dict)
    longest: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def between(self, share: float) -> Lengths:
        """Lengths at a share of the way from the shortest (0) to the longest (1)."""
        return {name: low + int((self.longest[name] - low) * share) for name, low in self.shortest.items()}


def settle(
    module: nn.Module, inputs: Sequence[Input], outputs: Sequence[Output], progress: Progress
) -> tuple[list[Input], Spans]:
    """The inputs, with every `max_length` decided, and the spans of lengths that the module takes.

    Raises:
        ExportError: the module does not take the longest row, or `max_length` cannot be derived.
    """
    spans, settled = Spans(), list(inputs)
    typical: dict[str, int] = {
        item.name: max(item.shortest, min(item.longest or TYPICAL_TOKENS, _typical(item)))
        for item in inputs
        if isinstance(item, (TextInput, AudioInput))
    }
    for index, item in enumerate(inputs):
        if not isinstance(item, (TextInput, AudioInput)):
            continue

        def problem(length: int, item: TextInput | AudioInput = item, at: int = index) -> str | None:
            progress.say(f"trying 1 row of {length_text(item, length)}")
            tried = [item if place == at else other for place, other in enumerate(settled)]
            batch = draw(tried, [{**typical, item.name: length}], seed=length)
            try:
                run(module, batch.batch().tensors, outputs)
            except ExportError as error:
                return str(error)
            return None

        typical[item.name] = _first_good(item, typical[item.name], problem)
        if isinstance(item, TextInput):
            settled[index] = item = _text(module, item, typical[item.name], problem)
            spans.longest[item.name] = item.longest or typical[item.name]
        else:
            spans.longest[item.name] = _sound(item, typical[item.name], problem)
        spans.shortest[item.name] = _shortest(item, typical[item.name], problem, spans.warnings)
    return settled, spans


def _typical(item: TextInput | AudioInput) -> int:
    return TYPICAL_TOKENS if isinstance(item, TextInput) else (item.window_samples or item.sample_rate)


def _first_good(item: TextInput | AudioInput, typical: int, problem: Problem) -> int:
    """A length that the module takes, the typical one if possible.

    Raises:
        ExportError: there is none.
    """
    reason = problem(typical)
    length = item.shortest
    while reason is not None and length < typical:
        if problem(length) is None:
            return length
        length *= 2
    if reason is None:
        return typical
    if isinstance(item, TextInput) and problem(typical, _with_ids_to(item, 0)) is None:
        greatest, bad = 0, item.loaded.highest_id
        while bad - greatest > 1:
            middle = (greatest + bad) // 2
            greatest, bad = (
                (middle, bad) if problem(typical, _with_ids_to(item, middle)) is None else (greatest, middle)
            )
        raise ExportError(
            f"input {item.name}: the tokenizer, {item.loaded.place}, gives ids up to {item.loaded.highest_id}, but the module "
            f"takes them up to {greatest}: {reason}. Give the tokenizer that the model was trained with, or enlarge the "
            f"model's table (model.resize_token_embeddings({item.loaded.highest_id + 1}) of transformers)"
        )
    raise ExportError(reason)


def _with_ids_to(item: TextInput, highest: int) -> TextInput:
    """The same input with no token id above `highest`."""
    other = replace(item)
    object.__setattr__(other, "loaded", replace(item.loaded, highest_id=highest, pad_id=0))
    return other


def _text(module: nn.Module, item: TextInput, typical: int, problem: Problem) -> TextInput:
    """The input with a `max_length` that the module takes."""
    longest = item.longest
    if longest is None:
        return replace(item, max_length=_positions(module, item, typical, problem))
    reason = problem(longest)
    if reason is not None:
        found = _last_good(typical, longest, problem)
        raise ExportError(
            f"input {item.name}: {longest} tokens are let through ({_whose(item)}), but {reason}. The module takes {found} tokens "
            f"at most: set max_length={found}"
        )
    # Written into the package, so that it is part of its description.
    return replace(item, max_length=longest)


def _whose(item: TextInput) -> str:
    return f"max_length={item.max_length}" if item.max_length else f"the tokenizer, {item.loaded.place}, cuts there"


def _positions(module: nn.Module, item: TextInput, typical: int, problem: Problem) -> int:
    """The greatest length that the module takes, if none was given."""
    declared = getattr(getattr(module, "config", None), "max_position_embeddings", None)
    if isinstance(declared, int) and typical < declared <= MOST_TOKENS and problem(declared) is None:
        return declared
    good, length = typical, typical * 2
    while length <= MOST_TOKENS and problem(length) is None:
        good, length = length, length * 2
    if length > MOST_TOKENS:
        raise ExportError(
            f"input {item.name}: max_length is needed. The tokenizer never cuts a text, and the module takes {good} tokens and "
            "more: set max_length= to the most tokens that it was trained on, such as max_length=512"
        )
    return _last_good(good, length, problem)


def _sound(item: AudioInput, typical: int, problem: Problem) -> int:
    """The longest clip to compare with."""
    length = min(item.longest, max(typical, SOUND_SECONDS * item.sample_rate))
    while True:
        start = time.monotonic()
        reason = problem(length)
        if reason is not None:
            found = _last_good(typical, length, problem) if length > typical else 0
            seconds = found / item.sample_rate
            advice = f"set max_seconds={seconds:.6g}" if item.window_samples is None else f"set window_samples={found}"
            raise ExportError(
                f"input {item.name}: clips of {length_text(item, length)} are let through, but {reason}. The module takes "
                f"{found} samples at most: {advice}, or cut clips into windows with window_samples="
            )
        if length >= item.longest or time.monotonic() - start > SHORT_RUN_S:
            return length
        length = min(item.longest, 2 * length)


def _shortest(item: TextInput | AudioInput, typical: int, problem: Problem, warnings: list[str]) -> int:
    """The shortest row that the module takes; a warning if an empty text or a single sample is too short for it."""
    if isinstance(item, AudioInput) and "lengths" not in item.inputs:
        return item.longest
    reason = problem(item.shortest)
    if reason is None:
        return item.shortest
    bad, good = item.shortest, typical
    while good - bad > 1:
        middle = (bad + good) // 2
        bad, good = (bad, middle) if problem(middle) is None else (middle, good)
    amount = f"{good} {'tokens' if isinstance(item, TextInput) else 'samples'}"
    warnings.append(
        f"input {item.name}: rows of fewer than {amount} are errors in a query, for the module fails on them: {reason}"
    )
    return good


def _last_good(good: int, bad: int, problem: Problem) -> int:
    """The greatest length between a good and a bad one that the module takes."""
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if problem(middle) is None else (good, middle)
    return good
