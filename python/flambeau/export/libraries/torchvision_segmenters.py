"""Semantic segmentation of torchvision: FCN, DeepLabV3 and LR-ASPP, which score each class for each pixel of the prepared picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..specs import Output


class _Segmenter(nn.Module):
    """Pictures f32 `[n, 3, height, width]`; logits `[n, classes, height, width]`. The results of an auxiliary head are left out."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image)["out"]
        return logits


def is_segmenter(network: nn.Module) -> bool:
    """Whether it is one of torchvision's networks for semantic segmentation."""
    from torchvision.models.segmentation import FCN, LRASPP, DeepLabV3

    return isinstance(network, (FCN, DeepLabV3, LRASPP))


def segmenter(network: Any, labels: Sequence[str] | None) -> tuple[nn.Module, list[Output]]:
    """The module and its output. `labels`: as torchvision's weights have them, with the background first."""
    return _Segmenter(network.eval()).eval(), [Output("logits", "pixel_scores", labels=labels)]
