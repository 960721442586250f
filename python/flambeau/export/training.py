"""Traces that can be trained: layers that differ between training and inference still do in the traced program.

A trace records what one pass computes, so dropout would be recorded either as present or as absent. A layer that was compiled before is
not recorded: the trace calls it, and it looks at its own `training` when it is called. What lives here: `traced`. It compiles such layers
(dropout, batch normalization, stochastic depth), and traces the module in training mode. Then it compares program and module in training
mode: with the same seed, both must drop the same values.

Some modules call functions instead of layers (`nn.functional.dropout`, and the dropout of `scaled_dot_product_attention`). While the
module is traced, these functions are replaced by compiled layers, one for each probability.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .errors import ExportError, first_line

CHANGES_IN_TRAINING = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)
"""PyTorch's layers that do something else in training than in inference."""
ATTENTION, DROPOUT = nn.functional.scaled_dot_product_attention, nn.functional.dropout
"""PyTorch's own functions, also while others are in their place."""
SEEDS = (1, 2)
"""The passes in training mode that are compared."""


class _Dropout(nn.Module):
    """`nn.functional.dropout`."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return DROPOUT(x, self.p, self.training)


class _Attention(nn.Module):
    """`nn.functional.scaled_dot_product_attention`, whose weights are dropped."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        p = self.p if self.training else 0.0
        return ATTENTION(
            query, key, value, attn_mask, dropout_p=p, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
        )


class _DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): a row's branch is dropped as a whole, and what stays is scaled up."""

    def __init__(self, p: float, scaled: bool) -> None:
        super().__init__()
        self.p = p
        self.scaled = scaled

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return x
        kept = torch.empty([x.shape[0]] + [1] * (x.dim() - 1), dtype=x.dtype, device=x.device).bernoulli_(1.0 - self.p)
        return x * (kept / (1.0 - self.p) if self.scaled and self.p < 1.0 else kept)


class _Functions:
    """The functions that modules call with a probability, and the compiled layers that stand for them."""

    def __init__(self) -> None:
        self.layers: dict[tuple[type, float], nn.Module] = {}
        self._fixed = False

    def _layer(self, kind: type, p: float) -> Any:
        if (kind, p) not in self.layers:
            if self._fixed:
                raise ExportError(f"the probability of dropout changes from pass to pass: {p} is new")
            self.layers[kind, p] = torch.jit.script(kind(p))
        return self.layers[kind, p]

    def dropout(self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        dropped: Tensor = self._layer(_Dropout, float(p))(input) if training and p else input
        return dropped

    def attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        call = self._layer(_Attention, float(dropout_p)) if dropout_p else ATTENTION
        attended: Tensor = call(
            query, key, value, attn_mask=attn_mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
        )
        return attended

    def attach(self, root: nn.Module) -> None:
        """A trace knows only the layers below its root. No further ones are made."""
        for index, layer in enumerate(self.layers.values()):
            root.add_module(f"training_{index}", layer)
        self._fixed = True

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Modules call these functions."""
        own = {"dropout": self.dropout, "scaled_dot_product_attention": self.attention}
        kept = {name: getattr(nn.functional, name) for name in own}
        try:
            for name, function in own.items():
                setattr(nn.functional, name, function)
            yield
        finally:
            for name, function in kept.items():
                setattr(nn.functional, name, function)


def traced(root: nn.Module, batch: Sequence[Tensor]) -> torch.jit.ScriptModule:
    """The module as a program in inference mode, which can be set to training mode. The module itself does not change.

    Args:
        batch: rows to trace with. A single one is doubled, for batch normalization needs two.

    Raises:
        ExportError: in training mode the program does not do what the module does.
    """
    root = copy.deepcopy(root).train()
    batch = [torch.cat([tensor, tensor]) if tensor.shape[0] == 1 else tensor for tensor in batch]
    _compile_layers(root)
    buffers = [(buffer, buffer.clone()) for buffer in root.buffers()]
    functions = _Functions()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        with functions.instead():
            root(*_copied(batch))
            functions.attach(root.train())
            program: torch.jit.ScriptModule = torch.jit.trace(root, tuple(_copied(batch)), check_trace=False)
            right = [_seeded(root, batch, seed) for seed in SEEDS]
        given = [_seeded(program.train(), batch, seed) for seed in SEEDS]
        for one, other in zip(right, given):
            if any(not torch.allclose(a, b, rtol=1e-3, atol=1e-4, equal_nan=True) for a, b in zip(one, other)):
                raise ExportError(
                    "in training mode the program does not do what the module does: a part of it chooses at random in Python, "
                    "such as layer drop or masks. Turn that off in the module's settings, or use method='script'"
                )
        for buffer, before in buffers:
            buffer.copy_(before)
    program.eval()
    return program


def _copied(batch: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.clone() for tensor in batch]


def _seeded(module: Any, batch: Sequence[Tensor], seed: int) -> list[Tensor]:
    """The results of a pass whose random numbers begin at `seed`."""
    torch.manual_seed(seed)
    results = module(*_copied(batch))
    return [results] if isinstance(results, Tensor) else list(results)


def _compile_layers(root: nn.Module) -> None:
    """Replaces the layers below `root` that differ in training by compiled ones."""
    compiled: dict[int, nn.Module] = {}
    for parent in list(root.modules()):
        for name, layer in parent.named_children():
            if id(layer) not in compiled and (own := _compiled(layer)) is not None:
                compiled[id(layer)] = own
            if id(layer) in compiled:
                parent._modules[name] = compiled[id(layer)]


def _compiled(layer: nn.Module) -> nn.Module | None:
    """The layer as TorchScript, if it differs in training and is no container of layers."""
    if isinstance(layer, torch.jit.ScriptModule):
        return None
    p = getattr(layer, "drop_prob", None)
    if type(layer).__name__.endswith("DropPath") and isinstance(p, (int, float)):
        return torch.jit.script(_DropPath(float(p), bool(getattr(layer, "scale_by_keep", True))).train())
    is_leaf = not any(True for _ in layer.children())
    if not isinstance(layer, CHANGES_IN_TRAINING) and not (is_leaf and _asks(layer)):
        return None
    try:
        return torch.jit.script(layer)
    except Exception as error:
        raise ExportError(
            f"{type(layer).__name__} differs between training and inference, and TorchScript cannot compile it: {first_line(error)}"
        ) from error


def _asks(layer: nn.Module) -> bool:
    """Whether the source of its forward mentions `self.training`."""
    try:
        return "self.training" in inspect.getsource(type(layer).forward)
    except (OSError, TypeError):
        return False
