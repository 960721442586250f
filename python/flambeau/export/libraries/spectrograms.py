"""Logarithmic mel spectrograms, as the feature extractors of transformers define them, in operations that a program can have.

What lives here: `kaldi_mel` for `ASTFeatureExtractor` and `whisper_mel` for `WhisperFeatureExtractor`. Both give modules that
take samples f32 `[n, longest]` and their lengths i64 `[n]`, and pad or cut clips to a window, as these extractors do. Filters and windows
are transformers' own. Numbers are f64 up to the logarithm, for the energies of quiet bands lie many orders below the loudest.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ExportError
from .waveforms import real

KALDI_RATE = 16_000
KALDI_FRAME, KALDI_HOP, KALDI_FFT = 400, 160, 512
KALDI_EMPHASIS = 0.97
KALDI_FLOOR = 1.192092955078125e-07
WHISPER_FLOOR = 1e-10
WHISPER_DECADES = 8.0
"""Powers of ten below a clip's loudest band that are kept."""


class _Mel(nn.Module):
    """`window`: samples that a clip is padded or cut to."""

    def __init__(self, window: int, taper: Any, filters: Any) -> None:
        super().__init__()
        self.window = window
        self.register_buffer("taper", torch.as_tensor(taper, dtype=torch.float64))
        self.register_buffer("filters", torch.as_tensor(filters, dtype=torch.float64))

    def whole(self, samples: Tensor) -> Tensor:
        """Exactly `window` samples of each clip, f64."""
        return nn.functional.pad(samples, (0, self.window - samples.shape[1])).double()

    def mel(self, frames: Tensor, size: int) -> Tensor:
        """The energies of the bands, f64 `[n, frames, bands]`, of frames of samples."""
        spectrum: Tensor = torch.fft.rfft(frames * self.get_buffer("taper").double(), n=size)
        energies: Tensor = spectrum.real.square() + spectrum.imag.square()
        return torch.matmul(energies, self.get_buffer("filters").double())


class KaldiMel(_Mel):
    """Kaldi's filter bank, f32 `[n, frames, bands]`; frames after the clip are 0 before the normalization."""

    def __init__(self, window: int, taper: Any, filters: Any, mean: float, scale: float) -> None:
        super().__init__(window, taper, filters)
        self.mean = mean
        self.scale = scale

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        frames = self.whole(samples).unfold(1, KALDI_FRAME, KALDI_HOP)
        frames = frames - frames.mean(2, keepdim=True)
        before = torch.cat([frames[:, :, :1], frames[:, :, :-1]], 2)
        bands = self.mel(frames - KALDI_EMPHASIS * before, KALDI_FFT).clamp(min=KALDI_FLOOR).log()
        counts = torch.div(lengths - KALDI_FRAME, KALDI_HOP, rounding_mode="floor") + 1
        kept = real(bands.shape[1], counts).unsqueeze(2)
        return ((torch.where(kept, bands, 0.0) - self.mean) / self.scale).type_as(samples)


class WhisperMel(_Mel):
    """The spectrogram that Whisper takes, f32 `[n, bands, frames]`."""

    def __init__(self, window: int, taper: Any, filters: Any, hop: int) -> None:
        super().__init__(window, taper, filters)
        self.hop = hop
        self.size = int(self.get_buffer("taper").shape[0])

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        half = self.size // 2
        padded = nn.functional.pad(self.whole(samples).unsqueeze(1), (half, half), mode="reflect").squeeze(1)
        frames = padded.unfold(1, self.size, self.hop)[:, :-1]
        bands = self.mel(frames, self.size).clamp(min=WHISPER_FLOOR).log10()
        bands = torch.maximum(bands, bands.amax((1, 2), keepdim=True) - WHISPER_DECADES)
        return ((bands + 4.0) / 4.0).transpose(1, 2).type_as(samples)


def kaldi_mel(extractor: Any) -> KaldiMel:
    """The front end of an `ASTFeatureExtractor`."""
    from transformers.audio_utils import mel_filter_bank, window_function

    if extractor.sampling_rate != KALDI_RATE:
        raise ExportError(
            f"{type(extractor).__name__} gives other numbers with torchaudio than without it at {extractor.sampling_rate} Hz: "
            f"only {KALDI_RATE} Hz can be packaged in one line"
        )
    filters = mel_filter_bank(
        num_frequency_bins=KALDI_FFT // 2 + 1,
        num_mel_filters=extractor.num_mel_bins,
        min_frequency=20,
        max_frequency=KALDI_RATE // 2,
        sampling_rate=KALDI_RATE,
        norm=None,
        mel_scale="kaldi",
        triangularize_in_mel_space=True,
    )
    window = KALDI_FRAME + (extractor.max_length - 1) * KALDI_HOP
    taper = window_function(KALDI_FRAME, "hann", periodic=False)
    mean, scale = (extractor.mean, 2 * extractor.std) if extractor.do_normalize else (0.0, 1.0)
    return KaldiMel(window, taper, filters, float(mean), float(scale))


def whisper_mel(extractor: Any) -> WhisperMel:
    """The front end of a `WhisperFeatureExtractor`."""
    if extractor.dither or extractor.padding_value:
        raise ExportError(
            f"{type(extractor).__name__} with dither={extractor.dither} and padding_value={extractor.padding_value}: "
            "only 0 can be packaged in one line"
        )
    taper = torch.hann_window(extractor.n_fft, dtype=torch.float64)
    return WhisperMel(extractor.n_samples, taper, extractor.mel_filters, extractor.hop_length)
