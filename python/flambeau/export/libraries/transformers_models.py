"""Models of transformers: texts, images and sounds, with their tokenizer or processor, labels and license.

What lives here: `from_transformers`, and the modules of texts and images that it packages, which return tensors in place of
transformers' own outputs. (Sounds are in `transformers_sounds`.) The architecture in `config.json` decides what the outputs are. Pooling
is not in these files, so base models need `pooling`.
"""

from __future__ import annotations

import inspect
import json
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import ExportError
from ..sequences import TOKEN_TENSORS, AudioInput, TextInput
from ..specs import ImageInput, Input, Output, StrPath
from .cards import license_of, name_of
from .described import FEATURES, LOGITS, Described
from .image_processors import image_input
from .sentence_transformers_models import from_sentence_transformers
from .transformers_ctc import ctc_output
from .transformers_detectors import DETECTORS, detector
from .transformers_parts import check_pooling, classes, part, pooled, unknown
from .transformers_sounds import SOUNDS, sound

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
    audio: AudioInput | None = None,
    max_length: int | None = None,
    **options: Any,
) -> ExportReport:
    """Writes the package of a model of transformers: a classifier, a detector, a CTC model of speech, a base model, or a tower of CLIP or SigLIP.

    Texts, images and sounds. Clips of a model of spectrograms (AST, Whisper) are cut to its length, as the library does. A folder of
    sentence-transformers without `pooling` is left to `from_sentence_transformers`, for its files say the pooling.

    Args:
        model: a folder (or a name on the Hub), or the model itself; then also `tokenizer` or `processor`.
        path: the folder to write.
        pooling: gives features, not the results of the model's head: "mean" of the hidden states of the real tokens or
            frames, "cls" (the first), "last" (the last real one) or "pooler" (`pooler_output`). Of Whisper, features of the encoder.
        tower: for CLIP and SigLIP: "text" or "image".
        tokenizer, processor: the fast tokenizer (of a CTC model: its Wav2Vec2CTCTokenizer), or the image processor or feature
            extractor, if they are not in the folder: the object, or the folder that has it.
        image: the preprocessing of images, if it should not be the processor's.
        audio: windows and limits of clips, if they should not be the usual ones. Its sample rate is the feature extractor's.
        max_length: maximum tokens; default: the tokenizer's `model_max_length`.
        options: arguments of `flambeau.export.package`; `license` if the model's card has none.

    Raises:
        ExportError: an architecture that cannot be packaged in one line, or something that its files do not say.
    """
    import transformers

    if pooling is None and tower is None and tokenizer is None and _says_pooling(model):
        return from_sentence_transformers(model, path, max_length=max_length, **options)
    network = _loaded(transformers, model)
    if pooling is not None and tower is None:
        network = network.base_model
    kind = type(network).__name__
    two = hasattr(network, "get_image_features")
    if two and tower not in TOWERS:
        raise ExportError(f"{kind} has two towers: give tower='text' or tower='image'")
    if not two and tower is not None:
        raise ExportError(f"{kind} has no towers: leave out tower=")
    taken = {"text": "input_ids", "image": "pixel_values", None: network.main_input_name}[tower]
    if taken == "input_ids":
        text = _text(transformers, network, model, tokenizer, max_length)
        given: Input = text
        module, outputs = _of_texts(network, kind, text, pooling, tower)
    elif taken == "pixel_values":
        given = image or image_input(part(transformers.AutoImageProcessor, model, processor, "processor"))
        if kind in DETECTORS:
            module, outputs = detector(network)
        else:
            module, outputs = _of_images(network, kind, pooling, tower)
    elif taken in SOUNDS:
        extractor = part(transformers.AutoFeatureExtractor, model, processor, "processor")
        given, module, outputs = sound(network, extractor, pooling, audio)
        if pooling is None and kind.endswith("ForCTC"):
            outputs[0] = ctc_output(transformers, network, model, tokenizer, processor, given.sample_rate)
    else:
        raise ExportError(f"{kind} takes {taken}: only texts, images and sounds can be packaged in one line")
    found = Described(module, [given], outputs, name_of(model, kind), license_of(model))
    return found.write(path, options)


def _says_pooling(model: Any) -> bool:
    """Whether it is a folder of sentence-transformers with a module that pools."""
    if not isinstance(model, (str, PathLike)):
        return False
    modules = Path(fspath(model)) / "modules.json"
    return modules.is_file() and any(
        str(module.get("type", "")).endswith(".Pooling") for module in json.loads(modules.read_text(encoding="utf-8"))
    )


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


def _text(transformers: Any, network: Any, model: Any, tokenizer: Any, max_length: int | None) -> TextInput:
    found = part(transformers.AutoTokenizer, model, tokenizer, "tokenizer")
    if set(found.get_vocab()) <= set(found.all_special_tokens):
        # Without files, transformers makes the tokenizer of the architecture, which knows no words.
        raise ExportError(f"the tokenizer of {name_of(model, type(network).__name__)} has no words: give tokenizer=")
    taken = inspect.signature(network.forward).parameters
    names = [name for name in TOKEN_TENSORS if name in found.model_input_names and name in taken]
    if type(network).__name__.startswith("Siglip"):
        names = names[:1]
    own = getattr(found, "model_max_length", UNLIMITED + 1)
    return TextInput(found, max_length=max_length or (int(own) if own <= UNLIMITED else None), inputs=names)


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
        return _Texts(network, names, LOGITS, None, False).eval(), [classes(network)]
    if kind.endswith("ForTokenClassification"):
        outputs = [Output(LOGITS, lengths="tokens"), Output("tokens")]
        return _Texts(network, names, LOGITS, None, True).eval(), outputs
    if kind.endswith("Model"):
        check_pooling(kind, pooling, POOLINGS)
        return _Texts(network, names, "", pooling, False).eval(), [Output(FEATURES, "features")]
    raise unknown(kind)


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
        return _Images(network, LOGITS).eval(), [classes(network)]
    if kind.endswith("Model"):
        check_pooling(kind, pooling, IMAGE_POOLINGS)
        return _Images(network, str(pooling)).eval(), [Output(FEATURES, "features")]
    raise unknown(kind)
