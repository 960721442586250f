"""Detectors of torchvision: networks that choose their boxes themselves, so that each picture has a number of its own.

What lives here: `is_detector` and `detector`. The network stays whole, with its own normalization, its non-maximum suppression and its
thresholds. It is compiled: a trace would keep the number of boxes of its example. Executors have the operators of torchvision that it
calls (`executor.VISION`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._jit_internal import is_scripting

from ..decoding import Boxes
from ..specs import ImageInput, Output


class _Detector(nn.Module):
    """Pictures f32 `[n, 3, height, width]` of 0 to 1; boxes `[n, most, 4]` (xyxy, in pixels of these pictures), scores and classes
    `[n, most]`, and how many of them each picture has `[n]`. The best come first."""

    def __init__(self, network: Any, most: int) -> None:
        super().__init__()
        self.network = network
        self.most = most

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        pictures = list(image.unbind(0))
        # Compiled, these networks return their losses too.
        if is_scripting():  # noqa: SIM108 - the results have different types
            found = self.network(pictures)[1]
        else:
            found = self.network(pictures)
        boxes = image.new_zeros((len(pictures), self.most, 4))
        scores = image.new_zeros((len(pictures), self.most))
        classes = torch.zeros((len(pictures), self.most), dtype=torch.long)
        counts = torch.zeros((len(pictures),), dtype=torch.long)
        for place, one in enumerate(found):
            count = min(one["scores"].shape[0], self.most)
            boxes[place, :count] = one["boxes"][:count]
            scores[place, :count] = one["scores"][:count]
            classes[place, :count] = one["labels"][:count]
            counts[place] = count
        return boxes, scores, classes, counts


def is_detector(network: nn.Module) -> bool:
    """Whether it is one of torchvision's networks that find boxes."""
    from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
    from torchvision.models.detection.ssd import SSD

    return isinstance(network, (FasterRCNN, FCOS, RetinaNet, SSD))


def fixed_image(network: Any) -> ImageInput | None:
    """The size of an SSD's pictures. The other networks take any size: None."""
    size = network.transform.fixed_size
    return None if size is None else ImageInput(resize=(size[1], size[0]))


def detector(network: Any, labels: Sequence[str] | None) -> tuple[nn.Module, list[Output]]:
    """The module and the outputs. `labels`: as torchvision's weights have them, with the background first."""
    most = network.roi_heads.detections_per_img if hasattr(network, "roi_heads") else network.detections_per_img
    outputs = [
        Output("boxes", "boxes", boxes=Boxes("xyxy", "pixels"), lengths="count"),
        Output("scores", "box_scores", activation="none", lengths="count"),
        Output("classes", "box_classes", labels=labels, lengths="count"),
        Output("count"),
    ]
    return _Detector(network.eval(), most).eval(), outputs
