"""Models of transformers that take sounds: the samples themselves, or a spectrogram, which becomes a part of the program.

What lives here: `sound`, which makes the package's input, module and outputs. The feature extractor (`preprocessor_config.json`) decides
how samples are prepared and at which rate; the architecture in `config.json` decides what the outputs are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ExportError
from ..sequences import AudioInput
from ..specs import Output
from .described import FEATURES, LOGITS
from .spectrograms import KaldiMel, WhisperMel, kaldi_mel, whisper_mel
from .transformers_parts import check_pooling, classes, pooled, unknown
from .waveforms import Waves

SOUNDS = ("input_values", "input_features")
"""What networks of sounds call their input."""
CLASSIFIERS = ("ForSequenceClassification", "ForAudioClassification")
BY_FRAME = ("ForCTC", "ForAudioFrameClassification")
SPECTROGRAM_POOLINGS = ("mean", "cls", "pooler")
FRAMES = "frames"


def sound(
    network: Any, extractor: Any, pooling: str | None, audio: AudioInput | None
) -> tuple[AudioInput, nn.Module, list[Output]]:
    """The input, module and outputs of a network of sounds.

    Args:
        network: of transformers, in eval mode.
        extractor: its feature extractor, or a processor that has one.
        pooling: for hidden states.
        audio: windows and limits of clips, if they should not be the usual ones.
    """
    extractor = getattr(extractor, "feature_extractor", extractor)
    maker = {"Wav2Vec2FeatureExtractor": _waves, "ASTFeatureExtractor": _ast, "WhisperFeatureExtractor": _whisper}
    kind = type(extractor).__name__
    if kind not in maker:
        raise ExportError(
            f"{type(network).__name__} takes sounds as {kind} prepares them. Of transformers, {', '.join(maker)} can be packaged in "
            "one line: put that preparation into a module that takes samples, and use package"
        )
    window, module, outputs = maker[kind](network, extractor, pooling)
    return _input(extractor.sampling_rate, window, audio), module.eval(), outputs


def _input(rate: int, window: int | None, audio: AudioInput | None) -> AudioInput:
    """`window`: what one run sees of a clip; the rest is not computed, as the feature extractor cuts it off."""
    if audio is not None and audio.sample_rate != rate:
        raise ExportError(
            f"the feature extractor takes {rate} samples per second, not {audio.sample_rate}: give sample_rate={rate}"
        )
    if audio is not None:
        return replace(audio, inputs=("samples", "lengths"))
    return AudioInput(rate, window_samples=window, pool=None if window is None else "first")


def _waves(network: Any, extractor: Any, pooling: str | None) -> tuple[None, nn.Module, list[Output]]:
    kind = type(network).__name__
    if not hasattr(network, "_get_feat_extract_output_lengths"):
        raise unknown(kind)
    if kind.endswith(CLASSIFIERS):
        return None, Waves(network, extractor.do_normalize, None, False), [classes(network)]
    if kind.endswith(BY_FRAME):
        outputs = [Output(LOGITS, lengths=FRAMES), Output(FRAMES)]
        return None, Waves(network, extractor.do_normalize, None, True), outputs
    if not kind.endswith("Model"):
        raise unknown(kind)
    check_pooling(kind, pooling, ("mean",))
    return None, Waves(network, extractor.do_normalize, pooling, False), [Output(FEATURES, "features")]


class _Spectrograms(nn.Module):
    """Samples and their lengths; what a network makes of their spectrogram: its logits, or its pooled hidden states."""

    def __init__(self, front: KaldiMel | WhisperMel, network: Any, pooling: str | None) -> None:
        super().__init__()
        self.front = front
        self.network: Any = network
        self.pooling = pooling

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        result = self.network(self.front(samples, lengths))
        if self.pooling is None:
            logits: Tensor = result[LOGITS]
            return logits
        states = result.last_hidden_state
        return pooled(result, torch.ones(states.shape[:2], dtype=torch.int64, device=states.device), self.pooling)


def _ast(network: Any, extractor: Any, pooling: str | None) -> tuple[int, nn.Module, list[Output]]:
    kind, front = type(network).__name__, kaldi_mel(extractor)
    if kind.endswith(CLASSIFIERS):
        return front.window, _Spectrograms(front, network, None), [classes(network)]
    if not kind.endswith("Model"):
        raise unknown(kind)
    check_pooling(kind, pooling, SPECTROGRAM_POOLINGS)
    return front.window, _Spectrograms(front, network, pooling), [Output(FEATURES, "features")]


def _whisper(network: Any, extractor: Any, pooling: str | None) -> tuple[int, nn.Module, list[Output]]:
    """A classifier, or the encoder alone: what generates texts word by word does not run in executors."""
    kind, front = type(network).__name__, whisper_mel(extractor)
    if kind.endswith(CLASSIFIERS):
        return front.window, _Spectrograms(front, network, None), [classes(network)]
    if not hasattr(network, "get_encoder"):
        raise unknown(kind)
    check_pooling(f"the encoder of {kind}", pooling, ("mean",))
    return front.window, _Spectrograms(front, network.get_encoder(), pooling), [Output(FEATURES, "features")]
