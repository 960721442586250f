"""The command line of the export.

What lives here: the options for a module or a TorchScript file, and their conversion to `TextInput`, `Output` and so on.
`flambeau.export.package` does the work and has the same options. If the first word is the name of a library, as in
`python -m flambeau.export hf ./folder --out packages/x`, `library_cli` does the work.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from . import library_cli
from .errors import ExportError, first_line
from .options import (
    add_audio,
    add_image,
    add_max_length,
    add_package,
    audio_input,
    image_input,
    in_options,
    package_arguments,
)
from .packaging import package
from .sequences import TextInput
from .specs import DTYPES, Input, Output, TensorInput

EPILOG = """\
models of other libraries, whose own files say the rest (see python -m flambeau.export hf --help):
  python -m flambeau.export hf FOLDER --out packages/mine
  python -m flambeau.export sentence-transformers FOLDER --out packages/mine
  python -m flambeau.export timm NAME_OR_FOLDER --out packages/mine
  python -m flambeau.export torchvision NAME --license BSD-3-Clause --out packages/mine
  python -m flambeau.export onnx FILE --license MIT --out packages/mine

inputs (--input, once for each, in the program's order):
  image | NAME:image             prepared by --resize --crop --interpolation --channels --scale --mean --std ...
  text  | NAME:text              prepared by --tokenizer --max-length --text-inputs
  audio | NAME:audio             prepared by --sample-rate --window-samples --hop-samples --pool ...
  NAME:tensor[:DTYPE[:SHAPE]]    numbers; SHAPE is of one row, as 4 or 3x5; without it a scalar

outputs (--output, once for each, in the program's order, or by the names of the dict it returns):
  NAME[:ROLE]                    ROLE is features (featurize), scores (classify) or other (infer only; the default)

examples:
  python -m flambeau.export --module mynets:flowers --input image --resize 256 --crop 224 \\
      --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 \\
      --output features:features --output logits:scores --labels flowers.txt --license MIT --out packages/flowers
  python -m flambeau.export --torchscript net.pt --input x:tensor:f32:4 --output y --license MIT --out packages/net
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flambeau.export",
        description="Make a Flambeau model package from a PyTorch model. The package is proved against the model before it is written.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model = parser.add_argument_group("the model")
    source = model.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--module",
        metavar="PKG.MOD:NAME",
        help="a callable that returns an nn.Module, or a module (found from the current folder too)",
    )
    source.add_argument("--torchscript", metavar="FILE", type=Path, help="an existing TorchScript file")
    source.add_argument("--exported", metavar="FILE", type=Path, help="a program of torch.export (.pt2)")
    model.add_argument(
        "--state-dict", metavar="FILE", type=Path, help="weights to load into --module (a plain state dict)"
    )
    model.add_argument(
        "--method", choices=("trace", "script"), default="trace", help="how to compile it (default: %(default)s)"
    )

    shape = parser.add_argument_group("what it takes and gives")
    shape.add_argument("--input", metavar="SPEC", action="append", required=True, help="see below")
    shape.add_argument("--output", metavar="SPEC", action="append", required=True, help="see below")
    shape.add_argument(
        "--labels", metavar="FILE", type=Path, help="names of the classes of the scores output, one per line"
    )
    shape.add_argument(
        "--activation",
        choices=("softmax", "sigmoid", "none"),
        help="turns scores into probabilities (default: softmax)",
    )

    shape.add_argument(
        "--layer",
        metavar="NAME=PATH",
        action="append",
        default=[],
        help="output of an inner layer: its name, and the part's path in named_modules (may be repeated)",
    )

    add_image(parser)
    text = parser.add_argument_group("text inputs")
    text.add_argument("--tokenizer", metavar="FILE", type=Path, help="tokenizer.json")
    add_max_length(text)
    text.add_argument(
        "--text-inputs",
        metavar="A,B",
        default="input_ids,attention_mask",
        help="what the program takes (default: %(default)s)",
    )
    add_audio(parser).add_argument(
        "--audio-inputs", metavar="A,B", default="samples,lengths", help="what the program takes (default: %(default)s)"
    )
    add_package(parser, from_files=False)
    return parser


def load_module(name: str, state_dict: Path | None) -> nn.Module:
    """The module that `package.module:name` stands for: called if it is a function or a class."""
    module_name, _, attribute = name.partition(":")
    if not attribute:
        raise ExportError(f"--module {name!r}: write package.module:callable")
    sys.path.insert(0, str(Path.cwd()))
    try:
        target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ExportError(f"--module: cannot import {module_name!r}: {error}") from error
    finally:
        sys.path.pop(0)
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise ExportError(f"--module: {module_name} has no {attribute!r}")
        target = getattr(target, part)
    if not callable(target):
        raise ExportError(f"--module: {name} is a {type(target).__name__}, not a module or a function that returns one")
    built = target if isinstance(target, nn.Module) else target()
    if not isinstance(built, nn.Module):
        raise ExportError(f"--module: {name} gave a {type(built).__name__}, not a torch.nn.Module")
    if state_dict is not None:
        weights = torch.load(state_dict, map_location="cpu", weights_only=True)
        try:
            built.load_state_dict(weights)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise ExportError(f"--state-dict {state_dict} does not fit {name}: {first_line(error)}") from error
    return built


def load_exported(file: Path) -> nn.Module:
    """The module of a `.pt2` file that `torch.export.save` wrote."""
    try:
        return torch.export.load(file).module()
    except Exception as error:  # torch has no type of its own for a wrong file
        raise ExportError(f"{file} is not a program of torch.export: {first_line(error)}") from error


def parse_input(spec: str, options: argparse.Namespace) -> Input:
    """One `--input`."""
    parts = spec.split(":")
    name, rest = (parts[0], parts[1:]) if len(parts) > 1 else (None, parts)
    kind = rest[0]
    named: dict[str, str] = {} if name is None else {"name": name}
    if kind == "tensor":
        if name is None or len(rest) > 3:
            raise ExportError(f"--input {spec!r}: a tensor input is NAME:tensor[:DTYPE[:SHAPE]]")
        dtype = rest[1] if len(rest) > 1 else "f32"
        try:
            shape = [int(side) for side in rest[2].split("x")] if len(rest) > 2 and rest[2] else []
        except ValueError:
            raise ExportError(f"--input {spec!r}: SHAPE is written as 4 or 3x5") from None
        return TensorInput(name, shape, dtype)
    if kind not in ("image", "text", "audio") or len(rest) > 1:
        raise ExportError(f"--input {spec!r}: the kind is image, text, audio or tensor ({', '.join(DTYPES)})")
    if kind == "image":
        return image_input(options, **named)
    if kind == "audio":
        return audio_input(options, options.audio_inputs.split(","), **named)
    return _text(options, named)


def _text(options: argparse.Namespace, named: dict[str, str]) -> Input:
    if options.tokenizer is None:
        raise ExportError("a text input needs --tokenizer")
    return TextInput(options.tokenizer, max_length=options.max_length, inputs=options.text_inputs.split(","), **named)


def parse_output(spec: str, options: argparse.Namespace) -> Output:
    """One `--output`; labels and activation go to the scores."""
    name, _, role = spec.partition(":")
    scores = role == "scores"
    return Output(name, role or "other", options.labels if scores else None, options.activation if scores else None)


def parse_layers(specs: Sequence[str]) -> dict[str, str]:
    """All `--layer`."""
    pairs = [spec.partition("=") for spec in specs]
    for spec, (name, _, path) in zip(specs, pairs):
        if not name or not path:
            raise ExportError(f"--layer {spec!r}: write NAME=PATH, such as block5=features.5")
    return {name: path for name, _, path in pairs}


def run(options: argparse.Namespace) -> None:
    """Does what the parsed options say."""
    module: nn.Module
    if options.module is None and options.state_dict is not None:
        raise ExportError(
            "--state-dict needs --module; a TorchScript file or a program of torch.export has its weights inside"
        )
    if options.exported is not None:
        module = load_exported(options.exported)
    elif options.torchscript is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                module = torch.jit.load(options.torchscript, map_location="cpu")
            except (RuntimeError, ValueError) as error:
                raise ExportError(f"{options.torchscript} is not a TorchScript file: {first_line(error)}") from error
    else:
        module = load_module(options.module, options.state_dict)
    outputs = [parse_output(spec, options) for spec in options.output]
    if options.labels is not None and not any(output.role == "scores" for output in outputs):
        raise ExportError("--labels needs an output with the role scores, such as --output logits:scores")
    package(
        module,
        options.out,
        inputs=[parse_input(spec, options) for spec in options.input],
        outputs=outputs,
        method=options.method,
        layers=parse_layers(options.layer),
        **{"name": options.out.resolve().name, **package_arguments(options)},
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when the package was written, 1 with one line on stderr when not."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    library = library_cli.command(given)
    parser = _parser() if library is None else library.parser()
    options = parser.parse_args(given if library is None else given[1:])
    try:
        if library is None:
            run(options)
        else:
            library.run(parser, options)
    except (ExportError, OSError) as error:
        print(f"flambeau.export: {in_options(str(error), parser)}", file=sys.stderr)
        return 1
    return 0
