"""Outputs of inner layers: a module that returns its own outputs and those of some of its parts.

What lives here: `WithLayers`, which `package(layers=…)` exports instead of the module itself. Its hooks live only as long
as the wrapper; `close` removes them from the user's module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from .errors import ExportError
from .program import in_order
from .specs import Output


class WithLayers(nn.Module):
    """A module whose outputs are followed by those of `layers` (output name to the path of a part, as `named_modules` has it).

    A part must give one tensor with the batch in dimension 0, and run once in a forward pass.
    """

    def __init__(self, module: nn.Module, outputs: Sequence[Output], layers: Mapping[str, str]) -> None:
        super().__init__()
        self.module = module
        self._names = [output.name for output in outputs]
        self._layers = dict(layers)
        self._caught: dict[str, Tensor] = {}
        parts = dict(module.named_modules())
        missing = [path for path in layers.values() if path not in parts]
        if missing:
            some = ", ".join(sorted(path for path in parts if path)[:12])
            raise ExportError(f"the module has no part {', '.join(missing)}; its parts begin with {some}")
        self._hooks = [parts[path].register_forward_hook(self._catch(name)) for name, path in layers.items()]

    def _catch(self, name: str) -> Any:
        def hook(_module: nn.Module, _inputs: object, result: object) -> None:
            if not isinstance(result, Tensor):
                raise ExportError(f"layer {self._layers[name]} gives a {type(result).__name__}, not a tensor")
            if name in self._caught:
                raise ExportError(f"layer {self._layers[name]} runs more than once in a forward pass")
            self._caught[name] = result

        return hook

    def forward(self, *batch: Tensor) -> tuple[Tensor, ...]:
        self._caught.clear()
        results = in_order(self.module(*batch), self._names)
        unused = [self._layers[name] for name in self._layers if name not in self._caught]
        if unused:
            raise ExportError(f"layer {', '.join(unused)} does not run in a forward pass")
        return (*results, *(self._caught.pop(name) for name in self._layers))

    def close(self) -> None:
        """Takes the hooks off the module."""
        for hook in self._hooks:
            hook.remove()
