"""`flambeau.export` at every length: programs that are right only for short rows are errors, and so are outputs of varying shapes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flambeau import export

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

WORDS = 300
FEATURES = [export.Output("features", "features")]


def tokenizer(folder: Path, **parts: object) -> Path:
    """A `tokenizer.json` of 300 words, [CLS] before and [SEP] after each text; `parts` are added."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, **{f"w{n}": n for n in range(4, WORDS)}}
    document = {
        "version": "1.0",
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": vocabulary},
        **parts,
    }
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def write(
    module: nn.Module, path: Path, item: export.Input, outputs: Sequence[export.Output] = FEATURES, **more: Any
) -> export.ExportReport:
    """A package with one input."""
    return export.package(
        module, path / "net", name="net", license="MIT", inputs=[item], outputs=outputs, quiet=True, **more
    )


def settings(path: Path) -> dict[str, Any]:
    """The `[input.text]` table that was written."""
    return tomllib.loads((path / "net" / "model.toml").read_text(encoding="utf-8"))["input"][0]["text"]


class Mean(nn.Module):
    """The mean vector of a text's own tokens; a table of `positions`, if that is not 0; halved above `bend` tokens."""

    def __init__(self, positions: int = 0, bend: int = 1 << 30, words: int = WORDS) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(words, 8)
        self.positions = nn.Embedding(max(1, positions), 8)
        self.limit, self.bend = positions, bend

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        x = self.words(input_ids)
        if self.limit > 0:
            x = x + self.positions(torch.arange(input_ids.shape[1]))
        if input_ids.shape[1] > self.bend:
            x = x * 0.5
        own = attention_mask.unsqueeze(2).float()
        return (x * own).sum(1) / own.sum(1).clamp(min=1.0)


@pytest.mark.parametrize("bend", [3, 64, 150, 399])
def test_a_branch_on_the_length_is_kept_or_refused(tmp_path: Path, bend: int) -> None:
    item = export.TextInput(tokenizer(tmp_path), max_length=400)
    with pytest.raises(export.ExportError, match=r"test_export_lengths\.py:\d+: Converting .* try method='script'"):
        write(Mean(bend=bend), tmp_path, item)
    assert not (tmp_path / "net").exists()
    write(Mean(bend=bend), tmp_path, item, method="script")
    program = torch.jit.load(str(tmp_path / "net" / "model.pt"))
    ids = torch.full([1, bend + 1], 5)
    right = Mean(bend=bend).words.weight[5] / 2
    assert torch.allclose(program(ids, torch.ones_like(ids))[0], right, atol=1e-6)


def test_batches_are_tried_at_the_shortest_the_middle_and_the_longest(tmp_path: Path) -> None:
    report = write(Mean(), tmp_path, export.TextInput(tokenizer(tmp_path), max_length=400), method="script")
    labels = ["3 rows of 2 to 400 tokens", "1 row of 400 tokens", "1 row of 201 tokens", "1 row of 2 tokens"]
    assert [item.batch for item in report.parity if item.frozen] == labels
    assert [item.batch for item in report.parity if not item.frozen] == labels
    assert report.warnings == []


def test_positions_shorter_than_the_texts_are_refused_with_the_number(tmp_path: Path) -> None:
    with pytest.raises(export.ExportError, match=r"takes 130 tokens at most: set max_length=130"):
        write(Mean(positions=130), tmp_path, export.TextInput(tokenizer(tmp_path), max_length=512))
    cut = {"truncation": {"direction": "Right", "max_length": 200, "strategy": "LongestFirst", "stride": 0}}
    with pytest.raises(export.ExportError, match=r"200 tokens are let through \(the tokenizer, .*set max_length=130"):
        write(Mean(positions=130), tmp_path, export.TextInput(tokenizer(tmp_path, **cut)))
    # Fewer than in any batch that is traced by default.
    with pytest.raises(export.ExportError, match=r"set max_length=5$"):
        write(Mean(positions=5), tmp_path, export.TextInput(tokenizer(tmp_path), max_length=512))
    write(Mean(positions=130), tmp_path, export.TextInput(tokenizer(tmp_path), max_length=130))
    assert settings(tmp_path)["max_length"] == 130


def test_max_length_is_derived_or_asked_for(tmp_path: Path) -> None:
    write(Mean(positions=130), tmp_path, export.TextInput(tokenizer(tmp_path)))
    assert settings(tmp_path)["max_length"] == 130, "from the table of positions"
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 48}')
    write(Mean(positions=130), tmp_path, export.TextInput(tmp_path), overwrite=True)
    assert settings(tmp_path)["max_length"] == 48, "from the file beside the tokenizer"
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1000000000000000019884624838656}')
    with pytest.raises(export.ExportError, match=r"max_length is needed.*such as max_length=512"):
        write(Mean(), tmp_path, export.TextInput(tmp_path), overwrite=True)


