"""Convolutions in bf16 that stay near f32, and what the cosine of reduced precision is measured on."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import test_export
from flambeau import export
from flambeau.export import half

IMAGE = export.ImageInput(resize=20, crop=16)
OUTPUTS = [export.Output("features", "features"), export.Output("logits", "scores")]

write = functools.partial(test_export.write, inputs=[IMAGE], outputs=OUTPUTS)


def test_reduced_precision_is_measured_on_the_example(net: nn.Module, tmp_path: Path) -> None:
    example = torch.rand(5, 3, 16, 16)
    write(net, tmp_path / "random", precisions=["bf16"])
    write(net, tmp_path / "given", precisions=["bf16"], example=example)
    cosines = []
    for name in ("random", "given"):
        half_, _ = test_export.manifest(tmp_path / name)["variant"]
        cosines.append(half_["cosine"])
    small = torch.jit.freeze(torch.jit.load(str(tmp_path / "given" / "model-bf16.pt")).eval())
    with torch.inference_mode():
        found = [
            nn.functional.cosine_similarity(a.double(), b.double(), dim=1).min()
            for a, b in zip(small(example), net(example))
        ]
    assert cosines[1] == pytest.approx(float(min(found)), abs=1e-6) and cosines[0] != cosines[1]


def test_rounded_kernels_keep_their_mean_results() -> None:
    torch.manual_seed(5)
    conv, norm = nn.Conv2d(32, 32, 5, groups=32, bias=False), nn.BatchNorm2d(32)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            assert tensor is not None
            tensor.uniform_(0.5, 2.0)
        inputs: Tensor = torch.rand(4, 32, 12, 12) * 0.1 + 3
        right = norm.eval()(conv(inputs))
        half.fold(conv, norm)
        assert conv.bias is not None
        assert torch.allclose(conv(inputs), right, atol=1e-4, rtol=1e-4)
        nearest = conv.weight.to(torch.bfloat16).float()
        plain = nn.functional.conv2d(inputs, nearest, conv.bias.to(torch.bfloat16).float(), groups=32)
        half.to_bf16(conv, torch.full([32], 3.0))
        kept = nn.functional.conv2d(inputs, conv.weight.float(), conv.bias.float(), groups=32)
    assert conv.weight.dtype == conv.bias.dtype == torch.bfloat16
    assert (kept - right).abs().mean() < 0.5 * (plain - right).abs().mean()


def test_the_mean_after_a_relu6_is_that_of_its_channel() -> None:
    torch.manual_seed(6)
    norm = nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 0.5]))
        norm.bias.copy_(torch.tensor([-1.0, 3.0, 5.9]))
        drawn = torch.randn(400_000, 3) * norm.weight + norm.bias
    assert torch.allclose(half.relu6_means(norm), drawn.clamp(0, 6).mean(0), atol=0.01)
