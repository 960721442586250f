"""Models of transformers that take texts: their tokenizer, and the modules that return tensors in place of transformers' own outputs.

What lives here: `text_input`, which makes the package's input, and `of_texts`, which makes its module and outputs. The architecture in
`config.json` decides what the outputs are.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ExportError
from ..sequences import TOKEN_TENSORS, TextInput
from ..specs import Output
from .cards import name_of
from .described import FEATURES, LOGITS
from .transformers_parts import check_pooling, classes, labels, part, pooled, projected, unknown

POOLINGS = ("mean", "cls", "last", "pooler")
UNLIMITED = 1_000_000
"""A tokenizer's `model_max_length` above this means that it has none."""
CLASSIFIER, BY_TOKEN, ANSWERS = "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"
BEAMS = ("XLNet", "XLM", "Flaubert")
"""Architectures whose models for questions look for several answers by themselves, and give no scores of all tokens."""


def is_pair(kind: str, asked: bool, pooling: str | None) -> bool:
    """Whether the model `kind` takes two texts: those that answer questions do, of classifiers the files do not say it."""
    if kind.endswith(ANSWERS):
        return True
    if asked and (pooling is not None or not kind.endswith(CLASSIFIER)):
        raise ExportError(f"{kind} with pair=True: pairs are for classifiers of texts (…{CLASSIFIER}), without pooling")
    return asked


def text_input(
    transformers: Any, network: Any, model: Any, tokenizer: Any, max_length: int | None, pair: bool
) -> TextInput:
    """The input of texts, or of pairs of texts. A question and a hypothesis are never cut, as in transformers' pipelines."""
    found = part(transformers.AutoTokenizer, model, tokenizer, "tokenizer")
    kind = type(network).__name__
    if set(found.get_vocab()) <= set(found.all_special_tokens):
        # Without files, transformers makes the tokenizer of the architecture, which knows no words.
        raise ExportError(f"the tokenizer of {name_of(model, kind)} has no words: give tokenizer=")
    taken = inspect.signature(network.forward).parameters
    names = [name for name in TOKEN_TENSORS if name in found.model_input_names and name in taken]
    if kind.startswith("Siglip"):
        names = names[:1]
    own = getattr(found, "model_max_length", UNLIMITED + 1)
    longest = max_length or (int(own) if own <= UNLIMITED else None)
    if not pair:
        return TextInput(found, max_length=longest, inputs=names)
    if kind.endswith(ANSWERS):
        return TextInput(found, "question", max_length=longest, inputs=names, pair="context", truncation="only_second")
    infers = any(str(label).lower().startswith("entail") for label in network.config.id2label.values())
    cut = "only_first" if infers else "longest_first"
    return TextInput(found, max_length=longest, inputs=names, pair="text_pair", truncation=cut)


class Texts(nn.Module):
    """Token tensors by name; the outputs `keys` of the network's result, or its pooled hidden states. `counts`: also the number of tokens."""

    def __init__(
        self, network: Any, names: list[str], keys: tuple[str, ...], pooling: str | None, counts: bool
    ) -> None:
        super().__init__()
        self.network: Any = network
        self.names = names
        self.keys = keys
        self.pooling = pooling
        self.counts = counts

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        given = dict(zip(self.names, tensors))
        result = self.network(**given)
        mask = given.get("attention_mask", torch.ones_like(given["input_ids"]))
        if self.pooling is not None:
            return pooled(result, mask, self.pooling)
        found = tuple(result[key] for key in self.keys)
        return (*found, mask.sum(1)) if self.counts else found[0]


class TextTower(nn.Module):
    """The text tower of CLIP: projected features."""

    def __init__(self, network: Any, names: list[str]) -> None:
        super().__init__()
        self.network: Any = network
        self.names = names

    def forward(self, *tensors: Tensor) -> Tensor:
        return projected(self.network.get_text_features(**dict(zip(self.names, tensors))))


class PaddedTextTower(nn.Module):
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


def of_texts(
    network: Any, kind: str, text: TextInput, pooling: str | None, tower: str | None
) -> tuple[nn.Module, list[Output]]:
    """The module and its outputs."""
    names = list(text.inputs)
    if tower is not None and kind.startswith("Siglip"):
        module = PaddedTextTower(network, int(text.longest or 0), text.loaded.pad_id)
        return module.eval(), [Output(FEATURES, "features")]
    if tower is not None:
        return TextTower(network, names).eval(), [Output(FEATURES, "features")]
    if kind.endswith(CLASSIFIER):
        scores = classes(network) if text.pair is None else pair_scores(network)
        return Texts(network, names, (LOGITS,), None, False).eval(), [scores]
    if kind.endswith(BY_TOKEN):
        outputs = [Output(LOGITS, "token_scores", labels=labels(network), lengths="tokens"), Output("tokens")]
        return Texts(network, names, (LOGITS,), None, True).eval(), outputs
    if kind.endswith(ANSWERS) and not kind.startswith(BEAMS):
        keys = ("start_logits", "end_logits")
        outputs = [Output(key, key.replace("logits", "scores"), lengths="tokens") for key in keys]
        return Texts(network, names, keys, None, True).eval(), [*outputs, Output("tokens")]
    if kind.endswith("Model"):
        check_pooling(kind, pooling, POOLINGS)
        return Texts(network, names, (), pooling, False).eval(), [Output(FEATURES, "features")]
    raise unknown(kind)


def pair_scores(network: Any, activation: str | None = None) -> Output:
    """The scores of a classifier of pairs. A single one is a probability, unless the files say that it is a number as it is.

    Args:
        activation: of a single score, if it is known.
    """
    config = network.config
    if config.num_labels != 1:
        return classes(network)
    if activation is None:
        of_cross_encoder = (getattr(config, "sentence_transformers", None) or {}).get("activation_fn")
        named = of_cross_encoder or getattr(config, "sbert_ce_default_activation_function", None)
        activation = score_activation(str(named)) if named else None
    if activation is None:
        activation = "none" if getattr(config, "problem_type", None) == "regression" else "sigmoid"
    return Output(LOGITS, "scores", activation=activation)


def score_activation(named: str) -> str:
    """The activation of a package, for the class that a cross-encoder's files name."""
    known = {"Sigmoid": "sigmoid", "Identity": "none"}
    found = known.get(named.rpartition(".")[2])
    if found is None:
        raise ExportError(f"the activation of its scores is {named}: of a package it is one of {', '.join(known)}")
    return found
