"""What a model takes and gives: the vocabulary of `flambeau.export`.

What lives here: one frozen dataclass for each kind of input (`ImageInput`, `TextInput`, `AudioInput`, `TensorInput`)
and `Output`. Each checks itself when it is made, so that a mistake is reported where it was written, and knows two
things: the tables it contributes to `model.toml` (`table()`), and what a batch for its program looks like
(`example(rows, torch.Generator)`), which tracing and the parity check use. `Output` is completed by the export: its
shape and type are those that the program really gives.

The defaults are those of the engine that reads `model.toml`; a setting left at its default is still written, so that
a package tells its whole preparation by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Union

if TYPE_CHECKING:
    import torch

StrPath = Union[str, "PathLike[str]"]
Size = Union[int, tuple[int, int]]

DTYPES = {
    "f32": "float32",
    "f64": "float64",
    "f16": "float16",
    "bf16": "bfloat16",
    "i64": "int64",
    "i32": "int32",
    "i16": "int16",
    "i8": "int8",
    "u8": "uint8",
    "bool": "bool",
}
"""The manifest's names of element types, and torch's."""

INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ExportError(ValueError):
    """The model cannot be packaged as asked; the message says what to change."""


def check_name(kind: str, name: str) -> None:
    """Names become fields of SQL structs: letters, digits and underscores, no digit first."""
    if not NAME.fullmatch(name):
        raise ExportError(f"{kind} name {name!r}: use letters, digits and underscores, and no digit first")


def _positive(what: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ExportError(f"{what} must be a positive whole number, not {value!r}")


def _size(what: str, size: Size | None) -> int | list[int] | None:
    if size is None or isinstance(size, int):
        if size is not None:
            _positive(what, size)
        return size
    if len(size) != 2:
        raise ExportError(f"{what} must be one number or [height, width], not {size!r}")
    for side in size:
        _positive(what, side)
    return list(size)


@dataclass(frozen=True)
class ImageInput:
    """An image: encoded bytes or Spark's `image` struct in SQL, f32 `[n, channels, height, width]` in the program.

    Steps, in order: decode, (`exif_orientation`), `resize`, centre `crop`, then `(x * scale - mean) / std` per channel,
    where x is 0..255.

    Args:
        resize: shorter side in pixels, or `(height, width)` exactly. None: no resize, `crop` must be given.
        crop: side of the centre crop, or `(height, width)`. None: no crop, `resize` must be exact.
        interpolation: one of `INTERPOLATIONS`, as Pillow defines and antialiases them.
        channels: order that the program wants: "RGB", "BGR" or "L" (gray).
        scale: multiplied onto 0..255 first; default 1/255.
        mean, std: one number for each channel; default 0 and 1.
        exif_orientation: turn the picture as its EXIF tag says.
        background: colour under transparent pixels; None drops alpha as Pillow's `convert("RGB")` does.
    """

    name: str = "image"
    resize: Size | None = None
    crop: Size | None = None
    interpolation: str = "bilinear"
    channels: str = "RGB"
    scale: float = 1 / 255
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    exif_orientation: bool = False
    background: Sequence[int] | None = None
    kind: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        check_name("input", self.name)
        resize, crop = _size("resize", self.resize), _size("crop", self.crop)
        if crop is None and not isinstance(resize, list):
            raise ExportError(
                "an image input needs crop=, or an exact resize=(height, width): the program's size must be known"
            )
        if isinstance(resize, list) and isinstance(crop, list) and (crop[0] > resize[0] or crop[1] > resize[1]):
            raise ExportError(f"crop {crop} is larger than resize {resize}")
        if self.interpolation not in INTERPOLATIONS:
            raise ExportError(f"interpolation {self.interpolation!r} is none of {', '.join(INTERPOLATIONS)}")
        if self.channels not in CHANNELS:
            raise ExportError(f"channels {self.channels!r} is none of {', '.join(CHANNELS)}")
        for what, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != CHANNELS[self.channels]:
                raise ExportError(
                    f"{what} needs {CHANNELS[self.channels]} numbers for {self.channels}, got {len(values)}"
                )
        if self.scale == 0:
            raise ExportError("scale must not be zero")
        if self.std is not None and 0 in self.std:
            raise ExportError("std must not hold a zero")
        if self.background is not None and (
            len(self.background) != 3 or not all(0 <= c <= 255 for c in self.background)
        ):
            raise ExportError("background must be three numbers from 0 to 255")

    @property
    def height_width(self) -> tuple[int, int]:
        """Size of the program's input in pixels."""
        size = self.crop if self.crop is not None else self.resize
        assert size is not None
        return (size, size) if isinstance(size, int) else (size[0], size[1])

    def table(self) -> dict[str, Any]:
        """The `[[input]]` table."""
        channels = CHANNELS[self.channels]
        settings: dict[str, Any] = {
            "resize": _size("resize", self.resize),
            "crop": _size("crop", self.crop),
            "interpolation": self.interpolation,
            "channels": self.channels,
            "scale": float(self.scale),
            "mean": [float(v) for v in (self.mean or [0.0] * channels)],
            "std": [float(v) for v in (self.std or [1.0] * channels)],
            "exif_orientation": self.exif_orientation,
            "background": list(self.background) if self.background is not None else None,
        }
        return {"name": self.name, "kind": self.kind, self.kind: settings}

    def example(self, rows: int, generator: torch.Generator) -> list[torch.Tensor]:
        """`rows` random pictures, prepared: one f32 tensor `[rows, channels, height, width]`, channels last in memory."""
        import torch

        channels, (height, width) = CHANNELS[self.channels], self.height_width
        pixels = torch.rand([rows, channels, height, width], generator=generator) * 255
        mean = torch.tensor(self.mean or [0.0] * channels).view(1, channels, 1, 1)
        std = torch.tensor(self.std or [1.0] * channels).view(1, channels, 1, 1)
        return [((pixels * self.scale - mean) / std).contiguous(memory_format=torch.channels_last)]


