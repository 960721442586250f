"""`python -m flambeau.export`, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from conftest import ROOT
from flambeau.export.cli import main
from flambeau.models import open_package

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NETS = """
import torch
from torch import nn

class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)
    def forward(self, image):
        features = image.mean((2, 3))
        return features, self.linear(features)

def build():
    return Head()

number = 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a module of nets, weights and labels."""
    (tmp_path / "mynets.py").write_text(NETS)
    (tmp_path / "labels.txt").write_text("night\nday\n")
    torch.save({"linear.weight": torch.ones(2, 3), "linear.bias": torch.tensor([5.0, 7.0])}, tmp_path / "weights.pth")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mynets", raising=False)
    return tmp_path


OUTPUTS = ["--output", "features:features", "--output", "logits:scores", "--license", "MIT", "--out", "out/net"]
IMAGE = ["--input", "image", "--resize", "20", "--crop", "16", "--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2"]


def test_a_module_with_weights_becomes_a_package(here: Path) -> None:
    command = ["--module", "mynets:build", "--state-dict", "weights.pth", *IMAGE, *OUTPUTS, "--labels", "labels.txt"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run(
        [sys.executable, "-m", "flambeau.export", *command],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "parity with the eager module" in done.stdout
    package = open_package(here / "out" / "net")
    assert package.problems() == []
    written = tomllib.loads((here / "out" / "net" / "model.toml").read_text())
    assert written["name"] == "net"
    assert written["input"][0]["image"]["mean"] == [0.5, 0.5, 0.5]
    features, logits = torch.jit.load("out/net/model.pt")(torch.zeros(1, 3, 16, 16))
    assert features.tolist() == [[0, 0, 0]]
    assert logits.tolist() == [[5, 7]]


def test_a_torchscript_file_becomes_a_package(here: Path) -> None:
    torch.jit.script(nn.Linear(4, 2).eval()).save("linear.pt")
    tensor = ["--input", "x:tensor:f32:4", "--output", "y", "--license", "MIT", "--out", "out/linear"]
    assert main(["--torchscript", "linear.pt", *tensor]) == 0
    written = tomllib.loads((here / "out" / "linear" / "model.toml").read_text())
    assert written["input"] == [{"name": "x", "kind": "tensor", "dtype": "f32", "shape": [4]}]
    assert written["output"] == [{"name": "y", "role": "other", "shape": [2], "dtype": "f32"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--module", "mynets", *IMAGE], "write package.module:callable"),
        (["--module", "nosuchmodule:build", *IMAGE], "cannot import 'nosuchmodule'"),
        (["--module", "mynets:nosuch", *IMAGE], "has no 'nosuch'"),
        (["--module", "mynets:build", "--input", "image"], "needs --crop"),
        (["--module", "mynets:build", "--input", "picture"], "the kind is image, text, audio or tensor"),
        (["--module", "mynets:build", "--input", "tensor"], "a tensor input is NAME:tensor"),
        (["--module", "mynets:build", "--input", "x:tensor:f32:four"], "SHAPE is written as"),
        (["--module", "mynets:build", "--input", "text"], "needs --tokenizer"),
        (["--module", "mynets:build", "--input", "audio", "--pool", "max"], "need window_samples"),
        (["--torchscript", "labels.txt", *IMAGE], "not a TorchScript file"),
        (["--torchscript", "absent.pt", *IMAGE], "absent.pt"),
        (["--module", "mynets:build", "--state-dict", "absent.pth", *IMAGE], "absent.pth"),
    ],
)
def test_mistakes_give_one_line(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main([*arguments, *OUTPUTS]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("flambeau.export: ")
    assert not (here / "out").exists()


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    page = capsys.readouterr().out
    for part in ("examples:", "--module mynets:flowers", "NAME:tensor[:DTYPE[:SHAPE]]"):
        assert part in page
