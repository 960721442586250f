"""Models of sentence-transformers: sentence embeddings and cross-encoders.

Of embeddings, their own modules run in the package, pooling and normalization included. A cross-encoder is a classifier of transformers that
takes pairs of texts.
"""

from __future__ import annotations

import json
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from ..errors import ExportError
from ..sequences import TOKEN_TENSORS, TextInput
from ..specs import Output, StrPath
from .cards import license_of, name_of
from .described import FEATURES, LOGITS, Described
from .transformers_texts import CLASSIFIER, Texts, pair_scores, score_activation

if TYPE_CHECKING:
    from ..report import ExportReport


class _Embedding(nn.Module):
    """Token tensors by name; the sentence embedding, f32 `[n, width]`."""

    def __init__(self, modules: list[Any], names: list[str]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)
        self.names = names

    def forward(self, *tensors: Tensor) -> Tensor:
        features: dict[str, Any] = dict(zip(self.names, tensors))
        for part in self.parts:
            features = part(features)
        embedding: Tensor = features["sentence_embedding"]
        return embedding


def from_sentence_transformers(
    model: Any, path: StrPath, *, max_length: int | None = None, **options: Any
) -> ExportReport:
    """Writes the package of a model of sentence-transformers: of sentence embeddings (for `featurize`), or a cross-encoder (for `rerank`).

    Args:
        model: its folder (or a name on the Hub), or the `SentenceTransformer` or `CrossEncoder` itself. (A folder of a cross-encoder that
            was saved before version 5 does not say what it is: load it and pass the `CrossEncoder`.)
        path: the folder to write.
        max_length: maximum tokens; default: the model's `max_seq_length`.
        options: arguments of `flambeau.export.package`; `license` if the model's card has none.

    Raises:
        ExportError: a model without a fast tokenizer, or something that its files do not say.
    """
    from sentence_transformers import CrossEncoder, SentenceTransformer

    if isinstance(model, CrossEncoder) or _says_cross_encoder(model):
        encoder = model if isinstance(model, CrossEncoder) else CrossEncoder(fspath(model), device="cpu")
        return _cross_encoder(encoder, model, max_length).write(path, options)
    network: Any = model if isinstance(model, nn.Module) else SentenceTransformer(str(model), device="cpu")
    tokenizer = network.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        raise ExportError("the model has no fast tokenizer (tokenizer.json), which executors need")
    names = [name for name in TOKEN_TENSORS if name in tokenizer.model_input_names]
    text = TextInput(tokenizer, max_length=max_length or network.max_seq_length, inputs=names)
    module = _Embedding(list(network), names).eval()
    outputs = [Output(FEATURES, "features")]
    found = Described(module, [text], outputs, name_of(model, "sentence_transformer"), license_of(model))
    return found.write(path, options)


def _says_cross_encoder(model: Any) -> bool:
    """Whether the folder's files name a cross-encoder."""
    if not isinstance(model, (str, PathLike)):
        return False
    config = Path(fspath(model)) / "config_sentence_transformers.json"
    return config.is_file() and json.loads(config.read_text(encoding="utf-8")).get("model_type") == "CrossEncoder"


def _cross_encoder(encoder: Any, model: Any, max_length: int | None) -> Described:
    """A classifier of pairs, with the activation that `predict` applies to its scores."""
    network, tokenizer = encoder.model, encoder.tokenizer
    kind = type(network).__name__
    if len(encoder) != 1 or not kind.endswith(CLASSIFIER):
        parts = ", ".join(type(part).__name__ for part in encoder)
        raise ExportError(
            f"a cross-encoder of {parts} with {kind}: only classifiers (…{CLASSIFIER}) can be packaged in one line"
        )
    if not getattr(tokenizer, "is_fast", False):
        raise ExportError("the model has no fast tokenizer (tokenizer.json), which executors need")
    names = [name for name in TOKEN_TENSORS if name in tokenizer.model_input_names]
    longest = max_length or encoder.max_seq_length
    text = TextInput(tokenizer, "query", longest, names, pair="text", truncation="longest_first")
    scores = pair_scores(
        network, score_activation(type(encoder.activation_fn).__name__) if encoder.num_labels == 1 else None
    )
    module = Texts(network.eval(), names, (LOGITS,), None, False).eval()
    return Described(module, [text], [scores], name_of(model, "cross_encoder"), license_of(model))
