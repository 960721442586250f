"""Convolutions in bf16 that stay near f32, and what the cosine of reduced precision is measured on."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import test_export
from flambeau import export
from flambeau.export import half, variants

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


@pytest.mark.parametrize("feature", ["fpu", "no_such_feature"])
def test_a_cosine_of_another_kind_of_processor_is_a_warning(
    net: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feature: str
) -> None:
    monkeypatch.setitem(variants.PRECISIONS, "bf16", (torch.bfloat16, [feature]))
    report = write(net, tmp_path / "net", precisions=["bf16"])
    assert any(f"without {feature}" in text for text in report.warnings) == (feature != "fpu")


def test_rounded_kernels_keep_their_results() -> None:
    torch.manual_seed(5)
    conv = nn.Conv2d(32, 32, 5, groups=32, stride=2, padding=1, bias=False)
    norm = nn.BatchNorm2d(32)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            assert tensor is not None
            tensor.uniform_(0.5, 2.0)
        inputs: Tensor = torch.rand(4, 32, 12, 12) * 0.1 + 3 * torch.rand(4, 32, 1, 1)
        right = norm.eval()(conv(inputs))
        half.fold(conv, norm)
        assert conv.bias is not None
        assert torch.allclose(conv(inputs), right, atol=1e-4, rtol=1e-4)
        nearest, bias = (tensor.to(torch.bfloat16).float() for tensor in (conv.weight, conv.bias))
        plain = conv._conv_forward(inputs, nearest, bias)
        half.to_bf16(conv, half.moments(conv, inputs))
        kept = conv._conv_forward(inputs, conv.weight.float(), conv.bias.float())
    assert conv.weight.dtype == conv.bias.dtype == torch.bfloat16
    assert (kept - right).square().mean() < 0.25 * (plain - right).square().mean()


@pytest.mark.parametrize("groups", [1, 3])
def test_the_moments_of_a_convolution_are_those_of_its_patches(groups: int) -> None:
    torch.manual_seed(6)
    conv = nn.Conv2d(6, 9, (3, 2), stride=(2, 1), padding=(1, 0), groups=groups)
    inputs, error = torch.randn(2, 6, 7, 5), torch.randn(9, 6 // groups, 3, 2)
    results = nn.functional.conv2d(inputs, error, torch.ones(9), conv.stride, conv.padding, groups=groups)
    errors = torch.cat([error.flatten(1), torch.ones(9, 1)], dim=1).view(groups, -1, 1 + error[0].numel()).double()
    found = torch.einsum("gki,gij,gkj->gk", errors, half.moments(conv, inputs), errors).flatten()
    assert torch.allclose(found, results.square().mean((0, 2, 3)).double(), rtol=1e-5)
