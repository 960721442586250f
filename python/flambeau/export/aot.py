"""Programs compiled ahead of time: `torch.export` and AOTInductor make machine code of the module, in a `.pt2` file.

What lives here: `variant`, a compiled program with its measured cosine, and `compiled`, which exports the module with free rows and
lengths and compiles it for a level of processors. `target` finds that level and the features that the code needs. Compiled code
does not check its inputs. So the file also has one line for each tensor that it takes (`extra/flambeau_inputs`), and the engine
compares every batch with these.

This machine needs a C++ compiler; executors do not. The code is linked with libtorch by name. It runs with the CPU libraries
that Flambeau ships, in the version that it was compiled with.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import processor
from .batches import draw
from .errors import ExportError
from .limits import Spans
from .program import in_order, parity
from .proof import Proof
from .specs import Input, Output
from .variants import PRECISIONS, Variant

NAMES = ("aot-f32", *(f"aot-{precision}" for precision in PRECISIONS))
"""The variants that can be asked for."""
EXAMPLE_ROWS = 8
INPUTS = "flambeau_inputs"
"""The record of the `.pt2` file with one line for each tensor that the program takes."""
MOST_ROWS = 1 << 16
COMPILERS = ("g++", "clang++", "c++")
LEVELS = {
    "x86-64-v4": ["avx2", "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl", "bmi2", "f16c", "fma"],
    "x86-64-v3": ["avx2", "bmi2", "f16c", "fma"],
}
"""The features of each level of x86-64 processors, by Linux' names, best first."""
FLAGS = {
    "-mavx512vnni": "avx512_vnni",
    "-mavx512bf16": "avx512_bf16",
    "-mavx512fp16": "avx512_fp16",
    "-mamx-tile": "amx_tile",
    "-mamx-bf16": "amx_bf16",
    "-mamx-int8": "amx_int8",
    "-mamx-fp16": "amx_fp16",
    "-mavx10.2": "avx10_2",
}
"""Other instructions that the compiler may use on this machine, and their names."""


class _InOrder(nn.Module):
    """The module with its outputs in the declared order. Inside, its floats are in `dtype`; inputs and outputs are f32."""

    def __init__(self, module: nn.Module, outputs: Sequence[Output], dtype: torch.dtype | None) -> None:
        super().__init__()
        self.module = module
        self._names = [output.name for output in outputs]
        self._dtype = dtype

    def forward(self, *batch: Tensor) -> tuple[Tensor, ...]:
        dtype = self._dtype
        if dtype is None:
            return tuple(in_order(self.module(*batch), self._names))
        given = [value.to(dtype) if value.is_floating_point() else value for value in batch]
        results = in_order(self.module(*given), self._names)
        return tuple(value.float() if value.dtype == dtype else value for value in results)


def target() -> tuple[str, list[str]]:
    """The level of processors that code made here is for, and every feature that it needs.

    Raises:
        ExportError: this processor is not of a known level, or there is no C++ compiler.
    """
    if not any(shutil.which(name) for name in COMPILERS):
        raise ExportError(
            "there is no C++ compiler (g++ or clang++) on this machine. It compiles programs ahead of time: install one "
            "(apt-get install g++), or omit the aot- variants. Machines that only run the package need none"
        )
    from torch._inductor.cpu_vec_isa import pick_vec_isa

    own = processor.features()
    for level, needed in LEVELS.items():
        if own.issuperset(needed):
            allowed = pick_vec_isa().build_arch_flags().split()
            further = [name for flag, name in FLAGS.items() if flag in allowed]
            return level, sorted({*needed, *further})
    raise ExportError(
        f"programs are compiled ahead of time for processors of the levels {' and '.join(LEVELS)}, and this one is neither"
    )


def variant(
    name: str,
    module: nn.Module,
    own: nn.Module | None,
    inputs: Sequence[Input],
    spans: Spans,
    outputs: Sequence[Output],
    proof: Proof,
) -> Variant:
    """The variant `name`, compared with the module on the batches of `proof` in a process with libtorch only.

    Args:
        own: what to compile instead of the whole module in that precision, with inputs and outputs in f32.

    Raises:
        ExportError: no such variant, no compiler, the module cannot be compiled, or the code of f32 gives other results than the module.
    """
    if name not in NAMES:
        raise ExportError(f"variant {name!r} is none of {', '.join(NAMES)}")
    precision = name.removeprefix("aot-")
    dtype, further = PRECISIONS.get(precision, (None, []))
    batch = draw(inputs, [spans.between(0.25)] * EXAMPLE_ROWS, seed=5).batch().tensors
    program, requires = compiled(own or module, inputs, spans, batch, outputs, dtype if own is None else None)
    results = proof.bare(program, f"the variant {name}", ".pt2")
    cosines = [1.0]
    for index in range(len(results)) if dtype is None else proof.measured:
        for output, right, value in zip(outputs, proof.expected[index], results[index]):
            found = parity(output.name, True, right, value, proof.batches[index].label)
            if dtype is None and not found.holds:
                raise ExportError(
                    f"the variant {name} gives other results than the module: output {output.name} differs by {found.difference:.3g} "
                    f"(largest value {found.magnitude:.3g}) on {proof.batches[index].label}"
                )
            if right.is_floating_point():
                cosines.append(found.cosine)
    libtorch = torch.__version__.partition("+")[0]
    return Variant(precision, program, sorted({*requires, *further}), min(cosines), "aot_inductor", libtorch)


