"""The batches on which a program is compared with its module.

What lives here: `draw`, which makes random rows of given lengths; `Rows`, which makes batches of them like the
executors (padded to the longest); and `extremes`, inputs that are never random. These are black and white images,
silence, zeros, and large numbers of either sign. They show a branch that depends on the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .sequences import AudioInput, TextInput
from .specs import ImageInput, Input, TensorInput

Lengths = Mapping[str, int]
"""For each input whose rows differ in length, by name: tokens or samples."""
LARGE = 100
UNSIGNED = (torch.uint8, torch.bool)


@dataclass(frozen=True)
class Batch:
    """Tensors in the order in which the program takes them, and a line for people about their rows."""

    tensors: Sequence[Tensor]
    label: str
    rows: int

    def copy(self) -> list[Tensor]:
        """Copies of the tensors, which the caller may change."""
        return [tensor.clone(memory_format=torch.preserve_format) for tensor in self.tensors]


@dataclass(frozen=True)
class Rows:
    """Random rows of all inputs, each with its lengths."""

    inputs: Sequence[Input]
    lengths: Sequence[Lengths]
    values: Sequence[Sequence[Tensor]]

    def batch(self, chosen: Sequence[int] | None = None) -> Batch:
        """The rows `chosen` (default: all) in one batch."""
        rows = list(range(len(self.values)) if chosen is None else chosen)
        tensors: list[Tensor] = []
        for index, item in enumerate(self.inputs):
            own = [self.values[row][index] for row in rows]
            tensors += item.batch(own) if isinstance(item, (TextInput, AudioInput)) else [torch.cat(own)]
        return Batch(tensors, describe(self.inputs, [self.lengths[row] for row in rows]), len(rows))


def draw(inputs: Sequence[Input], lengths: Sequence[Lengths], seed: int) -> Rows:
    """One random row for each of `lengths`."""
    generator = torch.Generator().manual_seed(seed)
    values = [
        [
            item.draw(own[item.name], generator)
            if isinstance(item, (TextInput, AudioInput))
            else item.example(1, generator)[0]
            for item in inputs
        ]
        for own in lengths
    ]
    return Rows(inputs, lengths, values)


def extremes(inputs: Sequence[Input], lengths: Lengths, apart: bool) -> list[Batch]:
    """A batch of three extreme rows, and with `apart` each of them alone; none if no input has numbers to vary."""
    if all(isinstance(item, TextInput) for item in inputs):
        return []
    rows = draw(inputs, [lengths] * 3, seed=11)
    values = [list(row) for row in rows.values]
    for index, item in enumerate(inputs):
        for row, replaced in enumerate(_extreme(item, [row[index] for row in rows.values])):
            values[row][index] = replaced
    changed = Rows(inputs, rows.lengths, values)
    batches = [changed.batch(), *(changed.batch([row]) for row in range(3) if apart)]
    return [Batch(batch.tensors, f"{batch.label}, extreme", batch.rows) for batch in batches]


def _extreme(item: Input, drawn: Sequence[Tensor]) -> list[Tensor]:
    one = drawn[0]
    if isinstance(item, AudioInput):
        return [torch.zeros_like(one), torch.ones_like(one), (drawn[2] * LARGE).clamp(-1, 1)]
    if isinstance(item, ImageInput):
        channels = one.shape[1]
        mean = torch.tensor(item.mean or [0.0] * channels).view(1, channels, 1, 1)
        std = torch.tensor(item.std or [1.0] * channels).view(1, channels, 1, 1)
        black, white = (torch.full_like(one, level * item.scale) for level in (0.0, 255.0))
        return [(black - mean) / std, (white - mean) / std, drawn[2]]
    if isinstance(item, TensorInput):
        if one.is_floating_point():
            return [torch.zeros_like(one), one.abs() * LARGE, -one.abs() * LARGE]
        least = -LARGE if item.min is None else item.min
        most = LARGE if item.max is None else item.max
        if item.min is None and one.dtype in UNSIGNED:
            least = 0
        return [torch.full_like(one, value) for value in (min(max(0, least), most), most, least)]
    return list(drawn)


def describe(inputs: Sequence[Input], lengths: Sequence[Lengths]) -> str:
    """Rows and their lengths for people: `3 rows of 2 to 400 tokens`."""
    parts = []
    for item in inputs:
        if isinstance(item, (TextInput, AudioInput)):
            own = sorted(row[item.name] for row in lengths)
            parts.append(length_text(item, own[0], own[-1]))
    count = f"{len(lengths)} row{'' if len(lengths) == 1 else 's'}"
    return f"{count} of {' and '.join(parts)}" if parts else count


def length_text(item: Input, least: int, most: int | None = None) -> str:
    """`400 tokens`, `2 to 400 tokens`, `0.5 s`."""
    if isinstance(item, AudioInput):
        shown = [f"{value / item.sample_rate:.4g}" for value in (least, least if most is None else most)]
        unit = "s"
    else:
        shown, unit = [str(value) for value in (least, least if most is None else most)], "tokens"
    return f"{shown[0] if shown[0] == shown[1] else ' to '.join(shown)} {unit}"
