"""Operators of ONNX that compute with sizes, so that a trace keeps them open.

What lives here: replacements for modules of onnx2torch. Those turn a size into a number of Python, which a trace keeps as it was for the
traced batch. Here sizes stay tensors until a small scripted function uses them. Meanings are those of the ONNX operators (opset 13).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


@torch.jit.script
def _reshape(x: Tensor, shape: Tensor) -> Tensor:
    sizes: list[int] = shape.tolist()
    for i in range(len(sizes)):
        if sizes[i] == 0:
            sizes[i] = x.size(i)
    return x.reshape(sizes)


@torch.jit.script
def _expand(x: Tensor, shape: Tensor) -> Tensor:
    sizes: list[int] = shape.tolist()
    rank = max(len(sizes), x.dim())
    # Both ways: a size of 1 in the shape keeps that of x.
    both: list[int] = []
    for i in range(rank):
        own, asked = i - rank + x.dim(), i - rank + len(sizes)
        of_x = x.size(own) if own >= 0 else 1
        both.append(sizes[asked] if of_x == 1 and asked >= 0 else of_x)
    return x.expand(both)


@torch.jit.script
def _full(shape: Tensor, value: Tensor) -> Tensor:
    sizes: list[int] = shape.tolist()
    return value.reshape(1).expand(sizes).clone() if len(sizes) > 0 else value.clone()


@torch.jit.script
def _slice(x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor, steps: Tensor) -> Tensor:
    first: list[int] = starts.tolist()
    last: list[int] = ends.tolist()
    dims: list[int] = axes.tolist()
    strides: list[int] = steps.tolist()
    for i in range(len(dims)):
        if strides[i] > 0:
            x = torch.ops.aten.slice(x, dims[i], first[i], last[i], strides[i])
        else:
            x = torch.ops.aten.slice(x.flip([dims[i]]), dims[i], -first[i] - 1, -last[i] - 1, -strides[i])
    return x


class _Shape(nn.Module):
    def __init__(self, start: int, end: int | None) -> None:
        super().__init__()
        self.start, self.end = start, end

    def forward(self, x: Tensor) -> Tensor:
        return torch._shape_as_tensor(x)[self.start : self.end]


class _Reshape(nn.Module):
    def forward(self, x: Tensor, shape: Tensor) -> Tensor:
        result: Tensor = _reshape(x, shape)
        return result


class _Expand(nn.Module):
    def forward(self, x: Tensor, shape: Tensor) -> Tensor:
        result: Tensor = _expand(x, shape)
        return result


class _Full(nn.Module):
    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value)

    def forward(self, shape: Tensor) -> Tensor:
        result: Tensor = _full(shape, self.value)
        return result


class _Slice(nn.Module):
    def forward(
        self, x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
    ) -> Tensor:
        along = torch.arange(starts.numel()) if axes is None else axes
        result: Tensor = _slice(x, starts, ends, along, torch.ones_like(starts) if steps is None else steps)
        return result


def _replacement(module: nn.Module) -> nn.Module | None:
    kind, own = type(module).__name__, vars(module)
    if kind == "OnnxShape":
        return _Shape(own["_start"], own["_end"])
    if kind == "OnnxConstantOfShape":
        return _Full(module.get_buffer("value"))
    plain = {"OnnxReshape": _Reshape, "OnnxExpand": _Expand, "OnnxSlice": _Slice}
    return plain[kind]() if kind in plain else None


def with_sizes(module: Any) -> nn.Module:
    """The converted module with these operators in the place of onnx2torch's."""
    for name, part in list(module.named_children()):
        own = _replacement(part)
        if own is not None:
            setattr(module, name, own)
    converted: nn.Module = module
    return converted
