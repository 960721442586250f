"""Models of transformers: texts and images, with their tokenizer or image processor, labels and license.

What lives here: `from_transformers`, and the modules that it packages, which return tensors in place of transformers' own outputs. The
architecture in `config.json` decides what the outputs are. Pooling is not in these files, so base models need `pooling`.
"""

from __future__ import annotations

import inspect
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ExportError
from ..sequences import TOKEN_TENSORS, TextInput
from ..specs import ImageInput, Input, Output, StrPath
from .cards import license_of, name_of
from .described import FEATURES, LOGITS, Described, scores
from .image_processors import image_input

if TYPE_CHECKING:
    from ..report import ExportReport

POOLINGS = ("mean", "cls", "last", "pooler")
IMAGE_POOLINGS = ("mean", "cls", "pooler")
UNLIMITED = 1_000_000
"""A tokenizer's `model_max_length` above this means that it has none."""
TOWERS = ("text", "image")


def from_transformers(
    model: Any,
    path: StrPath,
    *,
    pooling: str | None = None,
    tower: str | None = None,
    tokenizer: Any = None,
    processor: Any = None,
    image: ImageInput | None = None,
    max_length: int | None = None,
    **options: Any,
) -> ExportReport:
    """Writes the package of a model of transformers: a classifier of texts, tokens or images, a base model, or a tower of CLIP or SigLIP.

    Args:
        model: a folder (or a name on the Hub), or the model itself; then also `tokenizer` or `processor`.
        path: the folder to write.
        pooling: for a base model, how a row's hidden states become its features: "mean" of the real tokens, "cls" (the first),
            "last" (the last real one) or "pooler" (`pooler_output`).
        tower: for CLIP and SigLIP: "text" or "image".
        tokenizer, processor: the fast tokenizer, or the image processor, if they are not in the folder.
        image: the preprocessing of images, if it should not be the processor's.
        max_length: maximum tokens; default: the tokenizer's `model_max_length`.
        options: arguments of `flambeau.export.package`; `license` if the model's card has none.

    Raises:
        ExportError: an architecture that cannot be packaged in one line, or something that its files do not say.
    """
    import transformers

    network = _loaded(transformers, model)
    kind = type(network).__name__
    license, name = license_of(model), name_of(model, kind)
    is_text = tower == "text" if hasattr(network, "get_image_features") else network.main_input_name == "input_ids"
    if hasattr(network, "get_image_features") and tower not in TOWERS:
        raise ExportError(f"{kind} has two towers: give tower='text' or tower='image'")
    if is_text:
        text = _text(transformers, network, model, tokenizer, max_length)
        module, outputs = _of_texts(network, kind, text, pooling, tower)
        return Described(module, [text], outputs, name, license).write(path, options)
    if network.main_input_name != "pixel_values" and tower is None:
        raise ExportError(f"{kind} takes {network.main_input_name}: only texts and images can be packaged in one line")
    described: Input = image or image_input(_part(transformers.AutoImageProcessor, model, processor, "processor"))
    module, outputs = _of_images(network, kind, pooling, tower)
    return Described(module, [described], outputs, name, license).write(path, options)


def _loaded(transformers: Any, model: Any) -> Any:
    """The model in the class that its `config.json` names."""
    if not isinstance(model, (str, PathLike)):
        return model.eval()
    named = fspath(model)
    architectures = transformers.AutoConfig.from_pretrained(named).architectures or []
    if len(architectures) != 1:
        raise ExportError(
            f"config.json of {named} names {len(architectures)} architectures, not one: load the model and pass it"
        )
    return getattr(transformers, architectures[0]).from_pretrained(named).eval()


def _part(auto: Any, model: Any, given: Any, what: str) -> Any:
    if given is not None:
        return given
    if not isinstance(model, (str, PathLike)):
        raise ExportError(f"a model without its folder: give {what}=")
    try:
        return auto.from_pretrained(fspath(model))
    except (OSError, ValueError) as error:
        raise ExportError(f"{fspath(model)} has no {what} ({str(error).splitlines()[0]}): give {what}=") from error


def _text(transformers: Any, network: Any, model: Any, tokenizer: Any, max_length: int | None) -> TextInput:
    found = _part(transformers.AutoTokenizer, model, tokenizer, "tokenizer")
    taken = inspect.signature(network.forward).parameters
    names = [name for name in TOKEN_TENSORS if name in found.model_input_names and name in taken]
    if type(network).__name__.startswith("Siglip"):
        names = names[:1]
    own = getattr(found, "model_max_length", UNLIMITED + 1)
    return TextInput(found, max_length=max_length or (int(own) if own <= UNLIMITED else None), inputs=names)


def _labels(network: Any) -> list[str]:
    return [str(network.config.id2label[index]) for index in range(network.config.num_labels)]


