"""ResNet-50 (He et al. 2015, strides in the 3 x 3 convolutions as is usual now) for scaling.py to time: 25,557,032 parameters.

Written out here since nothing else of the project needs torchvision.
"""

from __future__ import annotations

import torch
from torch import nn

STAGES = [(64, 3), (128, 4), (256, 6), (512, 3)]
"""Inner channels and blocks."""
WIDER = 4
"""Outer channels for each inner one."""


def conv(source: int, target: int, size: int, stride: int = 1) -> nn.Sequential:
    """A convolution and its normalization."""
    return nn.Sequential(nn.Conv2d(source, target, size, stride, size // 2, bias=False), nn.BatchNorm2d(target))


class Bottleneck(nn.Module):
    """Narrow, convolve, widen, and add what came in."""

    def __init__(self, source: int, inner: int, stride: int) -> None:
        super().__init__()
        outer = inner * WIDER
        narrow, middle = conv(source, inner, 1), conv(inner, inner, 3, stride)
        self.body = nn.Sequential(narrow, nn.ReLU(), middle, nn.ReLU(), conv(inner, outer, 1))
        same = source == outer and stride == 1
        self.around = nn.Identity() if same else conv(source, outer, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.around(x))


def resnet50() -> nn.Sequential:
    """[n, 3, 224, 224] to the logits of 1000 classes."""
    layers: list[nn.Module] = [conv(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for stage, (inner, blocks) in enumerate(STAGES):
        for block in range(blocks):
            layers.append(Bottleneck(channels, inner, 2 if stage > 0 and block == 0 else 1))
            channels = inner * WIDER
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))
