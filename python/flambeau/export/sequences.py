"""Inputs whose rows differ in length: texts and sounds.

What lives here: `TextInput` and `AudioInput`, two of the kinds of input that `specs` lists. Like every kind, they have `table()` and
`example()`. They also know how short and how long a row of the program can be (`shortest`, `longest`). And they make
a batch of rows of given lengths (`draw`, `batch`), padded as the executors pad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import ExportError, check_name, check_positive
from .tokenizer import TokenizerFile, read_tokenizer

if TYPE_CHECKING:
    import torch


TOKEN_TENSORS = ("input_ids", "attention_mask", "token_type_ids")
"""What a text can be for a program."""
TRUNCATIONS = ("longest_first", "only_first", "only_second")
"""Which text of a pair is cut."""


@dataclass(frozen=True)
class TextInput:
    """A string in SQL, or two; token tensors i64 `[n, length]` in the program, padded to the longest of the batch.

    Args:
        tokenizer: path of a `tokenizer.json` of Hugging Face's `tokenizers`, path of its folder, or a tokenizer object
            (`tokenizers.Tokenizer`, a fast one of `transformers`). It is copied into the package.
        max_length: maximum number of tokens of a text, special ones included. None: the tokenizer's own limit. If it has none,
            the limit of the module (the length of its position table).
        inputs: the tensors the program takes, in order, of `input_ids`, `attention_mask`, `token_type_ids`.
        pair: for programs of two texts that are tokenized together (`[CLS] a [SEP] b [SEP]`): the name of the second one, which is an
            input of its own in SQL. `max_length` is that of both together.
        truncation: which text of a pair is cut: "longest_first" (default, unless the tokenizer says another), "only_first" or
            "only_second".
    """

    tokenizer: Any
    name: str = "text"
    max_length: int | None = None
    inputs: Sequence[str] = ("input_ids", "attention_mask")
    pair: str | None = None
    truncation: str | None = None
    kind: ClassVar[str] = "text"
    file: ClassVar[str] = "tokenizer.json"
    loaded: TokenizerFile = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_name("input", self.name)
        if self.max_length is not None:
            check_positive("max_length", self.max_length)
        known = set(TOKEN_TENSORS)
        if "input_ids" not in self.inputs or not set(self.inputs) <= known or len(set(self.inputs)) != len(self.inputs):
            raise ExportError(
                f"a text input's inputs are input_ids, and more of {', '.join(sorted(known))}, not {list(self.inputs)}"
            )
        if self.pair is not None:
            check_name("input", self.pair)
        if self.truncation not in (None, *TRUNCATIONS):
            raise ExportError(f"truncation {self.truncation!r} is none of {', '.join(TRUNCATIONS)}")
        if self.truncation is not None and self.pair is None:
            raise ExportError("truncation is for pairs of texts: give pair=, the name of the second text")
        object.__setattr__(self, "loaded", read_tokenizer(self.tokenizer))
        special = self.special_tokens
        if self.max_length is not None and self.max_length <= special:
            raise ExportError(f"max_length={self.max_length} leaves no room for text beside {special} special tokens")

    @property
    def special_tokens(self) -> int:
        """How many tokens the tokenizer puts around a text or a pair."""
        return self.loaded.special_tokens if self.pair is None else self.loaded.pair_special_tokens

    @property
    def shortest(self) -> int:
        """Tokens of an empty text, at least 1: a row without any is one token of padding."""
        return max(1, self.special_tokens)

    @property
    def longest(self) -> int | None:
        """Maximum tokens of a text; None: neither `max_length` nor the tokenizer has a limit."""
        return self.max_length or self.loaded.longest

    def table(self) -> dict[str, Any]:
        """The `[[input]]` table."""
        settings = {
            "tokenizer": self.file,
            "max_length": self.max_length,
            "inputs": list(self.inputs),
            "truncation": self.truncation,
        }
        return {"name": self.name, "kind": self.kind, self.kind: settings}

    def pair_table(self) -> dict[str, Any] | None:
        """The `[[input]]` table of the second text; None if there is none."""
        return None if self.pair is None else {"name": self.pair, "kind": self.kind, self.kind: {"pair_of": self.name}}

    def draw(self, length: int, generator: torch.Generator) -> torch.Tensor:
        """One random row of `length` tokens, i64. It holds the highest id that the tokenizer can give, and no padding."""
        import torch

        ids = torch.randint(0, self.loaded.highest_id + 1, [length], generator=generator)
        ids[(ids == self.loaded.pad_id) | (torch.arange(length) == length // 2)] = self.loaded.highest_id
        return ids

    def batch(self, rows: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """One tensor for each of `inputs`, padded to the longest row as the executors pad."""
        import torch

        longest = max(len(row) for row in rows)
        ids = torch.full([len(rows), longest], self.loaded.pad_id, dtype=torch.int64)
        mask, types = torch.zeros_like(ids), torch.zeros_like(ids)
        for index, row in enumerate(rows):
            own = slice(longest - len(row), longest) if self.loaded.pads_left else slice(0, len(row))
            ids[index, own], mask[index, own] = row, 1
            if self.pair is not None:
                types[index, own] = torch.arange(len(row)).ge(len(row) // 2) * self.loaded.pair_type
        tensors = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        return [tensors[name] for name in self.inputs]

    def example(self, rows: int, generator: torch.Generator) -> list[torch.Tensor]:
        """Random tokens, one tensor for each of `inputs`; rows differ in length, and so do batches of different size."""
        length = min(self.longest or 512, 8 + 3 * rows)
        return self.batch([self.draw(max(1, length - 2 * row), generator) for row in range(rows)])


@dataclass(frozen=True)
class AudioInput:
    """Encoded audio in SQL; mono, resampled, about -1..1 in the program.

    The program takes `samples`, f32 `[n, longest]`, zero padded at the end, and `lengths`, i64 `[n]`: how many samples of
    each row are real. A clip longer than the window is cut into windows, each a row of the program.

    Args:
        sample_rate: in Hz.
        window_samples: samples of one window; None: the program sees whole clips.
        hop_samples: from the start of one window to the next; default: the window.
        pool: how the outputs of a clip's windows are combined: "mean" (default), "max" or "first".
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
        check_positive("sample_rate", self.sample_rate)
        for what, value in (("window_samples", self.window_samples), ("hop_samples", self.hop_samples)):
            if value is not None:
                check_positive(what, value)
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

    shortest: ClassVar[int] = 1

    @property
    def longest(self) -> int:
        """Maximum samples of a row of the program."""
        return self.window_samples or max(1, int(self.max_seconds * self.sample_rate))

    def draw(self, length: int, generator: torch.Generator) -> torch.Tensor:
        """One row: `length` samples of quiet noise."""
        import torch

        return torch.randn([length], generator=generator) * 0.1

    def batch(self, rows: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """One tensor for each of `inputs`, padded with zeros to the longest row, or to the window if there are no lengths."""
        import torch

        lengths = torch.tensor([len(row) for row in rows])
        samples = torch.zeros([len(rows), int(lengths.max()) if "lengths" in self.inputs else self.longest])
        for index, row in enumerate(rows):
            samples[index, : len(row)] = row
        tensors = {"samples": samples, "lengths": lengths}
        return [tensors[name] for name in self.inputs]

    def example(self, rows: int, generator: torch.Generator) -> list[torch.Tensor]:
        """Noise of a second or a window, one tensor for each of `inputs`; with lengths, rows and batches differ in length."""
        longest = min(self.longest, self.window_samples or self.sample_rate)
        if "lengths" not in self.inputs:
            return self.batch([self.draw(longest, generator) for _ in range(rows)])
        longest -= longest // 8 * (rows - 1)
        step = longest // (2 * rows)
        return self.batch([self.draw(max(1, longest - row * step), generator) for row in range(rows)])
