"""Small detectors of torchvision, with random weights that find something, and what they say of prepared pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator

SIDE = 160
CLASSES = 6
FEW: dict[str, Any] = {"score_thresh": 0.3, "detections_per_img": 40}
"""Among hundreds of boxes at random, some have the same score but for rounding."""


class _Body(nn.Sequential):
    """One map of 32 channels, a sixteenth of the picture."""

    out_channels = 32

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 16), (16, 32), (32, 32), (32, 32)):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.ReLU()]
        super().__init__(*layers)


def _anchors() -> AnchorGenerator:
    return AnchorGenerator(((24, 48, 96),), ((0.5, 1.0, 2.0),))


def ssdlite() -> Any:
    """The whole network, for pictures of 320 x 320."""
    return detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES, **FEW)


def retinanet() -> Any:
    """The usual heads over a small body."""
    return detection.RetinaNet(_Body(), CLASSES, min_size=SIDE, anchor_generator=_anchors(), **FEW)


def fcos() -> Any:
    """The same."""
    one = AnchorGenerator(((16,),), ((1.0,),))
    return detection.FCOS(_Body(), CLASSES, min_size=SIDE, anchor_generator=one, **FEW)


def faster_rcnn() -> Any:
    """Two stages: regions of one map, which `roi_align` cuts out."""
    from torchvision.ops import MultiScaleRoIAlign

    pool = MultiScaleRoIAlign(["0"], output_size=5, sampling_ratio=2)
    return detection.FasterRCNN(
        _Body(),
        CLASSES,
        min_size=SIDE,
        rpn_anchor_generator=_anchors(),
        box_roi_pool=pool,
        box_score_thresh=0.3,
        box_detections_per_img=40,
        rpn_post_nms_top_n_test=200,
    )


DETECTORS: dict[str, Callable[[], Any]] = {
    "ssdlite": ssdlite,
    "retinanet": retinanet,
    "fcos": fcos,
    "faster_rcnn": faster_rcnn,
}


LAST_LAYERS = {"cls_logits": "class", "cls_score": "class", "bbox_pred": "box", "bbox_reg": "box"}
"""Layer -> what it says. Those of SSD have numbers for names."""


def _says(name: str, parameter: str) -> str | None:
    parts = parameter.split(".")
    if name == "ssdlite":
        last = parts[0] == "head" and len(parts) == 6
        return {"classification_head": "class", "regression_head": "box"}[parts[1]] if last else None
    return next((LAST_LAYERS[part] for part in parts if part in LAST_LAYERS), None)


def lively(name: str) -> Any:
    """A detector whose classes and boxes differ from place to place: as torchvision makes them, they find nothing or the same everywhere."""
    torch.manual_seed(7)
    network = DETECTORS[name]().eval()
    scale = 1.0 if name in ("fcos", "faster_rcnn") else 0.3
    with torch.no_grad():
        for place, value in network.named_parameters():
            if value.dim() > 1:
                nn.init.kaiming_normal_(value)
            elif place.endswith("bias"):
                value.zero_()
        _normalize(network)
        for place, value in network.named_parameters():
            what = _says(name, place)
            if what is not None and value.dim() > 1:
                value.mul_(scale if what == "class" else 0.3)
            elif what == "class":
                value.fill_(-2)
    return network


def _normalize(network: Any) -> None:
    """Gives batch normalization the statistics of some noise."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
        norm.train()
    if norms:
        network.head(list(network.backbone(torch.randn(8, 3, 320, 320)).values()))
    network.eval()


def found(
    network: Any, files: Sequence[Any], side: int, threshold: float
) -> list[list[tuple[int, float, list[float]]]]:
    """Class, score and box in pixels of each photo, best first, as torchvision finds them in the stretched photos."""
    results = []
    for file in files:
        photo = Image.open(file).convert("RGB")
        small = photo.resize((side, side), Image.Resampling.BILINEAR)
        picture: Tensor = torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255
        with torch.no_grad():
            (one,) = network([picture])
        scale = torch.tensor([photo.width, photo.height, photo.width, photo.height]) / side
        every = zip(one["labels"].tolist(), one["scores"].tolist(), (one["boxes"] * scale).tolist())
        results.append([(index, score, box) for index, score, box in every if score > threshold])
    return results
