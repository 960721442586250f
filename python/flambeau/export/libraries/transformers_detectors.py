"""Detectors of transformers: networks that give a fixed number of boxes, each with a score per class and one for no object.

What lives here: `detector`, for those whose image processor decodes as DETR's does (`post_process_object_detection`): softmax over the
classes, and the last class means that there is no object.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ..decoding import Boxes
from ..specs import Output
from .described import LOGITS
from .transformers_parts import labels

DETECTORS = ("DetrForObjectDetection", "YolosForObjectDetection", "TableTransformerForObjectDetection")


class _Detector(nn.Module):
    """Pictures f32 `[n, 3, height, width]`; boxes `[n, queries, 4]` and logits `[n, queries, classes + 1]`."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        result = self.network(pixel_values=image)
        boxes: Tensor = result.pred_boxes
        logits: Tensor = result.logits
        return boxes, logits


def detector(network: Any) -> tuple[nn.Module, list[Output]]:
    """The module and the outputs of one of `DETECTORS`."""
    outputs = [
        Output("boxes", "boxes", boxes=Boxes("cxcywh", "relative")),
        Output(LOGITS, "box_scores", labels=labels(network), no_object=True),
    ]
    return _Detector(network).eval(), outputs
