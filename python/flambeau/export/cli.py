"""The command line of the export.

What lives here: the options, and their conversion to `ImageInput`, `Output` and so on. `flambeau.export.package` does
the work and has the same options.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from . import AudioInput, ExportError, ImageInput, Input, Output, TensorInput, TextInput, aot, package
from .specs import CHANNELS, DTYPES, INTERPOLATIONS
from .variants import PRECISIONS

EPILOG = """\
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


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: numbers with commas between, such as 0.485,0.456,0.406") from None


def _size(text: str) -> int | tuple[int, int]:
    try:
        sides = [int(part) for part in text.lower().replace(",", "x").split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2):
        raise argparse.ArgumentTypeError(f"{text!r}: one number, or HEIGHTxWIDTH")
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


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

    image = parser.add_argument_group("image inputs")
    image.add_argument("--resize", metavar="SIZE", type=_size, help="shorter side, or HEIGHTxWIDTH exactly")
    image.add_argument("--crop", metavar="SIZE", type=_size, help="center crop: side, or HEIGHTxWIDTH")
    image.add_argument(
        "--interpolation",
        choices=INTERPOLATIONS,
        default="bilinear",
        help="as Pillow defines them (default: %(default)s)",
    )
    image.add_argument("--channels", choices=tuple(CHANNELS), default="RGB", help="default: %(default)s")
    image.add_argument("--scale", type=float, default=1 / 255, help="factor for 0..255, applied first (default: 1/255)")
    image.add_argument("--mean", metavar="A,B,C", type=_numbers, help="subtracted after scaling (default: 0)")
    image.add_argument("--std", metavar="A,B,C", type=_numbers, help="divided by it at the end (default: 1)")
    image.add_argument("--exif-orientation", action="store_true", help="rotate images as their EXIF tag says")
    image.add_argument(
        "--background", metavar="R,G,B", type=_numbers, help="color under transparent pixels (default: drop alpha)"
    )

    text = parser.add_argument_group("text inputs")
    text.add_argument("--tokenizer", metavar="FILE", type=Path, help="tokenizer.json")
    text.add_argument(
        "--max-length",
        type=int,
        metavar="N",
        help="maximum number of tokens of a text (default: the tokenizer's limit)",
    )
    text.add_argument(
        "--text-inputs",
        metavar="A,B",
        default="input_ids,attention_mask",
        help="what the program takes (default: %(default)s)",
    )

    audio = parser.add_argument_group("audio inputs")
    audio.add_argument("--sample-rate", type=int, default=16_000, metavar="HZ", help="default: %(default)s")
    audio.add_argument("--window-samples", type=int, metavar="N", help="samples of one window (default: whole clips)")
    audio.add_argument("--hop-samples", type=int, metavar="N", help="distance of two windows (default: the window)")
    audio.add_argument("--pool", choices=("mean", "max", "first"), help="over the windows of a clip (default: mean)")
    audio.add_argument(
        "--audio-inputs", metavar="A,B", default="samples,lengths", help="what the program takes (default: %(default)s)"
    )
    audio.add_argument("--max-seconds", type=float, default=600.0, help="longest clip (default: %(default)s)")

    package_ = parser.add_argument_group("the package")
    package_.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder to write")
    package_.add_argument("--name", help="name of the package (default: that of the folder)")
    package_.add_argument("--license", required=True, help="license of the weights, such as Apache-2.0")
    package_.add_argument("--description", help="one line for people")
    package_.add_argument(
        "--batch-rows", type=int, metavar="N", help="rows in one forward pass (default: the engine's, by kind)"
    )
    package_.add_argument(
        "--precision",
        choices=tuple(PRECISIONS),
        action="append",
        default=[],
        help="a variant of reduced precision beside f32, with its measured cosine (may be repeated)",
    )
    package_.add_argument(
        "--variant",
        choices=aot.NAMES,
        action="append",
        default=[],
        help="a variant compiled ahead of time, which needs a C++ compiler on this machine (may be repeated)",
    )
    package_.add_argument(
        "--file",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="another file for the package, such as a notice",
    )
    package_.add_argument("--overwrite", action="store_true", help="replace an existing package")
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
            raise ExportError(f"--state-dict {state_dict} does not fit {name}: {str(error).splitlines()[0]}") from error
    return built


