"""Models of transformers: texts, images and sounds, with their tokenizer or processor, labels and license.

What lives here: `from_transformers`, and the modules of images that it packages, which return tensors in place of transformers' own
outputs. (Texts are in `transformers_texts`, sounds in `transformers_sounds`.) The architecture in `config.json` decides what the outputs are. Pooling
is not in these files, so base models need `pooling`.
"""

from __future__ import annotations

import json
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from ..errors import ExportError
from ..sequences import AudioInput
from ..specs import ImageInput, Input, Output, StrPath
from .cards import license_of, name_of
from .described import FEATURES, LOGITS, Described
from .image_processors import image_input
from .sentence_transformers_models import from_sentence_transformers
from .transformers_ctc import ctc_output
from .transformers_detectors import DETECTORS, detector
from .transformers_parts import check_pooling, classes, labels, part, projected, unknown
from .transformers_sounds import SOUNDS, sound
from .transformers_texts import is_pair, of_texts, text_input

if TYPE_CHECKING:
    from ..report import ExportReport

IMAGE_POOLINGS = ("mean", "cls", "pooler")
TOWERS = ("text", "image")
SEGMENTERS = "ForSemanticSegmentation"
"""How the names of their classes end."""


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
    pair: bool = False,
    **options: Any,
) -> ExportReport:
    """Writes the package of a model of transformers: a classifier, a detector, a segmenter, a CTC model of speech, a base model, or a tower of CLIP or SigLIP.

    Texts, images and sounds. Models that label tokens (`entities`) and that answer questions (`answer`) too. Clips of a model of spectrograms (AST, Whisper) are cut to its length, as the library does. A folder of
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
        pair: whether a classifier takes two texts together, `text` and `text_pair`: rerankers (`rerank`) and models of natural language
            inference (`zero_shot`). Models that answer questions always do: `question` and `context`.
        options: arguments of `flambeau.export.package`; `license` if the model's card has none; `trainable=True` for `TorchEstimator`.

    Raises:
        ExportError: an architecture that cannot be packaged in one line, or something that its files do not say.
    """
    import transformers

    if pooling is None and tower is None and tokenizer is None and not pair and _says_pooling(model):
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
        text = text_input(transformers, network, model, tokenizer, max_length, is_pair(kind, pair, pooling))
        given: Input = text
        module, outputs = of_texts(network, kind, text, pooling, tower)
    elif pair:
        raise ExportError(f"{kind} takes {taken}: pairs are of texts")
    elif taken == "pixel_values":
        given = image or image_input(part(transformers.AutoImageProcessor, model, processor, "processor"))
        if kind in DETECTORS:
            module, outputs = detector(network)
        elif kind.endswith(SEGMENTERS):
            # As the processor of SegFormer decodes: scores of the picture's size, then each pixel's best class.
            module, outputs = _Images(network, LOGITS).eval(), [Output(LOGITS, "pixel_scores", labels=labels(network))]
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