def test_token_ids_beyond_the_table_are_refused(tmp_path: Path) -> None:
    marks = dict.fromkeys(["single_word", "lstrip", "rstrip", "normalized", "special"], False)
    added = {"added_tokens": [{"id": 310, "content": "<new>", **marks}]}
    item = export.TextInput(tokenizer(tmp_path, **added), max_length=32)
    with pytest.raises(export.ExportError, match=r"ids up to 310, but the module takes them up to 299"):
        write(Mean(), tmp_path, item)
    write(Mean(words=311), tmp_path, item)


class PerToken(nn.Module):
    """A score for every token, without their number."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return torch.stack([input_ids, input_ids * 2], dim=2).float() * attention_mask.unsqueeze(2)


class Counted(nn.Module):
    """The same with its count."""

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        return torch.stack([input_ids, input_ids * 2], dim=2).float(), attention_mask.sum(1)


class Pairs(nn.Module):
    """The similarity of all rows of the batch: as many columns as rows."""

    def forward(self, x: Tensor) -> Tensor:
        return x @ x.T


@pytest.mark.parametrize("method", ["trace", "script"])
def test_a_dimension_that_varies_is_refused_with_the_way_out(tmp_path: Path, method: str) -> None:
    item = export.TextInput(tokenizer(tmp_path), max_length=64)
    with pytest.raises(export.ExportError, match=r"\[3, 64, 2\] for 3 rows .* varies.*lengths='count'.*max_length"):
        write(PerToken(), tmp_path, item, [export.Output("logits")], method=method)
    write(Counted(), tmp_path, item, [export.Output("logits", lengths="count"), export.Output("count")], method=method)
    with pytest.raises(export.ExportError, match=r"output near has shape \[3, 3\] .* varies"):
        write(Pairs(), tmp_path, export.TensorInput("x", [4]), [export.Output("near")], method=method)


class Miscounted(nn.Module):
    """Right for short clips: counts windows that a long clip does not have."""

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return samples[:, :20_000], lengths


def test_counts_are_checked_at_every_length(tmp_path: Path) -> None:
    outputs = [export.Output("part", lengths="count"), export.Output("count")]
    with pytest.raises(export.ExportError, match=r"has 20000 items .* between 0 and the number of items"):
        write(Miscounted(), tmp_path, export.AudioInput(), outputs)


class Loudness(nn.Module):
    """Mean square of a clip. The module takes clips of `least` to `most` samples; the result is halved above `bend`."""

    def __init__(self, least: int = 1, most: int = 1 << 40, bend: int = 1 << 40) -> None:
        super().__init__()
        self.least, self.most, self.bend = least, most, bend

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        if samples.shape[1] < self.least or samples.shape[1] > self.most:
            raise ValueError("a clip of this length cannot be heard")
        x = samples * 0.5 if samples.shape[1] > self.bend else samples
        return x.square().sum(1, keepdim=True) / lengths.unsqueeze(1)


def test_sounds_are_tried_up_to_their_longest(tmp_path: Path) -> None:
    item = export.AudioInput(8_000, max_seconds=60)
    for seconds in (0.1, 5, 25):
        with pytest.raises(export.ExportError, match="try method='script'"):
            write(Loudness(bend=int(8_000 * seconds)), tmp_path, item)
    report = write(Loudness(bend=200_000), tmp_path, item, method="script")
    assert {item.batch for item in report.parity if item.rows == 1} >= {"1 row of 0.000125 s"}
    with pytest.raises(export.ExportError, match=r"takes 100000 samples at most: set max_seconds=12\.5"):
        write(Loudness(most=100_000), tmp_path, item)
    report = write(Loudness(least=400), tmp_path, item, overwrite=True)
    assert "rows of fewer than 400 samples are errors in a query" in report.warnings[0]


def test_windows_are_tried_when_short_too(tmp_path: Path) -> None:
    item = export.AudioInput(8_000, window_samples=4_000)
    with pytest.raises(export.ExportError, match="try method='script'"):
        write(Loudness(bend=1_000), tmp_path, item)
    assert write(Loudness(), tmp_path, item).parity[0].batch == "3 rows of 0.000125 to 0.5 s"


class Padded(nn.Module):
    """A mean over a text that counts padding as text."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(WORDS, 8)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.words(input_ids).mean(1)


def test_padding_that_changes_a_row_is_said(tmp_path: Path) -> None:
    report = write(Padded(), tmp_path, export.TextInput(tokenizer(tmp_path), max_length=40, inputs=["input_ids"]))
    assert "padding changes the result of a row" in str(report)
    assert "attention_mask" in report.warnings[0]


def test_rows_are_padded_as_the_tokenizer_says(tmp_path: Path) -> None:
    left = {
        "padding": {"strategy": "BatchLongest", "direction": "Left", "pad_id": 7, "pad_type_id": 0, "pad_token": "w7"}
    }
    item = export.TextInput(tokenizer(tmp_path, **left), max_length=10)
    ids, mask = item.batch([torch.tensor([2, 3]), torch.tensor([2, 9, 3])])
    assert ids.tolist() == [[7, 2, 3], [2, 9, 3]]
    assert mask.tolist() == [[0, 1, 1], [1, 1, 1]]