@dataclass(frozen=True)
class TextInput:
    """A string in SQL; token tensors i64 `[n, length]` in the program, padded to the longest of the batch.

    Args:
        tokenizer: path of a `tokenizer.json` of Hugging Face's `tokenizers`; copied into the package.
        max_length: tokens kept of a text, special ones included; None: as the tokenizer itself says.
        inputs: the tensors the program takes, in order, of `input_ids`, `attention_mask`, `token_type_ids`.
    """

    tokenizer: StrPath
    name: str = "text"
    max_length: int | None = None
    inputs: Sequence[str] = ("input_ids", "attention_mask")
    kind: ClassVar[str] = "text"
    file: ClassVar[str] = "tokenizer.json"

    def __post_init__(self) -> None:
        check_name("input", self.name)
        if self.max_length is not None:
            _positive("max_length", self.max_length)
        known = {"input_ids", "attention_mask", "token_type_ids"}
        if "input_ids" not in self.inputs or not set(self.inputs) <= known or len(set(self.inputs)) != len(self.inputs):
            raise ExportError(
                f"a text input's inputs are input_ids, and more of {', '.join(sorted(known))}, not {list(self.inputs)}"
            )
        if not Path(fspath(self.tokenizer)).is_file():
            raise ExportError(f"there is no tokenizer at {fspath(self.tokenizer)}")

    def table(self) -> dict[str, Any]:
        """The `[[input]]` table."""
        settings = {"tokenizer": self.file, "max_length": self.max_length, "inputs": list(self.inputs)}
        return {"name": self.name, "kind": self.kind, self.kind: settings}

    def example(self, rows: int, generator: torch.Generator) -> list[torch.Tensor]:
        """Random tokens, one tensor for each of `inputs`; rows differ in length, and so do batches of different size."""
        import torch

        length = min(self.max_length or 512, 8 + 3 * rows)
        mask = torch.ones([rows, length], dtype=torch.int64)
        for row in range(1, rows):
            mask[row, max(1, length - 2 * row) :] = 0
        ids = torch.randint(0, self._vocabulary_size(), [rows, length], generator=generator) * mask
        tensors = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(mask)}
        return [tensors[name] for name in self.inputs]

    def _vocabulary_size(self) -> int:
        try:
            model = json.loads(Path(fspath(self.tokenizer)).read_text(encoding="utf-8"))["model"]
            return max(1, len(model["vocab"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ExportError(f"{fspath(self.tokenizer)} is no tokenizer.json: {error!r}") from error


@dataclass(frozen=True)
class AudioInput:
    """Encoded audio in SQL; mono, resampled, about -1..1 in the program.

    The program takes `samples`, f32 `[n, longest]`, zero padded at the end, and `lengths`, i64 `[n]`: how many samples of
    each row are real. A clip longer than the window is cut into windows, each a row of the program.

    Args:
        sample_rate: in Hz.
        window_samples: samples of one window; None: the program sees whole clips.
        hop_samples: from the start of one window to the next; default: the window.
        pool: how a clip's outputs are made of its windows': "mean" (default), "max" or "first".
        inputs: the tensors the program takes, in order. `("samples",)` alone pads every row to the window.
        max_seconds: longest clip; a longer one is a bad row.
    """

    sample_rate: int = 16_000
    name: str = "audio"
    window_samples: int | None = None
    hop_samples: int | None = None
    pool: str | None = None
    inputs: Sequence[str] = ("samples", "lengths")
    max_seconds: float = 600.0
    kind: ClassVar[str] = "audio"

    def __post_init__(self) -> None:
        check_name("input", self.name)
        _positive("sample_rate", self.sample_rate)
        for what, value in (("window_samples", self.window_samples), ("hop_samples", self.hop_samples)):
            if value is not None:
                _positive(what, value)
        if self.window_samples is None and (self.hop_samples is not None or self.pool is not None):
            raise ExportError("hop_samples and pool need window_samples")
        if self.window_samples and self.hop_samples and self.hop_samples > self.window_samples:
            raise ExportError("hop_samples must not be larger than window_samples: samples between would be skipped")
        if self.pool not in (None, "mean", "max", "first"):
            raise ExportError(f"pool {self.pool!r} is none of mean, max, first")
        if sorted(self.inputs) not in (["lengths", "samples"], ["samples"]):
            raise ExportError(
                f"an audio input's inputs are samples and lengths, or samples alone, not {list(self.inputs)}"
            )
        if "lengths" not in self.inputs and self.window_samples is None:
            raise ExportError("an audio input without lengths needs window_samples, so that every row is equally long")

    def table(self) -> dict[str, Any]:
        """The `[[input]]` table."""
        settings = {
            "sample_rate": self.sample_rate,
            "max_seconds": float(self.max_seconds),
            "window_samples": self.window_samples,
            "hop_samples": self.hop_samples,
            "pool": self.pool,
            "inputs": list(self.inputs),
        }
        return {"name": self.name, "kind": self.kind, self.kind: settings}

    def example(self, rows: int, generator: torch.Generator) -> list[torch.Tensor]:
        """Quiet noise, one tensor for each of `inputs`; with lengths, rows and batches differ in length."""
        import torch

        longest = self.window_samples or self.sample_rate
        lengths = torch.full([rows], longest, dtype=torch.int64)
        if "lengths" in self.inputs:
            longest -= longest // 8 * (rows - 1)
            lengths = torch.linspace(longest, max(1, longest // 2), rows).long()
        samples = torch.randn([rows, longest], generator=generator) * 0.1
        samples *= torch.arange(longest).unsqueeze(0) < lengths.unsqueeze(1)
        tensors = {"samples": samples, "lengths": lengths}
        return [tensors[name] for name in self.inputs]


@dataclass(frozen=True)
class TensorInput:
    """Numbers: a scalar column for shape `()`, else an array (nested by shape); `[n, *shape]` in the program.

    Args:
        shape: of one row, without the batch dimension.
        dtype: one of `DTYPES`.
    """

    name: str
    shape: Sequence[int] = field(default=())
    dtype: str = "f32"
    kind: ClassVar[str] = "tensor"

    def __post_init__(self) -> None:
        check_name("input", self.name)
        if self.dtype not in DTYPES:
            raise ExportError(f"dtype {self.dtype!r} is none of {', '.join(DTYPES)}")
        for side in self.shape:
            _positive("a side of the shape", side)

    def table(self) -> dict[str, Any]:
        """The `[[input]]` table."""
        return {"name": self.name, "kind": self.kind, "dtype": self.dtype, "shape": list(self.shape)}

    def example(self, rows: int, generator: torch.Generator) -> list[torch.Tensor]:
        """`rows` random rows: normal for floats, 0 and 1 for whole numbers and booleans."""
        import torch

        shape, dtype = [rows, *self.shape], getattr(torch, DTYPES[self.dtype])
        if dtype.is_floating_point:
            return [torch.randn(shape, generator=generator).to(dtype)]
        return [torch.randint(0, 2, shape, generator=generator).to(dtype)]


Input = Union[ImageInput, TextInput, AudioInput, TensorInput]


@dataclass(frozen=True)
class Output:
    """One output of the program, in the order in which it gives them (by name, if it gives a dict).

    Args:
        name: the field's name in what `infer` returns.
        role: "features" (what `featurize` gives), "scores" (what `classify` ranks) or "other".
        labels: names of the classes, in order: a list, or a file with one a line. For scores only.
        activation: what makes probabilities of scores: "softmax" (default), "sigmoid" or "none".
        lengths: for rows that differ in length: the name of another output, one whole number a row, that says how many
            items of this one are the row's own. The module then gives `[n, longest, …]`.
    """

    name: str
    role: str = "other"
    labels: Sequence[str] | StrPath | None = None
    activation: str | None = None
    lengths: str | None = None

    def __post_init__(self) -> None:
        check_name("output", self.name)
        if self.lengths is not None and self.role != "other":
            raise ExportError(f"output {self.name}: rows that differ in length are for role='other'")
        if self.role not in ("features", "scores", "other"):
            raise ExportError(f"role {self.role!r} of output {self.name} is none of features, scores, other")
        if self.role != "scores" and (self.labels is not None or self.activation is not None):
            raise ExportError(f"output {self.name}: labels and activation are for role='scores'")
        if self.activation not in (None, "softmax", "sigmoid", "none"):
            raise ExportError(f"activation {self.activation!r} is none of softmax, sigmoid, none")

    def label_list(self) -> list[str] | None:
        """The labels themselves, read if a file was given; None if there are none."""
        if self.labels is None:
            return None
        if isinstance(self.labels, (str, PathLike)):
            labels = Path(fspath(self.labels)).read_text(encoding="utf-8").splitlines()
        else:
            labels = list(self.labels)
        for index, label in enumerate(labels):
            if not label.strip() or "\n" in label or "\r" in label:
                raise ExportError(f"label {index} of output {self.name} is empty or has a line break: {label!r}")
        return labels
