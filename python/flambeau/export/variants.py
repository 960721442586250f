"""Variants of reduced precision: the same program in bf16 or f16, with f32 inputs and outputs.

What lives here: `reduced`, which makes one from the compiled f32 program and measures how close its results are. A
variant lists the processor features that make it fast; without them the engine uses the f32 one. It runs only if
`spark.flambeau.precision` requests it.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from . import processor
from .errors import ExportError
from .program import in_order, parity, run
from .proof import Proof
from .specs import Output

PRECISIONS = {"bf16": (torch.bfloat16, ["avx512_bf16"]), "f16": (torch.float16, ["avx512_fp16"])}
"""Precision: element type, and the processor features (Linux' names) without which it is slower than f32."""


@dataclass(frozen=True)
class Variant:
    """Another program of a package. `cosine`: the lowest of any row of any float output, compared with f32. `libtorch`: the only
    version that a compiled program runs with; None: any.
    """

    precision: str
    program: bytes
    requires: Sequence[str]
    cosine: float
    engine: str = "torchscript"
    libtorch: str | None = None

    @property
    def name(self) -> str:
        """Its name in `spark.flambeau.precision`."""
        return self.precision if self.engine == "torchscript" else f"aot-{self.precision}"

    @property
    def file(self) -> str:
        """Its name in the package."""
        return f"model-{self.name}.pt{'' if self.engine == 'torchscript' else '2'}"


class _Reduced(nn.Module):
    """Casts floats on the way in and back on the way out."""

    def __init__(self, program: torch.jit.ScriptModule, outputs: Sequence[Output], dtype: torch.dtype) -> None:
        super().__init__()
        self.program = program.to(dtype)
        self._names = [output.name for output in outputs]
        self._dtype = dtype

    def forward(self, *batch: Tensor) -> tuple[Tensor, ...] | Tensor:
        given = [value.to(self._dtype) if value.is_floating_point() else value for value in batch]
        results = in_order(self.program(*given), self._names)
        back = tuple(value.float() if value.dtype == self._dtype else value for value in results)
        return back[0] if len(back) == 1 else back


def reduced(
    program: bytes, precision: str, outputs: Sequence[Output], proof: Proof, own: bytes | None = None
) -> Variant:
    """The program in `precision`, measured in a process with libtorch only on the example of `proof`, if it has one,
    otherwise on its random batches (the extreme ones left out). `own`: the compiled program of that precision, where
    it is not the whole of `program` cast.

    Raises:
        ExportError: no such precision, or the program cannot run in it.
    """
    if precision not in PRECISIONS:
        raise ExportError(f"precision {precision!r} is none of {', '.join(PRECISIONS)}")
    dtype, requires = PRECISIONS[precision]
    batches = [proof.batches[index] for index in proof.measured]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        full = torch.jit.load(io.BytesIO(program)).eval()
        if own is None:
            own = _cast(program, precision, dtype, outputs, batches[0].copy())
    results = proof.bare(own, f"the program in {precision}")
    small = [results[index] for index in proof.measured]
    cosines = [
        parity(output.name, True, right, value, batch.label).cosine
        for batch, given in zip(batches, small)
        for output, right, value in zip(outputs, run(full, batch.copy(), outputs), given)
        if right.is_floating_point()
    ]
    cosine = min(cosines, default=1.0)
    lacking = sorted(set(requires) - processor.features())
    if lacking:
        proof.warnings.append(
            f"the cosine of {precision} ({cosine:.7f}) was measured on a processor without {', '.join(lacking)}, which rounds more often. "
            "spark.flambeau.precision.minCosine is compared with it: make the package on a processor that has it"
        )
    return Variant(precision, own, requires, cosine)


def _cast(
    program: bytes, precision: str, dtype: torch.dtype, outputs: Sequence[Output], batch: Sequence[Tensor]
) -> bytes:
    """The whole program with all its numbers in `dtype`."""
    wrapper = _Reduced(torch.jit.load(io.BytesIO(program)).eval(), outputs, dtype).eval()
    with torch.no_grad():
        try:
            small = torch.jit.trace(wrapper, tuple(batch), check_trace=False)
        except RuntimeError as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise ExportError(f"the program does not run in {precision}: {reason}") from error
    buffer = io.BytesIO()
    torch.jit.save(small, buffer)
    return buffer.getvalue()