def compiled(
    module: nn.Module,
    inputs: Sequence[Input],
    spans: Spans,
    batch: Sequence[Tensor],
    outputs: Sequence[Output],
    dtype: torch.dtype | None,
) -> tuple[bytes, list[str]]:
    """The module as the bytes of a `.pt2` file, and the processor features it needs.

    Args:
        spans: the shortest and longest rows that the program takes.
        batch: example inputs; lengths and rows of about this size run best.
        dtype: the type that parameters and floats are cast to; None: they stay as they are.

    Raises:
        ExportError: no compiler, or the module cannot be exported or compiled.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise ExportError("torch.export makes the aot- variants, and it needs the module in Python, not a ScriptModule")
    level, features = target()
    own = module if dtype is None else copy.deepcopy(module).to(dtype)
    whole = _InOrder(own, outputs, dtype).eval()
    shapes, lines = _shapes(inputs, spans, batch)
    with warnings.catch_warnings(), torch.no_grad(), tempfile.TemporaryDirectory(prefix="flambeau-aot-") as folder:
        warnings.simplefilter("ignore")
        try:
            exported = torch.export.export(whole, tuple(batch), dynamic_shapes=(tuple(shapes),), strict=False)
        except Exception as error:
            raise ExportError(f"torch.export does not accept the module: {_reason(error)}") from error
        try:
            return _built(exported, batch, level, lines, Path(folder)), features
        except Exception as error:
            raise ExportError(f"AOTInductor cannot compile the module: {_reason(error)}") from error


def _built(exported: Any, batch: Sequence[Tensor], level: str, lines: Sequence[str], folder: Path) -> bytes:
    from torch._inductor import aot_compile
    from torch._inductor.utils import fresh_cache
    from torch.export.pt2_archive._package import package_pt2

    options = {
        "aot_inductor.package": True,
        # A batch of one row is a batch.
        "aot_inductor.check_lowerbound": False,
        # The process that runs the code decides how many threads there are.
        "cpp.dynamic_threads": True,
        "aot_inductor.precompile_headers": False,
        "cpp.march": level,
        "freezing": True,
    }
    path = folder / "model.pt2"
    with fresh_cache(dir=str(folder)):
        files = aot_compile(exported.module(), tuple(batch), options=options)
        assert isinstance(files, list)
        package_pt2(str(path), aoti_files=files, extra_files={INPUTS: "".join(f"{line}\n" for line in lines)})
    return path.read_bytes()


def _shapes(inputs: Sequence[Input], spans: Spans, batch: Sequence[Tensor]) -> tuple[list[dict[int, Any]], list[str]]:
    """Which sizes of each tensor are free: for torch.export, and as lines for the engine."""
    rows = torch.export.Dim("rows", min=1, max=MOST_ROWS)
    lengths = {
        name: torch.export.Dim(f"length{index}", min=max(1, spans.shortest[name]), max=longest)
        for index, (name, longest) in enumerate(spans.longest.items())
        if longest > spans.shortest[name]
    }
    shapes: list[dict[int, Any]] = []
    lines = []
    left = iter(batch)
    for item in inputs:
        for _ in range(len(item.inputs) if hasattr(item, "inputs") else 1):
            tensor = next(left)
            free = {0: rows}
            if item.name in lengths and tensor.dim() > 1:
                free[1] = lengths[item.name]
            shapes.append(free)
            lines.append(_line(tensor, free))
    return shapes, lines


def _line(tensor: Tensor, free: dict[int, Any]) -> str:
    """`float32 channels_last rows 3 224 224`; `int64 contiguous rows length0=1..128`."""
    channels_last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    layout = "channels_last" if channels_last and not tensor.is_contiguous() else "contiguous"
    sizes = [
        f"{free[place].__name__}={free[place].min}..{free[place].max}" if place in free else str(size)
        for place, size in enumerate(tensor.shape)
    ]
    return " ".join([str(tensor.dtype).removeprefix("torch."), layout, *sizes])


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:400]
