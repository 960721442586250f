"""Small detectors of transformers, with random weights that find something, and what their own image processors say of photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import transformers as hf
from PIL import Image

HEIGHT, WIDTH = 96, 128
LABELS = dict(enumerate(["cat", "dog", "cup", "bird", "car"]))
SMALL: dict[str, Any] = {"id2label": LABELS, "label2id": {name: index for index, name in LABELS.items()}}


def yolos() -> Any:
    """A YOLOS of two layers and a dozen boxes."""
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = hf.YolosConfig(**small, image_size=[HEIGHT, WIDTH], patch_size=16, num_detection_tokens=12, **SMALL)
    torch.manual_seed(3)
    return lively(hf.YolosForObjectDetection(config).eval())


def detr() -> Any:
    """A DETR of one layer over a small ResNet of transformers, without timm."""
    body = hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 1, 1], out_features=["stage4"])
    sides = ("encoder", "decoder")
    layers = {
        f"{side}_{what}": n for side in sides for what, n in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 32))
    }
    backbone = {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None, "backbone_config": body}
    torch.manual_seed(3)
    return lively(
        hf.DetrForObjectDetection(hf.DetrConfig(**backbone, **layers, d_model=32, num_queries=12, **SMALL)).eval()
    )


def lively(network: Any) -> Any:
    """The network with larger weights in its last layers, so that boxes and classes differ from one another."""
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.startswith(("bbox_predictor", "class_labels_classifier")) and value.dim() > 1:
                value.mul_(40 if name.startswith("class") else 8)
            if name.endswith(("detection_tokens", "query_position_embeddings.weight")):
                value.copy_(torch.randn_like(value))
    return network


def found(network: Any, processor: Any, files: Sequence[Any], threshold: float) -> list[list[dict[str, Any]]]:
    """What the library finds in each photo, best first, as `detect` gives it."""
    pictures = [Image.open(file).convert("RGB") for file in files]
    results = []
    for picture in pictures:
        with torch.no_grad():
            outputs = network(**processor(picture, return_tensors="pt"))
        (result,) = processor.post_process_object_detection(outputs, threshold, [(picture.height, picture.width)])
        every = zip(result["scores"].tolist(), result["labels"].tolist(), result["boxes"].tolist())
        results.append(
            [
                {
                    "label": LABELS[index],
                    "index": index,
                    "score": score,
                    "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), box)),
                }
                for score, index, box in sorted(every, key=lambda one: -one[0])
            ]
        )
    return results
