"""Traced programs that can be trained: they differ between training and inference as their modules do."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flambeau import export
from flambeau.export import training

SHARED: dict[str, Any] = {"name": "net", "license": "MIT", "quiet": True, "trainable": True, "method": "trace"}


class DropPath(nn.Module):
    """As timm and transformers have it, with the annotation that TorchScript cannot compile."""

    def __init__(self, drop_prob: float, scale_by_keep: bool = True) -> None:
        super().__init__()
        self.drop_prob, self.scale_by_keep = drop_prob, scale_by_keep

    def forward(self, x: Any, *_: Any) -> Any:
        if not self.training:
            return x
        kept = x.new_empty((x.shape[0],) + (1,) * (x.dim() - 1)).bernoulli_(1 - self.drop_prob)
        return x * (kept / (1 - self.drop_prob) if self.scale_by_keep else kept)


class Net(nn.Module):
    """Every way to drop: a layer, two functions, a path; and statistics of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.lift, self.norm, self.drop = nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Dropout(0.2)
        self.path, self.head = DropPath(0.3), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.norm(self.lift(x)))
        x = nn.functional.dropout(x, 0.4, self.training)
        heads = x.view(x.shape[0], 2, 2, 4)
        share = 0.1 if self.training else 0.0
        heads = nn.functional.scaled_dot_product_attention(heads, heads, heads, dropout_p=share)
        result: Tensor = self.head(x + self.path(heads.flatten(1)))
        return result


class Deep(nn.Module):
    """Leaves layers out at random, as wav2vec 2.0 does in training."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(12))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            if not self.training or random.random() > 0.5:
                x = layer(x)
        return x


def write(module: nn.Module, path: Path, example: Tensor | None = None) -> torch.jit.ScriptModule:
    """The program of the package, as training loads it."""
    inputs, outputs = [export.TensorInput("x", [4])], [export.Output("y", "features")]
    export.package(module, path, inputs=inputs, outputs=outputs, example=example, **SHARED)
    return torch.jit.load(str(path / "model.pt"))


def test_a_trace_drops_and_normalizes_in_training_only(tmp_path: Path) -> None:
    torch.manual_seed(4)
    net = Net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    functions = nn.functional.dropout, nn.functional.scaled_dot_product_attention
    program = write(net, tmp_path / "net")
    assert functions == (nn.functional.dropout, nn.functional.scaled_dot_product_attention)
    assert type(net.drop) is nn.Dropout and type(net.path) is DropPath
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert set(before) == {name.removeprefix("module.") for name in program.state_dict()}
    assert all(torch.equal(before[name.removeprefix("module.")], value) for name, value in program.state_dict().items())

    x = torch.randn(64, 4)
    with torch.no_grad():
        assert torch.allclose(program.eval()(x), net.eval()(x), atol=1e-5)
        program.train(), net.train()
        ours, theirs = (torch.stack([each(x) for _ in range(400)]) for each in (program, net))
        error = (ours.var(0) + theirs.var(0)).div(400).sqrt()
    assert ((ours.mean(0) - theirs.mean(0)).abs() / error).max() < 6, "each number has PyTorch's mean"
    assert 0.8 < float((ours.var(0) / theirs.var(0)).mean()) < 1.25
    assert torch.allclose(
        program.state_dict()["module.norm.running_mean"], net.state_dict()["norm.running_mean"], atol=1e-4
    )
    program(x).square().sum().backward()
    assert all(parameter.grad is not None for parameter in program.parameters())


def test_an_example_of_one_row_is_enough(tmp_path: Path) -> None:
    program = write(Net(), tmp_path / "net", example=torch.ones(1, 4)).train()
    assert program(torch.ones(5, 4)).shape == (5, 3)


@pytest.mark.parametrize("scaled", [True, False])
def test_stochastic_depth_keeps_or_drops_whole_rows(scaled: bool) -> None:
    torch.manual_seed(5)
    layer = training._compiled(DropPath(0.25, scaled))
    assert layer is not None
    dropped = layer(torch.ones(4000, 2, 3))
    rows = dropped[:, 0, 0]
    assert torch.equal(dropped, rows.view(-1, 1, 1).expand(-1, 2, 3))
    assert set(rows.unique().tolist()) == {0.0, float(torch.tensor(1 / 0.75)) if scaled else 1.0}
    assert 0.7 < float((rows > 0).float().mean()) < 0.8
    assert torch.equal(layer.eval()(torch.ones(3, 2)), torch.ones(3, 2))


def test_a_module_that_chooses_in_python_is_refused(tmp_path: Path) -> None:
    random.seed(1)
    with pytest.raises(export.ExportError, match=r"in training mode .* layer drop"):
        write(Deep(), tmp_path / "deep")
    assert not (tmp_path / "deep").exists()
