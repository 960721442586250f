"""What a library's files say of a model, ready to be written.

What lives here: `Described`, and `with_features`, which makes a classifier return what goes into its last layer too.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import ExportError
from ..packaging import package
from ..specs import Input, Output, StrPath

if TYPE_CHECKING:
    from ..report import ExportReport

FEATURES = "features"
LOGITS = "logits"


@dataclass
class Described:
    """A module with its inputs and outputs. `license`: None if the files do not say it."""

    module: nn.Module
    inputs: Sequence[Input]
    outputs: Sequence[Output]
    name: str
    license: str | None = None
    description: str | None = None

    def write(self, path: StrPath, options: dict[str, Any]) -> ExportReport:
        """Writes the package. Options are the arguments of `flambeau.export.package`; they replace what the files say.

        Raises:
            ExportError: nothing says the license, or the module cannot be packaged.
        """
        found = {"name": self.name, "license": self.license, "description": self.description}
        arguments = {**found, "inputs": self.inputs, "outputs": self.outputs, **options}
        if not arguments["license"]:
            raise ExportError(
                f"the files of {arguments['name']} do not say the license of its weights: give license= as an SPDX expression "
                '("Apache-2.0")'
            )
        return package(self.module, path, **arguments)


def scores(labels: Sequence[str] | None, activation: str = "softmax") -> Output:
    """The logits of a classifier."""
    return Output(LOGITS, "scores", labels=labels, activation=activation)


class _FeaturesAndLogits(nn.Module):
    """The network without its last layer, then that layer: both results."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(image)
        return features, self.head(features)


def with_features(network: nn.Module, example: Tensor) -> nn.Module | None:
    """A module that returns the input of the last `nn.Linear` and the result, or None if that layer is not the end.

    Args:
        network: takes `example` and returns the logits. It is not changed.
        example: some rows, for a comparison of both.
    """
    names = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
    if not names:
        return None
    # The network's own layers are shared with the copy.
    shared = {id(value): value for value in (*network.parameters(), *network.buffers())}
    body = copy.deepcopy(network, shared)
    parent, _, last = names[-1].rpartition(".")
    head = body.get_submodule(names[-1])
    setattr(body.get_submodule(parent), last, nn.Identity())
    both = _FeaturesAndLogits(body, head).eval()
    with torch.no_grad():
        try:
            features, logits = both(example)
        except (RuntimeError, TypeError):
            return None
        fits = isinstance(features, Tensor) and features.dim() == 2 and torch.equal(logits, network(example))
    return both if fits else None


def classifier(network: nn.Module, image: Any, labels: Sequence[str] | None) -> tuple[nn.Module, list[Output]]:
    """An image classifier and its outputs: features and logits, or logits alone if no layer has the features."""
    network = network.eval()
    example = image.example(2, torch.Generator().manual_seed(0))[0]
    both = with_features(network, example)
    if both is None:
        return network, [scores(labels)]
    return both, [Output(FEATURES, "features"), scores(labels)]
