"""How a task decodes an output: what `Output` says beyond its role.

What lives here: `Ctc`, for the outputs that `transcribe` reads, and `Boxes`, for those that `detect` reads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .errors import ExportError


@dataclass(frozen=True)
class Ctc:
    """How the best tokens of frames become a text. The names are those of transformers' tokenizers.

    Args:
        frame_seconds: from the start of a frame to the start of the next: `inputs_to_logits_ratio / sampling_rate`.
        pad_token: the label of the blank.
        word_delimiter_token: the label between two words. None: a transcript is one word.
    """

    frame_seconds: float
    pad_token: str = "<pad>"
    word_delimiter_token: str | None = "|"

    def __post_init__(self) -> None:
        if not math.isfinite(self.frame_seconds) or self.frame_seconds <= 0:
            raise ExportError(f"frame_seconds must be above 0, not {self.frame_seconds}")

    def table(self) -> dict[str, Any]:
        """The `[output.ctc]` table."""
        return {
            "pad_token": self.pad_token,
            "word_delimiter_token": self.word_delimiter_token,
            "frame_seconds": float(self.frame_seconds),
        }

    def check(self, output: str, labels: list[str] | None) -> None:
        """The tokens that mean something are among the labels.

        Raises:
            ExportError: one is not.
        """
        for what, token in (("pad_token", self.pad_token), ("word_delimiter_token", self.word_delimiter_token)):
            if token is not None and token not in (labels or []):
                raise ExportError(f"output {output}: {what} {token!r} is not among its labels")


FORMATS = ("xyxy", "cxcywh")
UNITS = ("relative", "pixels")


@dataclass(frozen=True)
class Boxes:
    """What the four numbers of a box are.

    Args:
        format: "xyxy" (left, top, right, bottom) or "cxcywh" (center, width, height), as torchvision names them.
        unit: "relative" (0 to 1 of the prepared image) or "pixels" (of the prepared image).
    """

    format: str
    unit: str

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ExportError(f"format {self.format!r} is none of {', '.join(FORMATS)}")
        if self.unit not in UNITS:
            raise ExportError(f"unit {self.unit!r} is none of {', '.join(UNITS)}")

    def table(self) -> dict[str, Any]:
        """The `[output.boxes]` table."""
        return {"format": self.format, "unit": self.unit}
