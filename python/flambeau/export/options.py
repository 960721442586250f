"""Options that both command lines of the export have: those of images, of sounds, and of the package itself.

What lives here: functions that add the options to a parser, and that make `ImageInput`, `AudioInput` and the arguments of
`flambeau.export.package` from them. `in_options` brings an error into the words of the command line: where the Python functions say
`max_length=`, it says `--max-length`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import aot
from .sequences import AudioInput
from .specs import CHANNELS, INTERPOLATIONS, ImageInput
from .variants import PRECISIONS


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


def add_image(parser: argparse.ArgumentParser) -> None:
    """The steps of a picture."""
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


def add_audio(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Rate, windows and limits of sounds. Returns the group, for more of them."""
    audio = parser.add_argument_group("audio inputs")
    audio.add_argument("--sample-rate", type=int, default=16_000, metavar="HZ", help="default: %(default)s")
    audio.add_argument("--window-samples", type=int, metavar="N", help="samples of one window (default: whole clips)")
    audio.add_argument("--hop-samples", type=int, metavar="N", help="distance of two windows (default: the window)")
    audio.add_argument("--pool", choices=("mean", "max", "first"), help="over the windows of a clip (default: mean)")
    audio.add_argument("--max-seconds", type=float, default=600.0, help="longest clip (default: %(default)s)")
    return audio


def add_max_length(parser: argparse._ActionsContainer) -> None:
    """The limit of texts."""
    parser.add_argument(
        "--max-length",
        type=int,
        metavar="N",
        help="maximum number of tokens of a text (default: the tokenizer's limit)",
    )


def add_package(parser: argparse.ArgumentParser, from_files: bool) -> None:
    """Where the package goes, its name, and its variants. `from_files`: the model's files say its name, and perhaps its license."""
    package_ = parser.add_argument_group("the package")
    package_.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder to write")
    package_.add_argument(
        "--name", help=f"name of the package (default: {'the model' if from_files else 'the folder'}'s)"
    )
    package_.add_argument(
        "--license",
        required=not from_files,
        help="license of the weights, such as Apache-2.0"
        + (" (needed if the model's files do not say it)" if from_files else ""),
    )
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
    package_.add_argument(
        "--trainable",
        action="store_true",
        help="TorchEstimator may train it: dropout and normalization stay switchable",
    )
    package_.add_argument("--overwrite", action="store_true", help="replace an existing package")


def image_input(options: argparse.Namespace, **named: str) -> ImageInput:
    """The picture that the options describe. `named`: its name, if it is not the usual one."""
    background = [int(value) for value in options.background] if options.background else None
    return ImageInput(
        resize=options.resize, crop=options.crop, interpolation=options.interpolation, channels=options.channels,
        scale=options.scale, mean=options.mean, std=options.std, exif_orientation=options.exif_orientation,
        background=background, **named,
    )  # fmt: skip


def audio_input(options: argparse.Namespace, inputs: Sequence[str], **named: str) -> AudioInput:
    """The sound that the options describe. `inputs`: what the program takes; `named` as above."""
    return AudioInput(
        options.sample_rate, window_samples=options.window_samples, hop_samples=options.hop_samples, pool=options.pool,
        inputs=inputs, max_seconds=options.max_seconds, **named,
    )  # fmt: skip


def package_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `flambeau.export.package` for the options of `add_package`, without those that were not given."""
    given = {name: getattr(options, name) for name in ("name", "license", "description", "batch_rows")}
    return {
        **{name: value for name, value in given.items() if value is not None},
        "precisions": options.precision,
        "variants": options.variant,
        "files": {path.name: path.read_bytes() for path in options.file},
        "overwrite": options.overwrite,
        "trainable": options.trainable,
    }


def given(parser: argparse.ArgumentParser, options: argparse.Namespace, names: Sequence[str]) -> bool:
    """Whether any of these options has another value than its default."""
    return any(getattr(options, name) != parser.get_default(name) for name in names)


def in_options(message: str, parser: argparse.ArgumentParser) -> str:
    """The message with an option in place of each argument of the Python functions that has one."""
    words = {action.dest: action.option_strings[0] for action in parser._actions if action.option_strings}
    if "resize" in words:
        words["image"] = "--resize, --crop and the other options of images"

    def option(found: re.Match[str]) -> str:
        value = found[2].strip("'")
        return f"{words[found[1]]} {value}" if value else words[found[1]]

    known = "|".join(sorted(words, key=len, reverse=True))
    return re.sub(rf"\b({known})=('[^']*'|\(|[\w.]*\w|)", option, message)
