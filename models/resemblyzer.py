"""The recipe of `resemblyzer`: speaker embeddings, similar for the same voice.

    python models/resemblyzer.py build/models/resemblyzer

Weights: the PyPI wheel `Resemblyzer` 0.1.4 (Apache-2.0), checked by SHA-256; the three-layer LSTM encoder of generalized
end-to-end speaker verification. The program does what the Python package does after loading a clip, except for its
trimming of silence, which needs the detector of another library:

1. a clip quieter than -30 dBFS is amplified to that;
2. 40 Slaney mels of power spectra, 25 ms every 10 ms, no logarithm;
3. windows of 160 frames every 77, the last one kept when at least 0.75 of it is sound;
4. one embedding per window, their mean, length 1.

Beside f32 there is a variant with two layers of the LSTM in bf16, for processors with AVX-512 BF16.

It takes `samples` f32 `[n, longest]` at 16 kHz, zero padded, and `lengths` i64 `[n]`; gives `embedding` f32 `[n, 256]`. Other
rows and padding do not change a row's result.
"""

from __future__ import annotations

import io
import math
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

import recipe

sys.path.insert(0, str(recipe.ROOT / "python"))
from flambeau import export

NAME = "resemblyzer"
WEIGHTS = recipe.Wheel(
    "Resemblyzer",
    "0.1.4",
    "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
    license="Apache-2.0",
)
STATE_DICT = "resemblyzer/pretrained.pt"

SAMPLE_RATE, MELS, SPECTRUM, HOP = 16_000, 40, 400, 160
WIDTH, LAYERS = 256, 3
NOTICE = f"""\
Weights: {WEIGHTS.requirement} (PyPI), Copyright (c) 2019 Resemble AI, Apache License 2.0.
The weights are unchanged; Flambeau's recipe stored them in a TorchScript program that computes the spectrogram too.
"""


