"""Files of ONNX as packages: `from_onnx`.

What lives here: the conversion to PyTorch by onnx2torch, the names and shapes that the file says, and the comparison with ONNX
Runtime on several batches, which is written into the package as `onnx.json`. `onnx_sizes` has the operators that compute with sizes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from importlib.metadata import version
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..errors import ExportError, first_line
from ..program import RELATIVE_TOLERANCE, Parity, example_batch, parity, run
from ..specs import Input, Output, StrPath, TensorInput
from .described import Described

if TYPE_CHECKING:
    from ..report import ExportReport

ROWS = (1, 2, 5)
"""Rows of the batches that are compared with ONNX Runtime."""
DTYPES = {1: "f32", 6: "i32", 7: "i64", 9: "bool", 11: "f64"}
"""ONNX's numbers of the types that tensors of a package have."""


def from_onnx(
    file: StrPath,
    path: StrPath,
    *,
    inputs: Sequence[Input] | None = None,
    outputs: Sequence[Output] | None = None,
    around: Callable[[nn.Module], nn.Module] | None = None,
    **options: Any,
) -> ExportReport:
    """Writes a package of an ONNX file. onnx2torch converts it to PyTorch, and its results are compared with those of ONNX Runtime.

        export.from_onnx("net.onnx", "packages/net", license="MIT")

    The comparison is on batches of 1, 2 and 5 rows. The package has it in `onnx.json`: versions, greatest difference and least cosine of each
    output. `pip install flambeau[export,onnx]` brings what it needs.

    Args:
        file: the ONNX file; its weights may be in files next to it.
        path: the folder to write.
        inputs: in the file's order. Default: tensors with the file's names, shapes and types. Say what an image, text or sound input is, since
            the file does not: `[ImageInput(crop=224, …)]`.
        outputs: in the file's order. Default: the file's names, with the role other.
        around: takes the converted network and returns the module to package, such as one that pools its results. `outputs` are then that
            module's. The comparison is of the file's own outputs.
        options: other arguments of `flambeau.export.package`. `license` is needed.

    Raises:
        ExportError: the file has an operator that the converter does not have (it is named), or an input that is not a batch, or the
            results differ; nothing was written.
    """
    import onnx

    source = Path(fspath(file))
    try:
        model = onnx.load(str(source))
    except Exception as error:  # a parser's own errors, of several kinds
        raise ExportError(f"{source} is not an ONNX file that can be read: {first_line(error)}") from error
    module = _converted(model, source)
    given = list(inputs) if inputs is not None else [_tensor(value, source) for value in _free_inputs(model)]
    own = [Output(_name(value.name)) for value in model.graph.output]
    declared = list(outputs) if outputs is not None else own
    compared = _compared(module, source, given, own)
    module = module if around is None else around(module).eval()
    versions = {name: version(name) for name in ("onnx", "onnx2torch", "onnxruntime")}
    text = json.dumps({"file": source.name, **versions, "compared": compared}, indent=1)
    worst = min(each["cosine"] for each in compared)
    description = (
        f"Converted from {source.name} by onnx2torch {versions['onnx2torch']}; least cosine to ONNX Runtime "
        f"{versions['onnxruntime']}: {worst:.7f}"
    )
    files = {"onnx.json": text, **options.pop("files", {})}
    described = Described(module, given, declared, _name(source.stem), description=description)
    return described.write(path, {"files": files, **options})


def _converted(model: Any, source: Path) -> nn.Module:
    import onnx2torch

    from .onnx_sizes import with_sizes

    try:
        module = with_sizes(onnx2torch.convert(model))
    except Exception as error:  # what the converter trips over, of any kind
        if found := re.search(r"operation_type='(\w+)', version=(\d+)", str(error)):
            what = f"the operator {found[1]} (version {found[2]})"
            raise ExportError(f"{source}: the converter onnx2torch does not have {what}") from error
        raise ExportError(
            f"{source}: the converter onnx2torch fails: {type(error).__name__} {first_line(error)}"
        ) from error
    return module.eval()


def _free_inputs(model: Any) -> list[Any]:
    """Inputs that are not weights."""
    weights = {each.name for each in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def _tensor(value: Any, source: Path) -> TensorInput:
    """An input, by its name, shape and type in the file."""
    kind = value.type.tensor_type
    sizes = [each.dim_value or None for each in kind.shape.dim]
    if not sizes:
        raise ExportError(
            f"{source}: input {value.name} is one number for the whole batch; every input must have the rows in dimension 0"
        )
    if kind.elem_type not in DTYPES:
        raise ExportError(f"{source}: input {value.name} has a type that is not one of {', '.join(DTYPES.values())}")
    fixed = [size for size in sizes[1:] if size is not None]
    if len(fixed) < len(sizes) - 1:
        raise ExportError(
            f"{source}: input {value.name} has sizes that the file leaves open ({[size or '?' for size in sizes]}): say with inputs= what it is, "
            "such as TextInput or TensorInput with a shape"
        )
    return TensorInput(_name(value.name), fixed, DTYPES[kind.elem_type])


def _compared(
    module: nn.Module, source: Path, inputs: Sequence[Input], outputs: Sequence[Output]
) -> list[dict[str, Any]]:
    """The module beside ONNX Runtime, for each output and batch."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    compared = []
    for rows in ROWS:
        batch = example_batch(inputs, rows, seed=rows)
        if len(batch) != len(names):
            raise ExportError(
                f"{source} takes {len(names)} tensors ({', '.join(names)}), the declared inputs give {len(batch)}"
            )
        results = run(module, [tensor.clone() for tensor in batch], outputs)
        try:
            expected = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, batch)})
        except Exception as error:  # the runtime's own errors, of several kinds
            raise ExportError(f"{source} does not run in ONNX Runtime on {rows} rows: {first_line(error)}") from error
        for output, right, result in zip(outputs, expected, results):
            found = parity(output.name, False, torch.from_numpy(right), result, f"{rows} rows")
            _require(found, source)
            compared.append(
                {
                    "output": output.name,
                    "rows": rows,
                    "difference": found.difference,
                    "magnitude": found.magnitude,
                    "cosine": found.cosine,
                }
            )
    return compared


def _require(found: Parity, source: Path) -> None:
    if not found.holds:
        raise ExportError(
            f"{source}: output {found.output} differs from ONNX Runtime by {found.difference:.3g} on {found.batch} (of at most "
            f"{found.magnitude:.3g}; allowed is {RELATIVE_TOLERANCE:g} of it)"
        )


def _name(text: str) -> str:
    """A name with the characters that packages have: `input:0` becomes `input_0`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", text)
