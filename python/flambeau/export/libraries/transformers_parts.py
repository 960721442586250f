"""What models of texts, images and sounds of transformers share: how their files are read, their labels, and pooling."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any

import torch
from torch import Tensor

from ..errors import ExportError, first_line
from ..specs import Output
from .described import LOGITS, scores


def part(auto: Any, model: Any, given: Any, what: str) -> Any:
    """The tokenizer or processor: the one `given`, or that of the folder `given`, or that of the model's folder.

    Args:
        auto: the class of transformers that loads it.
        what: the argument that gives it, for the message.
    """
    if given is not None and not isinstance(given, (str, PathLike)):
        return given
    folder = model if given is None else given
    if not isinstance(folder, (str, PathLike)):
        raise ExportError(f"a model without its folder: give {what}=")
    try:
        return auto.from_pretrained(fspath(folder))
    except (OSError, ValueError) as error:
        raise ExportError(f"{fspath(folder)} has no {what} ({first_line(error)}): give {what}=") from error


def labels(network: Any) -> list[str]:
    """The names of the classes, in their order."""
    return [str(network.config.id2label[index]) for index in range(network.config.num_labels)]


def classes(network: Any) -> Output:
    """The logits of a classifier; of a regression they are numbers."""
    problem = getattr(network.config, "problem_type", None)
    if problem == "regression" or network.config.num_labels == 1:
        return Output(LOGITS)
    return scores(labels(network), "sigmoid" if problem == "multi_label_classification" else "softmax")


def check_pooling(kind: str, pooling: str | None, known: tuple[str, ...]) -> None:
    """A base model's pooling is in none of its files."""
    if pooling not in known:
        raise ExportError(
            f"{kind} gives hidden states: say how they become features, with pooling= one of {', '.join(known)}"
        )


def pooled(result: Any, mask: Tensor, pooling: str) -> Tensor:
    """A row's features, f32 `[n, width]`. `mask`: 1 for real positions, i64 `[n, length]`."""
    if pooling == "pooler":
        pooler: Tensor = result.pooler_output
        return pooler
    states: Tensor = result.last_hidden_state
    if pooling == "cls":
        return states[:, 0]
    if pooling == "last":
        positions = torch.arange(states.shape[1], device=states.device).unsqueeze(0) * mask
        return states.gather(1, positions.argmax(1).view(-1, 1, 1).expand(-1, 1, states.shape[2])).squeeze(1)
    real = mask.unsqueeze(-1).to(states.dtype)
    return (states * real).sum(1) / real.sum(1).clamp(min=1e-9)


def projected(result: Any) -> Tensor:
    """The features in what `get_…_features` returns: newer versions give an output with `pooler_output`."""
    found: Tensor = result if isinstance(result, Tensor) else result.pooler_output
    return found


def unknown(kind: str) -> ExportError:
    """The error for an architecture whose outputs are not known here."""
    return ExportError(
        f"{kind} cannot be packaged in one line: for features of its hidden states give pooling=, for its own results wrap it in a "
        "module that returns tensors, and use package"
    )
