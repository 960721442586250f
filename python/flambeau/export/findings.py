"""Checks of the module's own results, before any program is compared.

What lives here: `fixed_shapes`, which refuses outputs of a size that varies, and findings that are not errors but that the user
should know. `depends_on_company`: a row's result depends on padding or on the other rows. `constants`: an output is the same for
every input, which proves nothing. `not_finite`: NaN and infinity. All take eager results only.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .batches import Batch
from .errors import ExportError
from .program import parity
from .specs import Output

NOTICEABLE = 1e-3
"""A row's result counts as changed if the difference is at least this share of the largest magnitude."""


def fixed_shapes(outputs: Sequence[Output], batches: Sequence[Batch], results: Sequence[Sequence[Tensor]]) -> None:
    """Every output has the same shape for each row of each batch, except for the dimension that `lengths` counts.

    Raises:
        ExportError: an output does not.
    """
    for index, output in enumerate(outputs):
        first = 1 if output.lengths is None else 2
        shapes = [list(result[index].shape[first:]) for result in results]
        for batch, shape, result in zip(batches, shapes, results):
            if shape == shapes[0]:
                continue
            full = [list(results[0][index].shape), list(result[index].shape)]
            raise ExportError(
                f"output {output.name} has shape {full[0]} for {batches[0].label} and {full[1]} for {batch.label}: a dimension "
                "varies, but a package declares it once. Say how many items a row has: "
                f"Output({output.name!r}, lengths='count'), where the module also gives an output 'count', i64 [rows]; or give "
                "rows of one size: pool over the items, or pad inside of the module to a fixed number (the max_length of a text)"
            )
        if output.lengths is not None:
            _counts_fit(outputs, index, batches, results)


def _counts_fit(
    outputs: Sequence[Output], index: int, batches: Sequence[Batch], results: Sequence[Sequence[Tensor]]
) -> None:
    """No row of any batch counts more items than there are, or fewer than none."""
    counted = next((place for place, other in enumerate(outputs) if other.name == outputs[index].lengths), None)
    for batch, result in zip(batches, results):
        if counted is None or result[index].dim() < 2:
            return
        counts, size = result[counted], result[index].shape[1]
        if counts.dim() == 1 and (int(counts.max()) > size or int(counts.min()) < 0):
            raise ExportError(
                f"output {outputs[index].name} has {size} items for {batch.label}, but {outputs[counted].name} says "
                f"{counts.tolist()}: it must lie between 0 and the number of items"
            )


def depends_on_company(
    outputs: Sequence[Output], together: Sequence[Tensor], alone: Sequence[Sequence[Tensor]], label: str, varied: bool
) -> list[str]:
    """Warnings about rows whose result alone differs from their result in a batch.

    `alone[row]` is the module's result for that row of the batch alone. `varied`: the rows differ in length, and the
    first is the longest, so that only the others were padded.
    """
    found = []
    for index, output in enumerate(outputs):
        worst = [_difference(output, outputs, together, own, index, row) for row, own in enumerate(alone)]
        scale = (
            max(float(together[index].double().abs().nan_to_num(0.0, 0.0, 0.0).max()), 1e-6)
            if together[index].numel()
            else 1
        )
        if worst[0] > NOTICEABLE * scale or (not varied and max(worst) > NOTICEABLE * scale):
            found.append(
                f"output {output.name}: the result of a row depends on the other rows of its batch (by {max(worst):.3g} of {scale:.3g}, in "
                f"{label}). Spark makes batches as rows come, so the same row can get different numbers: look for statistics "
                "over the batch (a normalization, a softmax over dimension 0, dynamic quantization)"
            )
        elif varied and max(worst) > NOTICEABLE * scale:
            found.append(
                f"output {output.name}: padding changes the result of a row (by {max(worst):.3g} of {scale:.3g}, in {label}). The "
                "same row can get different numbers beside longer ones: let the module use attention_mask or lengths "
                "wherever it sums, averages or attends over a row (dynamic quantization has the same effect)"
            )
    return found


def _difference(
    output: Output, outputs: Sequence[Output], together: Sequence[Tensor], own: Sequence[Tensor], index: int, row: int
) -> float:
    """Between one row's result alone and in the batch; of an output with `lengths`, over the row's own items."""
    a, b = own[index][:1], together[index][row : row + 1]
    if output.lengths is not None:
        counted = next((place for place, other in enumerate(outputs) if other.name == output.lengths), None)
        count = int(own[counted][0]) if counted is not None else 0
        a, b = a[:, :count], b[:, :count]
    if a.shape != b.shape:
        return float("inf")
    return parity(output.name, False, a, b).difference


def constants(outputs: Sequence[Output], results: Sequence[Sequence[Tensor]]) -> list[str]:
    """Warnings about outputs that are the same for all rows of all batches."""
    counted = {output.lengths for output in outputs}
    found = []
    for index, output in enumerate(outputs):
        values = [result[index] for result in results]
        numbers = torch.cat([value.reshape(-1).double() for value in values])
        if not numbers.numel() or bool((numbers == 0).all()):
            what = "is zero" if numbers.numel() else "has no items"
        elif output.lengths is None and output.name not in counted and _rows_are_equal(values):
            what = "is the same"
        else:
            continue
        found.append(
            f"output {output.name} {what} for every input that was tried, so parity proves nothing about it: are the weights loaded, "
            "and is it connected to the input?"
        )
    return found


def _rows_are_equal(values: Sequence[Tensor]) -> bool:
    rows = torch.cat([value.reshape(value.shape[0], -1) for value in values])
    return len(rows) > 1 and bool((rows == rows[:1]).all())


def not_finite(outputs: Sequence[Output], batches: Sequence[Batch], results: Sequence[Sequence[Tensor]]) -> list[str]:
    """Warnings about NaN and infinity, one for each output."""
    found = []
    for index, output in enumerate(outputs):
        for batch, result in zip(batches, results):
            value = result[index]
            if value.is_floating_point() and not bool(value.isfinite().all()):
                found.append(f"output {output.name} is NaN or infinite for some of {batch.label}")
                break
    return found
