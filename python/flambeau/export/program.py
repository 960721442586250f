"""From an eager module to a TorchScript program, and how close the results of two programs are.

What lives here: `compile_program` (trace or script), `run` (call, and bring the outputs into the declared order), and
`parity`, which compares the results of two of them. `proof` chooses the batches.

Programs are saved unfrozen, because a frozen one can no longer be converted to another precision.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from .errors import ExportError, first_line
from .specs import Input, Output
from .subject import hint
from .training import traced

TRACE_ROWS = 2
"""Rows of the batch that is traced; unlike every size that is compared (`proof.ROWS`)."""
RELATIVE_TOLERANCE = 1e-4
"""Allowed difference, as a share of the largest magnitude in the output."""


@dataclass(frozen=True)
class Parity:
    """Eager module against program on one batch: one output's greatest difference, and the least cosine of its rows.

    `batch` tells rows and lengths for people; `frozen`: as executors run it, in a process with libtorch only.
    """

    output: str
    rows: int
    frozen: bool
    difference: float
    magnitude: float
    cosine: float
    batch: str = ""

    @property
    def holds(self) -> bool:
        """Whether the difference is within tolerance."""
        return self.difference <= RELATIVE_TOLERANCE * max(self.magnitude, 1e-6)


class _InOrder(nn.Module):
    """Gives a module's outputs as a tuple in the declared order, so that programs that return dicts can be traced."""

    def __init__(self, module: nn.Module, outputs: Sequence[Output]) -> None:
        super().__init__()
        self.module = module
        self._names = [output.name for output in outputs]

    def forward(self, *batch: Tensor) -> tuple[Tensor, ...] | Tensor:
        results = in_order(self.module(*batch), self._names)
        return results[0] if len(results) == 1 else tuple(results)


def in_order(result: object, names: Sequence[str]) -> list[Tensor]:
    """A module's results, as one tensor for each name: a bare tensor, a tuple or list, or a mapping by name."""
    if isinstance(result, Tensor):
        found: list[object] = [result]
    elif isinstance(result, Mapping):
        missing = [name for name in names if name not in result]
        if missing:
            raise ExportError(f"the module returns {sorted(map(str, result))}, but {missing} are declared as outputs")
        found = [result[name] for name in names]
    elif isinstance(result, (tuple, list)):
        found = list(result)
    else:
        raise ExportError(f"the module returns a {type(result).__name__}; it must return tensors")
    if len(found) != len(names):
        raise ExportError(f"the module gives {len(found)} outputs, but {len(names)} are declared: {', '.join(names)}")
    for name, value in zip(names, found):
        if not isinstance(value, Tensor):
            raise ExportError(f"output {name} is a {type(value).__name__}, not a tensor")
    return [value for value in found if isinstance(value, Tensor)]


def run(module: nn.Module, batch: Sequence[Tensor], outputs: Sequence[Output]) -> list[Tensor]:
    """The module's outputs for one batch, each checked to have the batch's rows in dimension 0."""
    with torch.inference_mode():
        try:
            result = module(*batch)
        except Exception as error:
            shapes = ", ".join(f"{list(tensor.shape)} {tensor.dtype}" for tensor in batch)
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise ExportError(
                f"the module fails on inputs {shapes}: {reason}{hint(module, list(batch), str(error))}"
            ) from error
        results = in_order(result, [output.name for output in outputs])
    rows = batch[0].shape[0]
    for output, value in zip(outputs, results):
        if value.dim() == 0 or value.shape[0] != rows:
            raise ExportError(
                f"output {output.name} has shape {list(value.shape)} for {rows} rows: dimension 0 must be the batch"
            )
    return results


def example_batch(inputs: Sequence[Input], rows: int, seed: int = 0) -> list[Tensor]:
    """Random prepared tensors for all inputs, in the order in which the program takes them."""
    generator = torch.Generator().manual_seed(seed)
    return [tensor for item in inputs for tensor in item.example(rows, generator)]


@contextmanager
def _collected(messages: list[str]) -> Iterator[None]:
    """Collects warnings as single lines; torch's notice that TorchScript is deprecated is left out.

    The tracer's are preceded by the line of the user's code that they are about.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        line = " ".join(str(warning.message).split())
        if issubclass(warning.category, TracerWarning):
            line = f"{Path(warning.filename).name}:{warning.lineno}: {line}"
        if "torch.jit" not in line.split("`")[1:2] and "deprecated" not in line and line not in messages:
            messages.append(line[:300])


def branches(messages: Sequence[str]) -> list[str]:
    """Those of the tracer's warnings that are about a value that the trace took for a constant (a branch, a size, a loop)."""
    return [line for line in messages if "cause the trace to be incorrect" in line or "registered as constants" in line]


def compile_program(
    module: nn.Module, batch: Sequence[Tensor], outputs: Sequence[Output], method: str, trainable: bool = False
) -> tuple[bytes, list[str]]:
    """The module as the bytes of a TorchScript archive, and the warnings that came up on the way.

    Args:
        trainable: whether a traced program must still differ between training and inference.
    """
    messages: list[str] = []
    with _collected(messages), torch.inference_mode():
        try:
            if isinstance(module, torch.jit.ScriptModule):
                program = module
            elif method == "script":
                program = torch.jit.script(module)
            elif trainable:
                with torch.inference_mode(False):
                    program = traced(_InOrder(module, outputs), batch)
            else:
                with torch.no_grad():
                    program = torch.jit.trace(_InOrder(module, outputs).eval(), tuple(batch), check_trace=False)
        except ExportError:
            raise
        except Exception as error:
            other = "trace" if method == "script" else "script"
            raise ExportError(f"torch.jit.{method} failed: {first_line(error)} (method={other!r} may work)") from error
        buffer = io.BytesIO()
        torch.jit.save(program, buffer)
    return buffer.getvalue(), messages


def parity(name: str, frozen: bool, right: Tensor, given: Tensor, label: str = "") -> Parity:
    """How close `given` is to `right`. Whole numbers are compared exactly; NaN and infinity equal themselves.

    Raises:
        ExportError: shape or type differ.
    """
    rows = right.shape[0]
    if right.shape != given.shape or right.dtype != given.dtype:
        raise ExportError(
            f"output {name}: the module gives {list(right.shape)} {right.dtype}, the program {list(given.shape)} {given.dtype} "
            f"(on {label}; a trace keeps the sizes it saw; try method='script')"
        )
    a, b = right.reshape(rows, -1), given.reshape(rows, -1)
    if a.numel() == 0:
        return Parity(name, rows, frozen, 0.0, 0.0, 1.0, label)
    same = (a == b) | ((a != a) & (b != b))
    # A whole number above 2^53 loses its last digits as f64: where they differ, they differ by at least 1.
    apart = (a.double() - b.double()).abs()
    apart = torch.where(same, 0.0, apart if a.is_floating_point() else apart.clamp(min=1.0))
    difference = float(apart.max())
    a, b = (value.double().nan_to_num(0.0, 0.0, 0.0) for value in (a, b))
    cosines = torch.where(same.all(dim=1), 1.0, nn.functional.cosine_similarity(a, b, dim=1, eps=1e-30))
    return Parity(
        name,
        rows,
        frozen,
        difference=math.inf if math.isnan(difference) else difference,
        magnitude=float(a.abs().max()),
        cosine=min(1.0, float(cosines.min())),
        batch=label,
    )
