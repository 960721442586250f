"""The packages of networks that tests/train/main.rs trains: pictures, texts, sounds, and tensors of every type.

`reference.py` writes them, and trains one of them in Python torch.
"""

import hashlib
import pathlib
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    """A small convolutional net whose first layer can be frozen; `rows_loss` is a loss of its own.

    No bias before a normalization: its gradient is only rounding, which Adam would scale up to whole steps.
    """

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, bias=not norm), nn.BatchNorm2d(6) if norm else nn.Identity(), nn.ReLU()
        )
        self.body = nn.Sequential(nn.Conv2d(6, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.body(self.stem(x)))

    @torch.jit.export
    def rows_loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(output, target, reduction="none")


def save_net(directory: pathlib.Path, name: str, norm: bool, kind: str) -> "Net":
    torch.manual_seed(3)
    net = Net(norm)
    folder = directory / name
    folder.mkdir()
    torch.jit.script(net).save(str(folder / "model.pt"))
    sha256 = hashlib.sha256((folder / "model.pt").read_bytes()).hexdigest()
    inputs = {
        "tensor": '[[input]]\nname = "x"\nkind = "tensor"\nshape = [3, 8, 8]\n',
        "image": '[[input]]\nname = "x"\nkind = "image"\n[input.image]\nresize = [8, 8]\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n',
    }[kind]
    (folder / "model.toml").write_text(
        f'format = 1\nname = "{name}"\nlicense = "MIT"\ntrainable = true\n{inputs}'
        f'[[output]]\nname = "logits"\nrole = "scores"\nshape = [2]\n'
        f'[[variant]]\nfile = "model.pt"\nengine = "torchscript"\nprecision = "f32"\nsha256 = "{sha256}"\n'
    )
    return net


class TextNet(nn.Module):
    """Mean of word vectors, and a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(12, 8)
        self.classifier = nn.Linear(8, 2)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        mask = attention_mask.unsqueeze(2).float()
        return self.classifier((self.words(input_ids) * mask).sum(1) / mask.sum(1).clamp(min=1.0))


class SoundNet(nn.Module):
    """Loudness in four bands, over the real samples of each clip."""

    def __init__(self) -> None:
        super().__init__()
        self.bands = nn.Conv1d(1, 4, 16, stride=4)
        self.classifier = nn.Linear(4, 2)

    def forward(self, samples: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.bands(samples.unsqueeze(1)).abs().sum(2) * 4 / lengths.unsqueeze(1).float())


def save_kind(
    directory: pathlib.Path, name: str, net: type[nn.Module], table: str, files: Mapping[str, str] | None = None
) -> None:
    """A trainable package whose input is described by `table`."""
    torch.manual_seed(3)
    folder = directory / name
    folder.mkdir()
    torch.jit.script(net()).save(str(folder / "model.pt"))

    def sha256(file: str) -> str:
        return hashlib.sha256((folder / file).read_bytes()).hexdigest()

    for file, text in (files or {}).items():
        (folder / file).write_text(text)
    listed = "".join(f'"{file}" = "{sha256(file)}"\n' for file in files or {})
    (folder / "model.toml").write_text(
        f'format = 1\nname = "{name}"\nlicense = "MIT"\ntrainable = true\n[[input]]\n{table}'
        f'[[output]]\nname = "logits"\nrole = "scores"\nshape = [2]\n'
        f'[[variant]]\nfile = "model.pt"\nengine = "torchscript"\nprecision = "f32"\nsha256 = "{sha256("model.pt")}"\n'
        + (f"[files]\n{listed}" if listed else "")
    )


class Pick(nn.Module):
    """The entry of a table that an id beyond 2^24 names."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.table[(x.reshape(-1).double() - 16777216.0).long()]

    @torch.jit.export
    def rows_loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (output - target[:, 0]).abs()


class Seen(nn.Module):
    """A factor of its input, which must have the declared type."""

    def __init__(self, kind: torch.dtype) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))
        self.register_buffer("one", torch.ones(1, dtype=kind))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype != self.one.dtype:
            raise RuntimeError("not the declared type")
        return self.w * x.float()


class Offset(nn.Module):
    """Its input, and a parameter whose gradient shows any difference from the label."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.w.double()


class NormRows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def save_tensors(
    directory: pathlib.Path, name: str, net: nn.Module, dtype: str, shape: str, output: str = "f32", outputs: str = "[]"
) -> None:
    """A trainable package of one tensor input, which gives one number a row."""
    torch.manual_seed(3)
    folder = directory / name
    folder.mkdir()
    torch.jit.script(net).save(str(folder / "model.pt"))
    sha256 = hashlib.sha256((folder / "model.pt").read_bytes()).hexdigest()
    (folder / "model.toml").write_text(
        f'format = 1\nname = "{name}"\nlicense = "MIT"\ntrainable = true\n'
        f'[[input]]\nname = "x"\nkind = "tensor"\ndtype = "{dtype}"\nshape = {shape}\n'
        f'[[output]]\nname = "y"\nrole = "other"\nshape = {outputs}\ndtype = "{output}"\n'
        f'[[variant]]\nfile = "model.pt"\nengine = "torchscript"\nprecision = "f32"\nsha256 = "{sha256}"\n'
    )


def save_dtypes(directory: pathlib.Path) -> None:
    save_tensors(directory, "pick_i64", Pick(), "i64", "[1]")
    for dtype in ["i64", "i32", "f64"]:
        save_tensors(directory, f"pick_{dtype}_scalar", Pick(), dtype, "[]")
    kinds = {
        "f16": torch.float16,
        "bf16": torch.bfloat16,
        "i16": torch.int16,
        "i8": torch.int8,
        "u8": torch.uint8,
        "bool": torch.bool,
    }
    for dtype, kind in kinds.items():
        save_tensors(directory, f"seen_{dtype}", Seen(kind), dtype, "[]")
    save_tensors(directory, "offset_f64", Offset(), "f64", "[]", output="f64")
    save_tensors(directory, "norm_rows", NormRows(), "f32", "[6]", outputs="[2]")


def tokenizer() -> str:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[PAD]", "[UNK]", "good", "fine", "great", "lovely", "bad", "poor", "dull", "awful", "film", "book"]
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made.to_str()