def parse_input(spec: str, options: argparse.Namespace) -> Input:
    """One `--input`."""
    parts = spec.split(":")
    name, rest = (parts[0], parts[1:]) if len(parts) > 1 else (None, parts)
    kind = rest[0]
    named = {} if name is None else {"name": name}
    if kind == "tensor":
        if name is None or len(rest) > 3:
            raise ExportError(f"--input {spec!r}: a tensor input is NAME:tensor[:DTYPE[:SHAPE]]")
        dtype = rest[1] if len(rest) > 1 else "f32"
        try:
            shape = [int(side) for side in rest[2].split("x")] if len(rest) > 2 and rest[2] else []
        except ValueError:
            raise ExportError(f"--input {spec!r}: SHAPE is written as 4 or 3x5") from None
        return TensorInput(name, shape, dtype)
    makers: dict[str, Callable[..., Input]] = {"image": _image, "text": _text, "audio": _audio}
    if kind not in makers or len(rest) > 1:
        raise ExportError(f"--input {spec!r}: the kind is image, text, audio or tensor ({', '.join(DTYPES)})")
    return makers[kind](options, named)


def _image(options: argparse.Namespace, named: dict[str, str]) -> Input:
    background = [int(value) for value in options.background] if options.background else None
    return ImageInput(
        resize=options.resize, crop=options.crop, interpolation=options.interpolation, channels=options.channels,
        scale=options.scale, mean=options.mean, std=options.std, exif_orientation=options.exif_orientation,
        background=background, **named,
    )  # fmt: skip


def _text(options: argparse.Namespace, named: dict[str, str]) -> Input:
    if options.tokenizer is None:
        raise ExportError("a text input needs --tokenizer")
    return TextInput(options.tokenizer, max_length=options.max_length, inputs=options.text_inputs.split(","), **named)


def _audio(options: argparse.Namespace, named: dict[str, str]) -> Input:
    return AudioInput(
        options.sample_rate, window_samples=options.window_samples, hop_samples=options.hop_samples, pool=options.pool,
        inputs=options.audio_inputs.split(","), max_seconds=options.max_seconds, **named,
    )  # fmt: skip


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
    if options.torchscript is not None:
        if options.state_dict is not None:
            raise ExportError("--state-dict needs --module; a TorchScript file has its weights inside")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                module: nn.Module = torch.jit.load(options.torchscript, map_location="cpu")
            except (RuntimeError, ValueError) as error:
                raise ExportError(
                    f"{options.torchscript} is not a TorchScript file: {str(error).splitlines()[0]}"
                ) from error
    else:
        module = load_module(options.module, options.state_dict)
    outputs = [parse_output(spec, options) for spec in options.output]
    if options.labels is not None and not any(output.role == "scores" for output in outputs):
        raise ExportError("--labels needs an output with the role scores, such as --output logits:scores")
    package(
        module,
        options.out,
        name=options.name or options.out.resolve().name,
        inputs=[parse_input(spec, options) for spec in options.input],
        outputs=outputs,
        license=options.license,
        description=options.description,
        method=options.method,
        batch_rows=options.batch_rows,
        layers=parse_layers(options.layer),
        precisions=options.precision,
        variants=options.variant,
        files={path.name: path.read_bytes() for path in options.file},
        overwrite=options.overwrite,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when the package was written, 1 with one line on stderr when not."""
    options = _parser().parse_args(arguments)
    try:
        run(options)
    except (ExportError, OSError) as error:
        print(f"flambeau.export: {error}", file=sys.stderr)
        return 1
    return 0
