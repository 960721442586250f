"""Sentence embeddings of sentence-transformers: their own modules, pooling and normalization included, run in the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from ..errors import ExportError
from ..sequences import TOKEN_TENSORS, TextInput
from ..specs import Output, StrPath
from .cards import license_of, name_of
from .described import FEATURES, Described

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
    """Writes the package of a model of sentence-transformers.

    Args:
        model: its folder (or a name on the Hub), or the `SentenceTransformer` itself.
        path: the folder to write.
        max_length: maximum tokens; default: the model's `max_seq_length`.
        options: arguments of `flambeau.export.package`; `license` if the model's card has none.

    Raises:
        ExportError: a model without a fast tokenizer, or something that its files do not say.
    """
    from sentence_transformers import SentenceTransformer

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
