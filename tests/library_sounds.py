"""Small models of sounds of transformers, with random weights: the part of the table of `library_models` that hears.

What lives here: `sounds`. The library gets each clip alone, for it pads the clips of a batch in a way that changes some results.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import soundfile
import transformers as hf
from torch import Tensor

from flambeau.export import AudioInput, libraries
from library_models import LICENSE, Model, made

WAVES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "conv_dim": [16, 16, 32],
    "conv_kernel": [10, 8, 8],
    "conv_stride": [5, 8, 8],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 16,
    "vocab_size": 11,
}
"""Three convolutions in place of seven; a frame is 320 samples, as in published networks."""
SPECTROGRAM = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
WHISPER = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "num_mel_bins": 80,
    "max_source_positions": 150,
    "classifier_proj_size": 16,
    "vocab_size": 50,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


def _sound(kind: str, config: str, extractor: Any, read: Callable[[Any], Tensor], **changes: Any) -> Model:
    """`changes`: `pooling`, `audio`, `tokenizer`, and the settings of the model."""
    options = {name: changes.pop(name) for name in ("pooling", "audio", "tokenizer") if name in changes}
    network = made(kind, config, changes)

    def expected(rows: Sequence[Any]) -> list[Tensor]:
        called = network.get_encoder() if kind == "WhisperForConditionalGeneration" else network
        return [read(called(**_heard(row, extractor))) for row in rows]

    def write(folder: Path) -> object:
        return libraries.from_transformers(network, folder, processor=extractor, name=folder.name, **options, **LICENSE)

    return Model(write, expected)


def _heard(row: Any, extractor: Any) -> Any:
    samples, rate = soundfile.read(row, dtype="float32")
    return extractor(samples, sampling_rate=rate, return_tensors="pt")


def tokens(folder: Path, **changes: Any) -> Any:
    """A CTC tokenizer of four special tokens, the space and six letters. Its vocabulary is written into `folder`."""
    names = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONI"]
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({name: index for index, name in enumerate(names)}), encoding="utf-8")
    return hf.Wav2Vec2CTCTokenizer(str(vocabulary), **changes)


def sounds() -> dict[str, Callable[[], Model]]:
    """Models of sounds, each made when it is called: of samples, and of spectrograms."""
    waves = hf.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    raw = hf.Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=False)
    of_ast = hf.ASTFeatureExtractor(num_mel_bins=64, max_length=320)
    of_whisper = hf.WhisperFeatureExtractor(chunk_length=3)
    ast = {**SPECTROGRAM, "num_mel_bins": 64, "max_length": 320}
    group: dict[str, Any] = {**WAVES, "audio": AudioInput(16_000, max_seconds=6)}
    layer = {**group, "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}

    with TemporaryDirectory() as folder:
        letters = tokens(Path(folder))

    def logits(result: Any) -> Tensor:
        return result.logits[0]

    def mean(result: Any) -> Tensor:
        return result.last_hidden_state[0].mean(0)

    def pooler(result: Any) -> Tensor:
        return result.pooler_output[0]

    return {
        "wav2vec2": partial(_sound, "Wav2Vec2Model", "Wav2Vec2Config", waves, mean, pooling="mean", **group),
        "wav2vec2_classifier": partial(
            _sound, "Wav2Vec2ForSequenceClassification", "Wav2Vec2Config", waves, logits, num_labels=3, **layer
        ),
        "wav2vec2_ctc": partial(_sound, "Wav2Vec2ForCTC", "Wav2Vec2Config", waves, logits, tokenizer=letters, **group),
        "hubert": partial(_sound, "HubertModel", "HubertConfig", raw, mean, pooling="mean", **layer),
        "hubert_classifier": partial(
            _sound, "HubertForSequenceClassification", "HubertConfig", waves, logits, num_labels=3, **group
        ),
        "wavlm": partial(_sound, "WavLMModel", "WavLMConfig", waves, mean, pooling="mean", **layer),
        "wavlm_classifier": partial(
            _sound, "WavLMForSequenceClassification", "WavLMConfig", raw, logits, num_labels=3, **group
        ),
        "unispeech_sat": partial(
            _sound, "UniSpeechSatModel", "UniSpeechSatConfig", waves, mean, pooling="mean", **group
        ),
        "ast": partial(_sound, "ASTModel", "ASTConfig", of_ast, pooler, pooling="pooler", **ast),
        "ast_classifier": partial(
            _sound, "ASTForAudioClassification", "ASTConfig", of_ast, logits, num_labels=3, **ast
        ),
        "whisper_encoder": partial(
            _sound, "WhisperForConditionalGeneration", "WhisperConfig", of_whisper, mean, pooling="mean", **WHISPER
        ),
        "whisper_classifier": partial(
            _sound, "WhisperForAudioClassification", "WhisperConfig", of_whisper, logits, num_labels=3, **WHISPER
        ),
    }
