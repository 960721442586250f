"""Small models of other libraries, with random weights: the table that `test_libraries.py` runs.

What lives here: `texts`, `images` and `sentences`, which name a model and say how it is made and packaged, and how the library itself
computes its numbers, preprocessing included. Sounds are in `library_sounds`. Random weights: what is tested is the way from a row to the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import tokenizers
import torch
import transformers as hf
from PIL import Image
from torch import Tensor, nn

from flambeau.export import libraries

WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "runs",
    "sleeps",
    "over",
    "under",
    "quick",
    "lazy",
    "brown",
    "fox",
    "jumps",
    "river",
    "happy",
    "sad",
    "very",
    "not",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LICENSE: dict[str, Any] = {"license": "Apache-2.0", "quiet": True}


class Model(NamedTuple):
    """`write(folder)` makes the package; `expected(rows)` are the library's numbers, a row each: one `[n]` or `[length, n]`."""

    write: Callable[[Path], object]
    expected: Callable[[Sequence[Any]], list[Tensor]]


def tokenizer(types: bool, side: str = "right") -> Any:
    """A fast WordPiece tokenizer. `types`: whether it gives `token_type_ids`."""
    vocabulary = {word: index for index, word in enumerate(SPECIAL + WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    special = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    made.post_processor = tokenizers.processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    names = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    marks = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=24, model_input_names=names, padding_side=side, **marks
    )


TEXT = {
    "vocab_size": len(SPECIAL + WORDS),
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}


def made(kind: str, config: str, settings: dict[str, Any]) -> Any:
    """A model of transformers, with random weights."""
    torch.manual_seed(len(kind))
    return getattr(hf, kind)(getattr(hf, config)(**settings)).eval()


def _text(kind: str, config: str, types: bool, read: Callable[[Any, Tensor], list[Tensor]], **changes: Any) -> Model:
    """`changes`: `pooling`, `tower`, and the settings of the model."""
    options = {name: changes.pop(name) for name in ("pooling", "tower") if name in changes}
    network, words = made(kind, config, {**TEXT, **changes}), tokenizer(types)

    def expected(rows: Sequence[Any]) -> list[Tensor]:
        siglip = kind.startswith("Siglip")
        given = words(list(rows), padding="max_length" if siglip else True, truncation=True, return_tensors="pt")
        if siglip:
            return read(network.get_text_features(input_ids=given["input_ids"]), given["attention_mask"])
        call = network.get_text_features if "tower" in options else network
        return read(call(**given), given["attention_mask"])

    def write(folder: Path) -> object:
        return libraries.from_transformers(network, folder, tokenizer=words, name=folder.name, **options, **LICENSE)

    return Model(write, expected)


def _logits(result: Any, mask: Tensor) -> list[Tensor]:
    return list(result.logits)


def _by_token(result: Any, mask: Tensor) -> list[Tensor]:
    return [row[: int(real.sum())] for row, real in zip(result.logits, mask)]


def _mean(result: Any, mask: Tensor) -> list[Tensor]:
    return [row[: int(real.sum())].mean(0) for row, real in zip(result.last_hidden_state, mask)]


def _first(result: Any, mask: Tensor) -> list[Tensor]:
    return list(result.last_hidden_state[:, 0])


def _last(result: Any, mask: Tensor) -> list[Tensor]:
    return [row[int(real.sum()) - 1] for row, real in zip(result.last_hidden_state, mask)]


def _tower(result: Any, mask: Tensor | None = None) -> list[Tensor]:
    return list(result if isinstance(result, Tensor) else result.pooler_output)


def texts() -> dict[str, Callable[[], Model]]:
    """Encoders and decoders of texts, each made when it is called."""
    clip = {
        "text_config": {**TEXT, "projection_dim": 16, "eos_token_id": 3, "bos_token_id": 2},
        "vision_config": VISION,
        "projection_dim": 16,
    }
    deberta = {"type_vocab_size": 0, "relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"]}
    distil = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    ids = {"pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
    siglip = {"text_config": TEXT, "vision_config": VISION}
    return {
        "bert_classifier": partial(_text, "BertForSequenceClassification", "BertConfig", True, _logits, num_labels=3),
        "bert_tokens": partial(_text, "BertForTokenClassification", "BertConfig", True, _by_token, num_labels=5),
        "bert_mean": partial(_text, "BertModel", "BertConfig", True, _mean, pooling="mean"),
        "roberta": partial(_text, "RobertaForSequenceClassification", "RobertaConfig", False, _logits, pad_token_id=0),
        "xlm_roberta": partial(
            _text, "XLMRobertaModel", "XLMRobertaConfig", False, _first, pooling="cls", pad_token_id=0
        ),
        "distilbert": partial(
            _text, "DistilBertForSequenceClassification", "DistilBertConfig", False, _logits, **distil
        ),
        "electra": partial(
            _text, "ElectraForSequenceClassification", "ElectraConfig", True, _logits, embedding_size=32
        ),
        "deberta_v2": partial(
            _text, "DebertaV2ForSequenceClassification", "DebertaV2Config", False, _logits, **deberta
        ),
        "mpnet": partial(_text, "MPNetModel", "MPNetConfig", False, _mean, pooling="mean", pad_token_id=0),
        "albert": partial(_text, "AlbertForSequenceClassification", "AlbertConfig", True, _logits, embedding_size=16),
        "modernbert": partial(_text, "ModernBertForSequenceClassification", "ModernBertConfig", False, _logits, **ids),
        "qwen3": partial(
            _text, "Qwen3Model", "Qwen3Config", False, _last, pooling="last", num_key_value_heads=2, head_dim=8
        ),
        "clip_text": partial(_text, "CLIPModel", "CLIPConfig", False, _tower, tower="text", **clip),
        "siglip_text": partial(_text, "SiglipModel", "SiglipConfig", False, _tower, tower="text", **siglip),
    }


def opened(rows: Sequence[Any]) -> list[Image.Image]:
    """The photos at these paths, as Pillow decodes them."""
    return [Image.open(row).convert("RGB") for row in rows]


def _image(kind: str, config: str, processor: Any, read: Callable[[Any], list[Tensor]], **changes: Any) -> Model:
    options = {name: changes.pop(name) for name in ("pooling", "tower") if name in changes}
    network = made(kind, config, changes)

    def expected(rows: Sequence[Any]) -> list[Tensor]:
        given = processor(opened(rows), return_tensors="pt")
        call = network.get_image_features if "tower" in options else network
        return read(call(pixel_values=given["pixel_values"]))

    def write(folder: Path) -> object:
        return libraries.from_transformers(network, folder, processor=processor, name=folder.name, **options, **LICENSE)

    return Model(write, expected)


def _of_timm(name: str) -> Model:
    import timm

    torch.manual_seed(len(name))
    network = timm.create_model(name, pretrained=False, num_classes=10).eval()
    prepare = timm.data.create_transform(**timm.data.resolve_data_config({}, model=network))

    def expected(rows: Sequence[Any]) -> list[Tensor]:
        return list(network(torch.stack([prepare(image) for image in opened(rows)])))

    return Model(lambda folder: libraries.from_timm(network, folder, **LICENSE), expected)


def _of_torchvision(name: str) -> Model:
    import torchvision

    torch.manual_seed(len(name))
    weights = torchvision.models.get_model_weights(name)["DEFAULT"]
    network: nn.Module = torchvision.models.get_model(name, weights=None).eval()
    prepare = weights.transforms()

    def expected(rows: Sequence[Any]) -> list[Tensor]:
        return list(network(torch.stack([prepare(image) for image in opened(rows)])))

    return Model(lambda folder: libraries.from_torchvision(network, folder, weights, **LICENSE), expected)


def images() -> dict[str, Callable[[], Model]]:
    """Classifiers and featurizers of images, each made when it is called."""
    square, shorter = {"height": 32, "width": 32}, {"shortest_edge": 36}

    def logits(result: Any) -> list[Tensor]:
        return list(result.logits)

    def first(result: Any) -> list[Tensor]:
        return list(result.last_hidden_state[:, 0])

    text = {**TEXT, "projection_dim": 16, "eos_token_id": 3, "bos_token_id": 2}
    clip = {"text_config": text, "vision_config": VISION, "projection_dim": 16}
    convolutions = {"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1], "num_labels": 3}
    convnext = hf.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875)
    dino = hf.BitImageProcessor(size=shorter, crop_size=square)
    small = {
        "image_size": 32,
        "patch_size": 2,
        "embed_dim": 16,
        "depths": [1, 1],
        "num_heads": [2, 4],
        "window_size": 4,
    }
    vit = hf.ViTImageProcessor(size=square)
    return {
        "vit": partial(_image, "ViTForImageClassification", "ViTConfig", vit, logits, **VISION),
        "vit_base": partial(_image, "ViTModel", "ViTConfig", vit, first, pooling="cls", **VISION),
        "deit": partial(
            _image,
            "DeiTForImageClassification",
            "DeiTConfig",
            hf.DeiTImageProcessor(size={"height": 36, "width": 36}, crop_size=square),
            logits,
            **VISION,
        ),
        "dinov2": partial(_image, "Dinov2Model", "Dinov2Config", dino, first, pooling="cls", **VISION),
        "convnext": partial(
            _image, "ConvNextForImageClassification", "ConvNextConfig", convnext, logits, **convolutions
        ),
        "resnet": partial(
            _image, "ResNetForImageClassification", "ResNetConfig", convnext, logits, embedding_size=8, **convolutions
        ),
        # It takes blue first.
        "mobilevit": partial(
            _image,
            "MobileViTForImageClassification",
            "MobileViTConfig",
            hf.MobileViTImageProcessor(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64}),
            logits,
            image_size=64,
            hidden_sizes=[16, 24, 32],
            neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 32],
            initializer_range=0.4,
            num_labels=3,
        ),
        "swin": partial(_image, "SwinForImageClassification", "SwinConfig", vit, logits, **small),
        "clip_image": partial(
            _image,
            "CLIPModel",
            "CLIPConfig",
            hf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=square),
            _tower,
            tower="image",
            **clip,
        ),
        "siglip_image": partial(
            _image,
            "SiglipModel",
            "SiglipConfig",
            hf.SiglipImageProcessor(size=square),
            _tower,
            tower="image",
            text_config=TEXT,
            vision_config=VISION,
        ),
        "timm_efficientnet_lite0": partial(_of_timm, "efficientnet_lite0"),
        "timm_vit_tiny": partial(_of_timm, "vit_tiny_patch16_224"),
        "timm_convnext_atto": partial(_of_timm, "convnext_atto"),
        "timm_mobilenetv3": partial(_of_timm, "mobilenetv3_small_050"),
        "timm_levit": partial(_of_timm, "levit_128s"),
        "torchvision_resnet18": partial(_of_torchvision, "resnet18"),
        "torchvision_mnasnet": partial(_of_torchvision, "mnasnet0_5"),
        "torchvision_shufflenet": partial(_of_torchvision, "shufflenet_v2_x0_5"),
        "torchvision_squeezenet": partial(_of_torchvision, "squeezenet1_1"),
    }


