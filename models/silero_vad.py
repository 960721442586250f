"""The recipe of `silero_vad`: how likely a clip holds speech.

    python models/silero_vad.py build/models/silero_vad

Program: the published TorchScript of Silero VAD 6.2.3 (PyPI wheel `silero-vad`, MIT, checked by SHA-256), its 16 kHz
half. The published module keeps the state of one stream in its own attributes. Parallel tasks cannot share it. So its parts
are called from a module without state, and each row of the batch is a separate stream:

- the spectrum and the encoder see 512 new samples and the 64 before them, so all windows of all rows go through at once;
- the LSTM then steps over each row's windows, with the published cell's weights;
- the head makes a probability of every step.

It takes `samples` f32 `[n, longest]` at 16 kHz, zero padded, and `lengths` i64 `[n]`, and gives

- `speech` f32 `[n, 1]`: the mean probability over the row's windows of 32 ms, which `classify` gives;
- `windows` f32 `[n, longest]`: the probability of each window, a list as long as the clip in `infer`;
- `window_count` i64 `[n]`: how many windows the row has.

A row's last window is filled up with zeros, as in silero-vad's own Python. Other rows and padding do not change a row's
result.

Idempotent: a stamp beside the package names everything it was made from.
"""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

import recipe

sys.path.insert(0, str(recipe.ROOT / "python"))
from flambeau import export

NAME = "silero_vad"
WEIGHTS = recipe.Wheel(
    "silero-vad",
    "6.2.3",
    "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8",
    license="MIT",
)
PROGRAM = "silero_vad/data/silero_vad.jit"

SAMPLE_RATE = 16_000
NOTICE = f"""\
Program and weights: {WEIGHTS.requirement} (PyPI), Copyright (c) 2020-present Silero Team, MIT License.
The weights are unchanged; Flambeau's recipe calls the published parts without their stored state.
"""


class SpeechProbability(nn.Module):
    """Samples f32 `[n, longest]` at 16 kHz and lengths i64 `[n]` -> mean probability f32 `[n, 1]`, the windows', their number."""

    def __init__(self, published: torch.jit.ScriptModule) -> None:
        super().__init__()
        half = published._model
        self.window = 512
        self.context = int(half.context_size_samples)
        self.windows_at_once = 2_048
        self.spectrum = half.stft
        self.encoder = half.encoder
        self.head = half.decoder.decoder
        cell = half.decoder.rnn
        self.lstm = nn.LSTM(cell.input_size, cell.hidden_size, batch_first=True)
        with torch.no_grad():
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(self.lstm, f"{part}_l0").copy_(getattr(cell, part))
        self.eval().requires_grad_(False)

    @torch.jit.export
    def probabilities(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Probability of every window f32 `[n, windows]`, and which windows are the row's own, bool of the same shape."""
        rows, longest = samples.shape[0], samples.shape[1]
        count = max(1, (longest + self.window - 1) // self.window)
        inside = torch.arange(longest, device=samples.device).unsqueeze(0) < lengths.unsqueeze(1)
        samples = torch.where(inside, samples, torch.zeros_like(samples))
        samples = nn.functional.pad(samples, (self.context, count * self.window - longest))
        windows = samples.unfold(1, self.context + self.window, self.window)
        block = max(1, self.windows_at_once // max(1, rows))
        encoded: list[Tensor] = []
        for start in range(0, count, block):
            part = windows[:, start : start + block].reshape(-1, self.context + self.window)
            encoded.append(self.encoder(self.spectrum(part)).squeeze(-1).view(rows, -1, self.lstm.input_size))
        hidden, _ = self.lstm(torch.cat(encoded, 1))
        found = self.head(hidden.transpose(1, 2)).squeeze(1)
        counts = (lengths + (self.window - 1)) // self.window
        own = torch.arange(count, device=samples.device).unsqueeze(0) < counts.unsqueeze(1)
        return found, own

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found, own = self.probabilities(samples, lengths)
        counts = own.sum(1)
        return (found * own).sum(1, keepdim=True) / counts.unsqueeze(1).clamp(min=1), found * own, counts


def load_published() -> torch.jit.ScriptModule:
    """The published TorchScript module, in eval mode."""
    stored = io.BytesIO(recipe.read_member(recipe.fetch(WEIGHTS), PROGRAM))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.load(stored, map_location="cpu").eval()


def load_network() -> SpeechProbability:
    """The module of the package, in eval mode."""
    return SpeechProbability(load_published())


def write(out: Path) -> None:
    """Writes the package to `out`."""
    export.package(
        load_network(),
        out,
        name=NAME,
        license="MIT",
        description="Silero VAD 6.2.3: probability of speech, of a clip and of its windows of 32 ms",
        inputs=[export.AudioInput(sample_rate=SAMPLE_RATE, max_seconds=3_600)],
        outputs=[
            export.Output("speech", "scores", labels=["speech"], activation="none"),
            export.Output("windows", lengths="window_count"),
            export.Output("window_count"),
        ],
        method="script",
        batch_rows=16,
        files={"NOTICE.txt": NOTICE},
        overwrite=True,
    )


def make(out: Path) -> bool:
    """Writes the package to `out`; False when it is there already, made from the same things."""
    pins = [f"weights {WEIGHTS.sha256}", f"torch {torch.__version__}"]
    return recipe.make_once(out, [Path(__file__)], pins, lambda: write(out))


if __name__ == "__main__":
    sys.exit(recipe.main(NAME, make))
