"""Small networks for semantic segmentation, with random weights that give several classes, and what their libraries say of photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hf
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torchvision.models import segmentation
from torchvision.transforms import v2

HEIGHT, WIDTH = 96, 128
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LABELS = dict(enumerate(["wall", "sky", "tree", "road", "grass", "water", "person"]))
SMALL: dict[str, Any] = {"id2label": LABELS, "label2id": {name: index for index, name in LABELS.items()}}


def segformer() -> tuple[Any, Any]:
    """A SegFormer of two stages, and a processor that stretches."""
    sizes: dict[str, Any] = {
        "hidden_sizes": [16, 32],
        "depths": [1, 1],
        "num_attention_heads": [1, 2],
        "sr_ratios": [4, 2],
    }
    stages: dict[str, Any] = {"num_encoder_blocks": 2, "strides": [4, 2], "patch_sizes": [7, 3], "mlp_ratios": [2, 2]}
    torch.manual_seed(5)
    network = hf.SegformerForSemanticSegmentation(
        hf.SegformerConfig(**sizes, **stages, decoder_hidden_size=32, **SMALL)
    )
    processor = hf.SegformerImageProcessorPil(size={"height": HEIGHT, "width": WIDTH}, do_reduce_labels=True)
    return lively(network, network.decode_head.classifier), processor


def beit() -> tuple[Any, Any]:
    """A BEiT of four layers, whose scores are a part of the picture's size."""
    small = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64}
    parts: dict[str, Any] = {
        "image_size": HEIGHT,
        "patch_size": 16,
        "out_indices": [1, 2, 3, 4],
        "use_auxiliary_head": False,
    }
    torch.manual_seed(5)
    network = hf.BeitForSemanticSegmentation(hf.BeitConfig(**small, **parts, **SMALL))
    size = {"height": HEIGHT, "width": HEIGHT}
    processor = hf.BeitImageProcessorPil(size=size, do_center_crop=False)
    return lively(network, network.decode_head.classifier), processor


def lraspp() -> Any:
    """The whole network over MobileNetV3. Its statistics are those of noise, or its layers give nothing but their biases."""
    torch.manual_seed(5)
    network = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=len(LABELS))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
    with torch.no_grad():
        for _ in range(2):
            network.train()(torch.randn(4, 3, HEIGHT, WIDTH))
    lively(network, network.classifier.high_classifier)
    return lively(network, network.classifier.low_classifier)


def lively(network: Any, last: nn.Conv2d) -> Any:
    """The network with a last layer whose classes are in balance, so that photos have several."""
    with torch.no_grad():
        last.weight.copy_(torch.randn_like(last.weight))
    return network.eval()


def of_transformers(network: Any, processor: Any, files: Sequence[Path]) -> list[NDArray[Any]]:
    """The class of each pixel, by the library's own decoding, i64 `[height, width]`."""
    found = []
    for file in files:
        picture = Image.open(file).convert("RGB")
        with torch.no_grad():
            outputs = network(**processor(picture, return_tensors="pt"))
        (best,) = processor.post_process_semantic_segmentation(outputs, [(picture.height, picture.width)])
        found.append(best.numpy())
    return found


def of_torchvision(network: Any, files: Sequence[Path]) -> list[NDArray[Any]]:
    """The same for a network of torchvision: scores of the prepared picture, interpolated to the photo's size."""
    prepare = v2.Compose(
        [v2.Resize((HEIGHT, WIDTH)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    )
    found = []
    for file in files:
        picture = Image.open(file).convert("RGB")
        with torch.no_grad():
            scores = network(prepare(picture)[None])["out"]
        size = (picture.height, picture.width)
        best = nn.functional.interpolate(scores, size, mode="bilinear", align_corners=False).argmax(1)[0]
        found.append(np.asarray(best))
    return found