def mel_filters() -> Tensor:
    """Slaney's mel filters f32 `[40, 201]`: linear below 1 kHz, logarithmic above, each of area 1 over its width in Hz."""
    hertz_per_mel, edge, step = 200.0 / 3.0, 1000.0, math.log(6.4) / 27.0

    def to_mel(hertz: float) -> float:
        return hertz / hertz_per_mel if hertz < edge else edge / hertz_per_mel + math.log(hertz / edge) / step

    mels = torch.linspace(to_mel(0.0), to_mel(SAMPLE_RATE / 2), MELS + 2, dtype=torch.float64)
    bend = edge / hertz_per_mel
    corners = torch.where(mels < bend, mels * hertz_per_mel, edge * torch.exp(step * (mels - bend)))
    bins = torch.linspace(0.0, SAMPLE_RATE / 2, SPECTRUM // 2 + 1, dtype=torch.float64)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    triangles = torch.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clamp(min=0.0)
    return (triangles * (2.0 / (high - low))).float()


class SpeakerEmbedding(nn.Module):
    """Samples f32 `[n, longest]` at 16 kHz and lengths i64 `[n]` -> f32 `[n, 256]` of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.taper: Tensor
        self.filters: Tensor
        self.spectrum, self.hop = SPECTRUM, HOP
        self.window_frames, self.step_frames = 160, 77
        self.least_share, self.loudness = 0.75, 10.0 ** (-30.0 / 20.0)
        # The states of more windows fall out of a core's cache; bench/audio/README.md has figures.
        self.windows_at_once = 64
        self.lower_in_bf16 = False
        self.register_buffer("filters", mel_filters())
        self.register_buffer("taper", torch.hann_window(SPECTRUM))
        # One LSTM of three layers, in two parts: the lower may be in bf16. The upper's state is the result and stays in f32.
        self.lower = nn.LSTM(MELS, WIDTH, LAYERS - 1, batch_first=True)
        self.upper = nn.LSTM(WIDTH, WIDTH, 1, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        rows, longest = samples.shape[0], samples.shape[1]
        inside = torch.arange(longest, device=samples.device).unsqueeze(0) < lengths.unsqueeze(1)
        samples = torch.where(inside, samples, torch.zeros_like(samples))
        power = samples.double().square().sum(1) / lengths.clamp(min=1)
        gain = torch.where(power > 0, self.loudness / power.sqrt(), torch.ones_like(power)).clamp(min=1.0)
        samples = samples * gain.unsqueeze(1).to(samples.dtype)

        # Windows of each row: as many as start before the last whole one ends, less a last one that is mostly empty.
        frames = (lengths + self.hop) // self.hop
        starts = (frames - self.window_frames + self.step_frames + 1).clamp(min=1)
        counts = (starts + self.step_frames - 1) // self.step_frames
        window_samples = self.window_frames * self.hop
        filled = lengths - (counts - 1) * self.step_frames * self.hop
        counts = counts - ((filled < self.least_share * window_samples) & (counts > 1)).long()

        most = int(counts.max())
        needed = ((most - 1) * self.step_frames + self.window_frames) * self.hop
        samples = nn.functional.pad(samples, (0, max(0, needed - longest)))
        spectra = torch.stft(
            samples,
            self.spectrum,
            self.hop,
            self.spectrum,
            self.taper,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        # Not abs().square(): its root would cost more than the transform.
        mels = self.filters @ (torch.real(spectra).square() + torch.imag(spectra).square())
        windows = mels.unfold(2, self.window_frames, self.step_frames)[:, :, :most].permute(0, 2, 3, 1)
        own = torch.arange(most, device=samples.device).unsqueeze(0) < counts.unsqueeze(1)
        chosen = windows[own]
        row_of = torch.arange(rows, device=samples.device).unsqueeze(1).expand(-1, most)[own]
        sums = torch.zeros([rows, self.linear.out_features], dtype=samples.dtype, device=samples.device)
        for start in range(0, chosen.shape[0], self.windows_at_once):
            part = chosen[start : start + self.windows_at_once]
            if self.lower_in_bf16:
                part = part.to(torch.bfloat16)
            below, _ = self.lower(part)
            _, (hidden, _) = self.upper(below.to(samples.dtype))
            embedded = nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)
            sums = sums.index_add(0, row_of[start : start + self.windows_at_once], embedded)
        return nn.functional.normalize(sums, dim=1)


def load_network() -> SpeakerEmbedding:
    """The network in eval mode with its published weights; every tensor except for the loss's must have a parameter."""
    stored = io.BytesIO(recipe.read_member(recipe.fetch(WEIGHTS), STATE_DICT))
    state = torch.load(stored, map_location="cpu", weights_only=True)["model_state"]
    network = SpeakerEmbedding()
    upper = f"_l{LAYERS - 1}"
    weights = {
        name.replace("lstm.", "upper." if name.endswith(upper) else "lower.").replace(upper, "_l0"): value
        for name, value in state.items()
        if not name.startswith("similarity_")
    }
    network.load_state_dict({**weights, "filters": network.filters, "taper": network.taper})
    return network.eval()


def with_lower_layers_in_bf16() -> SpeakerEmbedding:
    """The same with the two lower layers of the LSTM in bf16: bench/audio/README.md has speed and accuracy of other choices."""
    network = load_network()
    network.lower.to(torch.bfloat16)
    network.lower_in_bf16 = True
    return network


def write(out: Path) -> None:
    """Writes the package to `out`."""
    export.package(
        load_network(),
        out,
        name=NAME,
        license="Apache-2.0",
        description="Resemblyzer's speaker encoder: 256 numbers a clip, length 1, near each other for one voice",
        inputs=[export.AudioInput(sample_rate=SAMPLE_RATE)],
        outputs=[export.Output("embedding", "features")],
        method="script",
        precisions={"bf16": with_lower_layers_in_bf16()},
        files={"NOTICE.txt": NOTICE},
        overwrite=True,
    )


def make(out: Path) -> bool:
    """Writes the package to `out`; False when it is there already, made from the same things."""
    pins = [f"weights {WEIGHTS.sha256}", f"torch {torch.__version__}"]
    return recipe.make_once(out, [Path(__file__)], pins, lambda: write(out))


if __name__ == "__main__":
    sys.exit(recipe.main(NAME, make))