def plain(kind: str, config: str) -> Any:
    """A model of texts, of the small size."""
    return made(kind, config, TEXT)


def moods() -> Any:
    """A BERT of three classes. A text may have several of them."""
    labels = dict(enumerate(["happy", "sad", "lazy"]))
    settings = {**TEXT, "id2label": labels, "label2id": {label: index for index, label in labels.items()}}
    return made(
        "BertForSequenceClassification", "BertConfig", {**settings, "problem_type": "multi_label_classification"}
    )


def clip() -> Any:
    """A CLIP."""
    text = {**TEXT, "projection_dim": 16, "eos_token_id": 3, "bos_token_id": 2}
    return made("CLIPModel", "CLIPConfig", {"text_config": text, "vision_config": VISION, "projection_dim": 16})


POOLINGS = ("mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


def sentences(folder: Path, pooling: str = "mean") -> Any:
    """A model of sentence-transformers that pools, projects and normalizes, saved in `folder` with a card that has a license."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    encoder = folder.parent / "encoder"
    plain("BertModel", "BertConfig").save_pretrained(encoder)
    tokenizer(types=True).save_pretrained(encoder)
    parts = [Transformer(str(encoder)), Pooling(32, pooling), Dense(32, 16), Normalize()]
    model = SentenceTransformer(modules=parts, device="cpu")
    model.save(str(folder))
    card = folder / "README.md"
    card.write_text("---\nlicense: mit\n---\n# A model\n", encoding="utf-8")
    return model
