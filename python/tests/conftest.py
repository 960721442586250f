"""Shared by the Python tests: the checkout's paths, and small networks whose results can be computed by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "models")]


class Net(nn.Module):
    """f32 [n, 3, 16, 16] -> features [n, 3] = channel means, logits [n, 2]; has dropout, which eval must switch off."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(3, 2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.dropout(image.mean(dim=[2, 3]))
        return features, self.head(features)


class ByName(nn.Module):
    """Gives the outputs of `Net` as a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        features, logits = self.net(image)
        return {"logits": logits, "features": features}


@pytest.fixture
def net() -> Net:
    """The same weights in every test."""
    torch.manual_seed(1)
    return Net()


@pytest.fixture
def by_name() -> ByName:
    """The same weights in every test."""
    torch.manual_seed(1)
    return ByName()


@pytest.fixture(autouse=True)
def no_ambient_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests do not see what the user has set."""
    for variable in ("FLAMBEAU_JARS", "FLAMBEAU_MODELS_PATH", "SPARK_REMOTE", "PYSPARK_GATEWAY_PORT"):
        monkeypatch.delenv(variable, raising=False)
