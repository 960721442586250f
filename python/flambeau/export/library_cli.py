"""The command line for models of other libraries: `python -m flambeau.export hf ./folder --out packages/x`.

What lives here: one `Command` for each library, with the options that its function has. The model's own files say the rest. What they do
not say is an error that names the option.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ExportError
from .libraries import from_onnx, from_sentence_transformers, from_timm, from_torchvision, from_transformers
from .libraries.transformers_models import TOWERS
from .libraries.transformers_texts import POOLINGS
from .options import (
    add_audio,
    add_image,
    add_max_length,
    add_package,
    audio_input,
    given,
    image_input,
    package_arguments,
)

IMAGE = ("resize", "crop", "interpolation", "channels", "scale", "mean", "std", "exif_orientation", "background")
AUDIO = ("sample_rate", "window_samples", "hop_samples", "pool", "max_seconds")


def _hf(parser: argparse.ArgumentParser) -> None:
    part = parser.add_argument_group("what the files may not say")
    part.add_argument(
        "--pooling", choices=POOLINGS, help="features, from hidden states: mean, cls (the first), last or pooler"
    )
    part.add_argument("--tower", choices=TOWERS, help="of CLIP and SigLIP")
    part.add_argument("--tokenizer", metavar="FOLDER", type=Path, help="folder of the tokenizer, if it is not in MODEL")
    part.add_argument(
        "--processor",
        metavar="FOLDER",
        type=Path,
        help="folder of the image processor or feature extractor (preprocessor_config.json), if it is not in MODEL",
    )
    part.add_argument(
        "--pair",
        action="store_true",
        help="a classifier of two texts together: a reranker, or natural language inference",
    )
    add_max_length(part)
    add_image(parser)
    add_audio(parser)


def _sentence_transformers(parser: argparse.ArgumentParser) -> None:
    add_max_length(parser.add_argument_group("texts"))


def _torchvision(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--weights",
        default="DEFAULT",
        help="a name that torchvision.models.get_model_weights lists (default: the best)",
    )
    add_image(parser)


@dataclass(frozen=True)
class Command:
    """One library. `write`: its function. `add`: adds the options that are its own; `passed`: those that the function has too."""

    name: str
    model: str
    about: str
    write: Callable[..., object]
    add: Callable[[argparse.ArgumentParser], None]
    passed: Sequence[str] = ()

    def parser(self) -> argparse.ArgumentParser:
        """All its options."""
        parser = argparse.ArgumentParser(
            prog=f"python -m flambeau.export {self.name}",
            description=f"Make a Flambeau model package from {self.about}. The model's own files say how it is prepared, its labels and "
            "its license. If they do not, the message names the option. Options of images replace what the files say.",
        )
        parser.add_argument("model", metavar=self.model, help=self.about)
        self.add(parser)
        add_package(parser, from_files=True)
        return parser

    def run(self, parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
        """Does what the parsed options say.

        Raises:
            ExportError: the library is not installed, or something does not fit.
        """
        if self.write is not from_onnx and options.model.startswith(("/", ".")) and not Path(options.model).is_dir():
            raise ExportError(f"there is no folder {options.model}")
        arguments: dict[str, Any] = {name: getattr(options, name) for name in self.passed}
        if hasattr(options, "resize") and given(parser, options, IMAGE):
            arguments["image"] = image_input(options)
        if hasattr(options, "sample_rate") and given(parser, options, AUDIO):
            arguments["audio"] = audio_input(options, ("samples", "lengths"))
        try:
            self.write(options.model, options.out, **arguments, **package_arguments(options))
        except ModuleNotFoundError as error:
            raise ExportError(f"{self.name} needs the package {error.name}, which is not installed here") from error


COMMANDS = (
    Command(
        "hf", "MODEL", "a model of transformers: its folder, or its name on the Hugging Face Hub", from_transformers, _hf,
        ("pooling", "tower", "tokenizer", "processor", "max_length", "pair"),
    ),
    Command(
        "sentence-transformers", "MODEL", "a model of sentence-transformers: its folder, or its name on the Hugging Face Hub",
        from_sentence_transformers, _sentence_transformers, ("max_length",),
    ),
    Command("timm", "MODEL", "a model of timm: its name, or the folder that it was saved in", from_timm, add_image),
    Command("onnx", "FILE", "an ONNX file, whose inputs are tensors", from_onnx, lambda _: None),
    Command("torchvision", "NAME", "a classifier of torchvision: its name", from_torchvision, _torchvision, ("weights",)),
)  # fmt: skip


def command(arguments: Sequence[str]) -> Command | None:
    """The library that the first word names, or None."""
    return next((each for each in COMMANDS if arguments and arguments[0] == each.name), None)
