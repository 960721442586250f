"""Semantic segmentation of transformers: networks that score each class for each point of a picture.

What lives here: `segmenter`, for those whose image processor decodes as SegFormer's does (`post_process_semantic_segmentation`): scores are
interpolated to the picture's size, and each pixel has its best class.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..specs import Output
from .described import LOGITS

SEGMENTERS = "ForSemanticSegmentation"
"""How the names of their classes end."""


class _Segmenter(nn.Module):
    """Pictures f32 `[n, 3, height, width]`; logits `[n, classes, h, w]`, often of a quarter of the size."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(pixel_values=image).logits
        return logits


def segmenter(network: Any) -> tuple[nn.Module, list[Output]]:
    """The module and its output."""
    labels = [str(network.config.id2label[index]) for index in range(network.config.num_labels)]
    return _Segmenter(network).eval(), [Output(LOGITS, "pixel_scores", labels=labels)]