def _classes(network: Any) -> Output:
    """The logits of a classifier; of a regression they are numbers."""
    problem = getattr(network.config, "problem_type", None)
    if problem == "regression" or network.config.num_labels == 1:
        return Output(LOGITS)
    return scores(_labels(network), "sigmoid" if problem == "multi_label_classification" else "softmax")


class _Texts(nn.Module):
    """Token tensors by name; the output `key` of the network's result, or its pooled hidden states."""

    def __init__(self, network: Any, names: list[str], key: str, pooling: str | None, counts: bool) -> None:
        super().__init__()
        self.network: Any = network
        self.names = names
        self.key = key
        self.pooling = pooling
        self.counts = counts

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        given = dict(zip(self.names, tensors))
        result = self.network(**given)
        mask = given.get("attention_mask", torch.ones_like(given["input_ids"]))
        if self.pooling is not None:
            return pooled(result, mask, self.pooling)
        found: Tensor = result[self.key]
        return (found, mask.sum(1)) if self.counts else found


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


class _TextTower(nn.Module):
    """The text tower of CLIP: projected features."""

    def __init__(self, network: Any, names: list[str]) -> None:
        super().__init__()
        self.network: Any = network
        self.names = names

    def forward(self, *tensors: Tensor) -> Tensor:
        return projected(self.network.get_text_features(**dict(zip(self.names, tensors))))


class _PaddedTextTower(nn.Module):
    """The text tower of SigLIP. It reads its features at the last position, padding or not, so it always sees `length` tokens: as
    in its training.
    """

    def __init__(self, network: Any, length: int, pad_id: int) -> None:
        super().__init__()
        self.network: Any = network
        self.length = length
        self.pad_id = pad_id

    def forward(self, input_ids: Tensor) -> Tensor:
        padded = functional.pad(input_ids, (0, self.length - input_ids.shape[1]), value=self.pad_id)
        return projected(self.network.get_text_features(input_ids=padded))


def projected(result: Any) -> Tensor:
    """The features in what `get_…_features` returns: newer versions give an output with `pooler_output`."""
    found: Tensor = result if isinstance(result, Tensor) else result.pooler_output
    return found


def _of_texts(
    network: Any, kind: str, text: TextInput, pooling: str | None, tower: str | None
) -> tuple[nn.Module, list[Output]]:
    names = list(text.inputs)
    if tower is not None and kind.startswith("Siglip"):
        module = _PaddedTextTower(network, int(text.longest or 0), text.loaded.pad_id)
        return module.eval(), [Output(FEATURES, "features")]
    if tower is not None:
        return _TextTower(network, names).eval(), [Output(FEATURES, "features")]
    if kind.endswith("ForSequenceClassification"):
        return _Texts(network, names, LOGITS, None, False).eval(), [_classes(network)]
    if kind.endswith("ForTokenClassification"):
        outputs = [Output(LOGITS, lengths="tokens"), Output("tokens")]
        return _Texts(network, names, LOGITS, None, True).eval(), outputs
    if kind.endswith("Model"):
        _check_pooling(kind, pooling, POOLINGS)
        return _Texts(network, names, "", pooling, False).eval(), [Output(FEATURES, "features")]
    raise ExportError(
        f"{kind} cannot be packaged in one line: wrap it in a module that returns tensors, and use package"
    )


def _check_pooling(kind: str, pooling: str | None, known: tuple[str, ...]) -> None:
    if pooling not in known:
        raise ExportError(
            f"{kind} gives hidden states: say how they become features, with pooling= one of {', '.join(known)}"
        )


class _Images(nn.Module):
    """Pictures; the logits, or the features of a tower, or the pooled hidden states."""

    def __init__(self, network: Any, what: str) -> None:
        super().__init__()
        self.network: Any = network
        self.what = what

    def forward(self, image: Tensor) -> Tensor:
        if self.what == "tower":
            return projected(self.network.get_image_features(pixel_values=image))
        result = self.network(pixel_values=image)
        if self.what == LOGITS:
            logits: Tensor = result.logits
            return logits
        if self.what == "pooler":
            pooler: Tensor = result.pooler_output
            return pooler.flatten(1)
        states: Tensor = result.last_hidden_state
        if states.dim() == 4:
            states = states.flatten(2).transpose(1, 2)
        return states[:, 0] if self.what == "cls" else states.mean(1)


def _of_images(network: Any, kind: str, pooling: str | None, tower: str | None) -> tuple[nn.Module, list[Output]]:
    if tower is not None:
        return _Images(network, "tower").eval(), [Output(FEATURES, "features")]
    if kind.endswith("ForImageClassification"):
        return _Images(network, LOGITS).eval(), [_classes(network)]
    if kind.endswith("Model"):
        _check_pooling(kind, pooling, IMAGE_POOLINGS)
        return _Images(network, str(pooling)).eval(), [Output(FEATURES, "features")]
    raise ExportError(
        f"{kind} cannot be packaged in one line: wrap it in a module that returns tensors, and use package"
    )
