"""From a module to a package: `package`, and `trainable` for training.

`package` compiles the module to TorchScript. It proves that the program returns what the module returns, at every length and in a
process that has libtorch only (`proof` says how). Then it writes the folder that `featurize`, `classify` and `infer` take by name or
path. If anything differs, nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import fspath
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import aot
from .errors import ExportError
from .layers import WithLayers
from .limits import settle
from .manifest import PACKAGE_NAME, PROGRAM, PackageWriter, manifest_text
from .program import TRACE_ROWS, compile_program, example_batch, run
from .proof import Proof
from .report import ExportReport, Progress
from .sequences import TextInput
from .specs import DTYPES, ROLES, TOKEN_ROLES, Input, Output, StrPath
from .subject import as_module
from .variants import reduced


def package(
    module: nn.Module,
    path: StrPath,
    *,
    name: str,
    inputs: Sequence[Input],
    outputs: Sequence[Output],
    license: str,
    description: str | None = None,
    example: Sequence[Tensor] | Tensor | None = None,
    method: str = "trace",
    batch_rows: int | None = None,
    layers: Mapping[str, str] | None = None,
    precisions: Sequence[str] | Mapping[str, nn.Module] = (),
    variants: Sequence[str] | Mapping[str, nn.Module] = (),
    files: Mapping[str, bytes | str] | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    trainable: bool = False,
) -> ExportReport:
    """Writes the package of one module and returns the report that it also prints.

    Args:
        module: takes one batched tensor for each input (a text input: one for each of its `inputs`). It returns the outputs
            as a tensor, a tuple, or a dict by name, with the batch in dimension 0. It is switched to `eval()`.
            A `torch.jit.ScriptModule` is used as it is. A program of `torch.export` (`torch.export.load("net.pt2")`) is traced; its batch must
            be of any size (`dynamic_shapes`).
        path: the folder to write; its parents are created.
        name: the package's name. SQL uses it when the package is in a folder of `spark.flambeau.models.path`.
        inputs, outputs: in the program's order.
        license: of the weights, as an SPDX expression ("Apache-2.0").
        description: one line of text.
        example: prepared tensors to trace and compare with, if random ones do not work. Any number of rows. The cosine of reduced
            precision is then measured on it, so pass real rows.
        method: "trace" (one run is recorded) or "script" (control flow that depends on data is kept).
        batch_rows: rows in one forward pass; default: chosen by the engine, by kind of input.
        layers: outputs of inner layers: output name to the layer's path in `named_modules` ("features.7"). They become
            outputs with the role other, which `infer` returns. With method "trace" only.
        precisions: variants of reduced precision beside f32: "bf16", "f16". They run if
            `spark.flambeau.precision` asks for them, the machine supports them, and the cosine that is measured here is high enough.
            A mapping gives each its own module, with the same inputs and outputs in f32, if only a part should be reduced.
        variants: programs compiled ahead of time beside TorchScript: "aot-f32", "aot-bf16", "aot-f16". This machine needs
            a C++ compiler. They run with `spark.flambeau.engine` `aot`, or `auto` if they are the fastest, on processors with
            the features that the code uses, and with the same version of libtorch. A mapping as above.
        files: other files for the package (notices, for example), name to content.
        overwrite: replace an existing package.
        quiet: do not print the report.
        trainable: whether `TorchEstimator` may train it further. Dropout, batch normalization and stochastic depth then differ
            between training and inference in a traced program too, and the export compares both modes with the module.

    Raises:
        ExportError: something does not fit; nothing was written.
    """
    if not PACKAGE_NAME.fullmatch(name):
        raise ExportError(f"package name {name!r}: use letters, digits, '_', '-' and '.'")
    if method not in ("trace", "script"):
        raise ExportError(f"method {method!r} is neither trace nor script")
    _check_license(license)
    module = as_module(module)
    if layers:
        if method != "trace" or isinstance(module, torch.jit.ScriptModule):
            raise ExportError("layers need a module in Python and method='trace'")
        watched = WithLayers(module, outputs, layers)
        try:
            return package(
                watched, path, name=name, inputs=inputs, outputs=[*outputs, *(Output(layer) for layer in layers)],
                license=license, description=description, example=example, batch_rows=batch_rows, precisions=precisions,
                variants=variants, files=files, overwrite=overwrite, quiet=quiet,
            )  # fmt: skip
        finally:
            watched.close()
    _check_declared(inputs, outputs)
    progress = Progress(quiet)
    given = [example] if isinstance(example, Tensor) else (list(example) if example is not None else None)
    if given is not None:
        _check_example(inputs, given)
    inputs, spans = settle(module, inputs, outputs, progress)
    batch = given if given is not None else example_batch(inputs, TRACE_ROWS)
    results = run(module, [tensor.clone() for tensor in batch], outputs)
    output_tables, label_files = _describe(outputs, results)

    program, messages = compile_program(module, batch, outputs, method, trainable)
    proof = Proof(module, inputs, spans, outputs, given, messages, progress)
    parity = proof.hold(program)

    further = []
    for precision, own in _with_modules(precisions).items():
        compiled = None if own is None else compile_program(own, batch, outputs, method)[0]
        further.append(reduced(program, precision, outputs, proof, compiled))
    for variant_name, own in _with_modules(variants).items():
        progress.say(f"compiling {variant_name}")
        further.append(aot.variant(variant_name, module, own, inputs, spans, outputs, proof))
    with PackageWriter(Path(fspath(path)), overwrite) as writer:
        sha256 = writer.add(PROGRAM, program)
        for file, content in {**label_files, **_tokenizers(inputs), **(files or {})}.items():
            writer.add(file, content.encode("utf-8") if isinstance(content, str) else content)
        others = [
            {
                "file": item.file,
                "engine": item.engine,
                "precision": item.precision,
                "sha256": writer.add(item.file, item.program),
                "requires": list(item.requires),
                "libtorch": item.libtorch,
                "cosine": math.floor(item.cosine * 1e7) / 1e7,
            }
            for item in further
        ]
        programs = {PROGRAM, *(item.file for item in further)}
        variant: dict[str, Any] = {"file": PROGRAM, "engine": "torchscript", "precision": "f32", "sha256": sha256}
        variant["cosine"] = round(min(item.cosine for item in parity), 7)
        text = manifest_text(
            name=name,
            license=license,
            description=description,
            batch_rows=batch_rows,
            trainable=trainable,
            inputs=_input_tables(inputs),
            outputs=output_tables,
            variants=[*others, variant],
            files={file: digest for file, digest in writer.hashes.items() if file not in programs},
        )
        writer.commit(text)

    report = ExportReport(
        path=Path(fspath(path)),
        name=name,
        method="as given"
        if isinstance(module, torch.jit.ScriptModule)
        else {"trace": "traced"}.get(method, "scripted"),
        sha256=sha256,
        program_bytes=len(program),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        inputs=[_line(table, batch_rows) for table in _input_tables(inputs)],
        outputs=[_line(table, None) for table in output_tables],
        parity=parity,
        warnings=[*proof.warnings, *messages],
        variants=[
            f"{item.name}, {len(item.program) / 1e6:.1f} MB, cosine {item.cosine:.7f} against f32, needs {', '.join(item.requires)}"
            for item in further
        ],
        seconds=progress.seconds,
    )
    if not quiet:
        print(report)
    return report


def trainable(
    module: nn.Module,
    path: StrPath,
    *,
    name: str,
    inputs: Sequence[Input],
    outputs: Sequence[Output],
    license: str,
    description: str | None = None,
    example: Sequence[Tensor] | Tensor | None = None,
    method: str = "script",
    batch_rows: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
) -> ExportReport:
    """Writes a package that `flambeau.ml.TorchEstimator` can train. It is also an ordinary inference package.

        export.trainable(net, "packages/net", name="net", license="Apache-2.0",
                         inputs=[export.ImageInput(crop=224)], outputs=[export.Output("logits", "scores")])

    Args:
        module: has parameters. Layers with `requires_grad=False` can be trained unless `TorchEstimator(frozen=…)` names them. To use a
            method as the loss, mark it `@torch.jit.export`; it takes the output and the labels.
        method: "script" (default), or "trace" for a module that TorchScript cannot compile. Only "script" keeps methods for losses.

    The other arguments are those of `package`.

    Raises:
        ExportError: something does not fit; nothing was written.
    """
    module = as_module(module)
    if not any(True for _ in module.parameters()):
        raise ExportError("the module has no parameters, so there is nothing to train")
    return package(
        module,
        path,
        name=name,
        inputs=inputs,
        outputs=outputs,
        license=license,
        description=description,
        example=example,
        method=method,
        batch_rows=batch_rows,
        overwrite=overwrite,
        quiet=quiet,
        trainable=True,
    )


def _with_modules(asked: Sequence[str] | Mapping[str, nn.Module]) -> dict[str, nn.Module | None]:
    """The variants asked for, and the module of each that has its own."""
    if not isinstance(asked, Mapping):
        return dict.fromkeys(asked)
    return {name: as_module(own) for name, own in asked.items()}


def _check_license(license: object) -> None:
    """Users of the package must know what they may do with the weights."""
    if not isinstance(license, str) or not license.strip() or "\n" in license:
        raise ExportError(
            f"license={license!r}: give the license of the weights as an SPDX expression, such as 'Apache-2.0' or 'MIT' "
            "('LicenseRef-Proprietary' for your own)"
        )


def _check_example(inputs: Sequence[Input], example: Sequence[Tensor]) -> None:
    """The tensors that the program takes, of the right type, with the same rows, at least one."""
    wanted = example_batch(inputs, 1)
    if len(example) != len(wanted):
        raise ExportError(f"example holds {len(example)} tensors, but the program takes {len(wanted)}")
    for index, (given, right) in enumerate(zip(example, wanted)):
        what = f"tensor {index} of example"
        if not isinstance(given, Tensor):
            raise ExportError(f"{what} is a {type(given).__name__}, not a tensor")
        if given.dtype != right.dtype or given.dim() != right.dim():
            shape = ", ".join(["rows", *map(str, right.shape[1:])])
            raise ExportError(f"{what} is {given.dtype} {list(given.shape)}; the input is {right.dtype} [{shape}]")
        if given.shape[0] == 0 or given.shape[0] != example[0].shape[0]:
            raise ExportError(f"{what} has {given.shape[0]} rows: all tensors need the same number of rows, at least 1")


def _check_declared(inputs: Sequence[Input], outputs: Sequence[Output]) -> None:
    """At least one of each, different names, and at most one output for each SQL function."""
    for what, items in (("input", inputs), ("output", outputs)):
        names = [item.name for item in items]
        names += [item.pair for item in items if isinstance(item, TextInput) and item.pair is not None]
        if not names:
            raise ExportError(f"a package needs at least one {what}")
        if len(set(names)) != len(names):
            raise ExportError(f"two {what}s have the same name: {', '.join(names)}")
    for role in (role for role in ROLES if role != "other"):
        if sum(output.role == role for output in outputs) > 1:
            raise ExportError(f"only one output may have the role {role}; give the others the role 'other'")
    if sum(isinstance(item, TextInput) for item in inputs) > 1:
        raise ExportError(
            "a package holds one tokenizer, so only one text input; two texts that go together are TextInput(pair=…)"
        )
    for output in outputs:
        if output.role in TOKEN_ROLES:
            text = next((item for item in inputs if isinstance(item, TextInput)), None)
            if text is None or text.loaded.pads_left:
                raise ExportError(
                    f"output {output.name} with role {output.role} needs a text input whose tokenizer pads at the end"
                )


def _describe(outputs: Sequence[Output], results: Sequence[Tensor]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The `[[output]]` tables, completed from the module's results, and the label files."""
    names_of = {getattr(torch, theirs): ours for ours, theirs in DTYPES.items()}
    tables: list[dict[str, Any]] = []
    files: dict[str, str] = {}
    for output, value in zip(outputs, results):
        if value.dtype not in names_of:
            advice = "convert it in forward"
            if value.is_complex():
                advice = "give its real and imaginary parts, torch.view_as_real(x)"
            elif value.is_quantized:
                advice = "give x.dequantize(), or put a DeQuantStub at the end"
            raise ExportError(
                f"output {output.name} is of {value.dtype}; a package can give {', '.join(DTYPES)}: {advice}"
            )
        if value.layout != torch.strided:
            raise ExportError(f"output {output.name} is a {value.layout} tensor: give x.to_dense()")
        shape = list(value.shape[1 if output.lengths is None else 2 :])
        table: dict[str, Any] = {
            "name": output.name,
            "role": output.role,
            "shape": shape,
            "dtype": names_of[value.dtype],
        }
        if output.role in ("start_scores", "end_scores"):
            if shape or not value.dtype.is_floating_point:
                raise ExportError(
                    f"output {output.name} with role {output.role} must be one float for each token, not {shape} {value.dtype}"
                )
        elif output.role == "pixel_scores":
            if len(shape) != 3 or shape[0] < 2 or not value.dtype.is_floating_point:
                raise ExportError(
                    f"output {output.name} with role pixel_scores must be floats [n, classes, height, width] with at least 2 classes, "
                    f"not {[len(value), *shape]} {value.dtype}"
                )
        elif output.role in ("features", "scores", "ctc", "token_scores") and (
            len(shape) != 1 or not value.dtype.is_floating_point
        ):
            raise ExportError(
                f"output {output.name} with role {output.role} must be one vector of floats per row, not {shape} {value.dtype}"
            )
        if output.lengths is not None:
            _check_lengths(output, value, outputs, results)
            table["lengths"] = output.lengths
        labels = output.label_list()
        if labels is not None:
            given = _scored(output, shape, len(labels))
            if len(labels) != given:
                raise ExportError(f"output {output.name} gives {given} scores, but there are {len(labels)} labels")
            table["labels"] = "labels.txt" if not files else f"{output.name}.labels.txt"
            files[table["labels"]] = "".join(f"{label}\n" for label in labels)
        if output.ctc is not None:
            table["ctc"] = output.ctc.table()
        if output.boxes is not None:
            table["boxes"] = output.boxes.table()
        if output.no_object:
            table["no_object"] = True
        if output.role in ("scores", "box_scores", "token_scores"):
            table["activation"] = output.activation or "softmax"
        tables.append(table)
    return tables, files


