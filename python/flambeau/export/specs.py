"""Inputs and outputs of a model: the classes of `flambeau.export`.

What lives here: `Output`, and one frozen dataclass for each kind of input: `ImageInput` and `TensorInput`. (`TextInput` and `AudioInput`,
whose rows differ in length, are in `sequences`.) Each checks itself when it is made, so a mistake is reported where it was written. Each
has `table()`, its tables in `model.toml`, and `example(rows, torch.Generator)`, a batch for tracing and for the parity check. The export
completes an `Output` with the shape and type that the program really returns.

The defaults are those of the engine that reads `model.toml`. Settings are written even if they have their default, so that
a package describes its whole preparation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Union

from .decoding import Boxes, Ctc
from .errors import ExportError, check_name, check_positive
from .sequences import AudioInput, TextInput

if TYPE_CHECKING:
    import torch

StrPath = Union[str, PathLike[str]]
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

TOKEN_ROLES = ("token_scores", "start_scores", "end_scores")
ROLES = ("features", "scores", "ctc", "boxes", "box_scores", "box_classes", "pixel_scores", *TOKEN_ROLES, "other")
"""What an output can mean."""

LABELED = ("scores", "ctc", "box_scores", "box_classes", "pixel_scores", "token_scores")
ACTIVATED = ("scores", "box_scores", "token_scores")
INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}


def _size(what: str, size: Size | None) -> int | list[int] | None:
    if size is None or isinstance(size, int):
        if size is not None:
            check_positive(what, size)
        return size
    if len(size) != 2:
        raise ExportError(f"{what} must be one number or [height, width], not {size!r}")
    for side in size:
        check_positive(what, side)
    return list(size)


@dataclass(frozen=True)
class ImageInput:
    """An image: encoded bytes or Spark's `image` struct in SQL, f32 `[n, channels, height, width]` in the program.

    Steps, in order: decode, (`exif_orientation`), `resize`, center `crop`, then `(x * scale - mean) / std` per channel,
    where x is 0..255.

    Args:
        resize: shorter side in pixels, or `(height, width)` exactly. None: no resize, `crop` must be given.
        crop: side of the center crop, or `(height, width)`. None: no crop, `resize` must be exact.
        interpolation: one of `INTERPOLATIONS`, as Pillow defines and antialiases them.
        channels: order of the channels: "RGB", "BGR" or "L" (gray).
        scale: factor for 0..255, applied first; default 1/255.
        mean, std: one number for each channel; default 0 and 1.
        exif_orientation: rotate the image as its EXIF tag says.
        background: color under transparent pixels; None drops alpha as Pillow's `convert("RGB")` does.
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
class TensorInput:
    """Numbers: a scalar column for shape `()`, otherwise an array (nested by shape); `[n, *shape]` in the program.

    Args:
        shape: of one row, without the batch dimension.
        dtype: one of `DTYPES`.
        min, max: the least and the largest value that the program takes, for whole numbers; None for no limit. An
            embedding of n rows takes 0 to n - 1. A row with another value is bad input, and the program never sees it.
    """

    name: str
    shape: Sequence[int] = field(default=())
    dtype: str = "f32"
    min: int | None = None
    max: int | None = None
    kind: ClassVar[str] = "tensor"

    def __post_init__(self) -> None:
        check_name("input", self.name)
        if self.dtype not in DTYPES:
            raise ExportError(f"dtype {self.dtype!r} is none of {', '.join(DTYPES)}")
        for side in self.shape:
            check_positive("a side of the shape", side)
        limits = {"min": self.min, "max": self.max}
        for what, limit in limits.items():
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
                raise ExportError(f"{what} must be a whole number, not {limit!r}")
            if limit is not None and self.dtype not in ("i64", "i32", "i16", "i8", "u8"):
                raise ExportError(f"{what} is for whole numbers (i64, i32, i16, i8, u8), not {self.dtype}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ExportError(f"min {self.min} is above max {self.max}")

    def table(self) -> dict[str, Any]:
        """The `[[input]]` table."""
        limits = {what: limit for what, limit in (("min", self.min), ("max", self.max)) if limit is not None}
        return {"name": self.name, "kind": self.kind, "dtype": self.dtype, "shape": list(self.shape), **limits}

    def example(self, rows: int, generator: torch.Generator) -> list[torch.Tensor]:
        """`rows` random rows: normal for floats, 0 and 1 (or the two values nearest to them that the program takes) for others."""
        import torch

        shape, dtype = [rows, *self.shape], getattr(torch, DTYPES[self.dtype])
        if dtype.is_floating_point:
            return [torch.randn(shape, generator=generator).to(dtype)]
        low, high = 0, 1
        if self.max is not None and self.max < high:
            low, high = self.max - 1, self.max
        if self.min is not None and self.min > low:
            low, high = self.min, self.min + 1 if self.max is None else min(self.min + 1, self.max)
        return [torch.randint(low, high + 1, shape, generator=generator).to(dtype)]


Input = Union[ImageInput, TextInput, AudioInput, TensorInput]


@dataclass(frozen=True)
class Output:
    """One output of the program, in the order of the program's results (by name, if it returns a dict).

    Args:
        name: the field's name in what `infer` returns.
        role: "features" (for `featurize`), "scores" (for `classify`, and of pairs of texts for `rerank` and `zero_shot`), or "other".
            For sounds: "ctc" (for `transcribe`). For images: "boxes" with "box_scores" and perhaps "box_classes" (for `detect`), or
            "pixel_scores" (for `segment`: `[n, classes, height, width]`, of the prepared image or a part of its size). For texts:
            "token_scores" (for `entities`), or "start_scores" and "end_scores" (for `answer`), which need `lengths`: the tokens of each row.
        labels: names of the classes, in order: a list, or a file with one per line. Of the role "ctc" they are its tokens.
        activation: turns scores, box_scores and token_scores into probabilities: "softmax" (default), "sigmoid" or "none".
        lengths: for rows that differ in length: the name of another output with one whole number per row, the number of items of
            this row. The module then returns `[n, longest, …]`.
        ctc: for the role "ctc": which labels are the blank and the space, and the seconds of a frame.
        boxes: for the role "boxes": what their four numbers are.
        no_object: for the role "box_scores": the last class means that there is no object. It has no label.
    """

    name: str
    role: str = "other"
    labels: Sequence[str] | StrPath | None = None
    activation: str | None = None
    lengths: str | None = None
    ctc: Ctc | None = None
    boxes: Boxes | None = None
    no_object: bool = False

    def __post_init__(self) -> None:
        check_name("output", self.name)
        if self.role not in ROLES:
            raise ExportError(f"role {self.role!r} of output {self.name} is none of {', '.join(ROLES)}")
        if self.lengths is not None and self.role in ("features", "scores", "pixel_scores"):
            raise ExportError(f"output {self.name}: rows that differ in length are not for role={self.role!r}")
        if self.role not in LABELED and self.labels is not None:
            raise ExportError(f"output {self.name}: labels are for role='scores', and for {', '.join(LABELED[1:])}")
        if self.role not in ACTIVATED and self.activation is not None:
            raise ExportError(
                f"output {self.name}: activation is for role='scores', and for {', '.join(ACTIVATED[1:])}"
            )
        if (self.role == "boxes") != (self.boxes is not None):
            raise ExportError(f"output {self.name}: role='boxes' and boxes= belong together")
        if self.no_object and self.role != "box_scores":
            raise ExportError(f"output {self.name}: no_object is for role='box_scores'")
        if (self.role == "ctc") != (self.ctc is not None):
            raise ExportError(f"output {self.name}: role='ctc' and ctc= belong together")
        if self.ctc is not None:
            if self.lengths is None:
                raise ExportError(
                    f"output {self.name}: role='ctc' needs lengths=, the output with the frames of each row"
                )
            self.ctc.check(self.name, self.label_list())
        if self.lengths is None and self.role in TOKEN_ROLES:
            raise ExportError(
                f"output {self.name}: {self.role} need lengths=, the output with the number of tokens of each row"
            )
        if self.activation not in (None, "softmax", "sigmoid", "none"):
            raise ExportError(f"activation {self.activation!r} is none of softmax, sigmoid, none")

    def label_list(self) -> list[str] | None:
        """The labels themselves, read if a file was given; None if there are none."""
        if self.labels is None:
            return None
        if isinstance(self.labels, (str, PathLike)):
            try:
                labels = Path(fspath(self.labels)).read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise ExportError(
                    f"labels of output {self.name}: {fspath(self.labels)} cannot be read ({error}); give a list, or a UTF-8 file "
                    "with one label per line"
                ) from error
        else:
            labels = list(self.labels)
        for index, label in enumerate(labels):
            if not label.strip() or "\n" in label or "\r" in label:
                raise ExportError(f"label {index} of output {self.name} is empty or has a line break: {label!r}")
        return labels