def _scored(output: Output, shape: list[int], labels: int) -> int:
    """How many labels an output of this shape has. Nothing says how many classes the indices of box_classes stand for."""
    if output.role == "box_classes":
        return labels
    return shape[0] if output.role == "pixel_scores" else shape[-1] - output.no_object


def _check_lengths(output: Output, value: Tensor, outputs: Sequence[Output], results: Sequence[Tensor]) -> None:
    """The output that counts this one's items exists and has whole numbers, one per row, none too large."""
    counts = next((result for other, result in zip(outputs, results) if other.name == output.lengths), None)
    if counts is None or counts.dim() != 1 or counts.dtype not in (torch.int64, torch.int32):
        raise ExportError(
            f"output {output.name}: lengths={output.lengths!r} does not name an output with one whole number per row"
        )
    if value.dim() < 2 or int(counts.max()) > value.shape[1]:
        raise ExportError(f"output {output.name} has shape {list(value.shape)}, fewer items than {output.lengths} says")


def _input_tables(inputs: Sequence[Input]) -> list[dict[str, Any]]:
    """The `[[input]]` tables; the second text of a pair follows the first."""
    tables: list[dict[str, Any]] = []
    for item in inputs:
        tables.append(item.table())
        second = item.pair_table() if isinstance(item, TextInput) else None
        tables += [] if second is None else [second]
    return tables


def _tokenizers(inputs: Sequence[Input]) -> dict[str, bytes]:
    return {item.file: item.loaded.content for item in inputs if isinstance(item, TextInput)}


def _line(table: Mapping[str, Any], batch_rows: int | None) -> str:
    """One input or output as a line for people."""
    settings = table.get(table.get("kind", ""), {})
    parts = [str(table["name"])]
    parts += [str(table[key]) for key in ("kind", "role", "dtype", "shape") if key in table]
    parts += [f"{key}={value}" for key, value in settings.items() if value not in (None, False)]
    parts += [f"{key}={table[key]}" for key in ("labels", "activation") if key in table]
    if batch_rows is not None:
        parts.append(f"{batch_rows} rows a pass")
    return " ".join(parts)
