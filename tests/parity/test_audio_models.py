"""The audio recipes' programs compared with the published Python, on real meetings: every clip in one padded batch with others.

    python -m pytest tests/parity/test_audio_models.py

The reference is made by make_audio_reference.py; its folder is build/audio-reference, or FLAMBEAU_AUDIO_REFERENCE. Here is only what
the programs do with samples; decoding is held to libsndfile by rust/media/tests/audio_parity.rs.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
import sources

REFERENCE = Path(os.environ.get("FLAMBEAU_AUDIO_REFERENCE", sources.recipe.ROOT / "build" / "audio-reference"))
Clips = list[dict[str, Any]]


def read_float_wav(path: Path) -> torch.Tensor:
    """The samples of a mono 32-bit float WAV file, as the reference script writes them."""
    data = path.read_bytes()
    offset = 12
    while data[offset : offset + 4] != b"data":
        offset += 8 + struct.unpack_from("<I", data, offset + 4)[0]
    (length,) = struct.unpack_from("<I", data, offset + 4)
    return torch.from_numpy(np.frombuffer(data, "<f4", length // 4, offset + 8).copy())


@pytest.fixture(scope="module")
def clips() -> Clips:
    """The reference's results for each clip, and its samples."""
    found: Clips = json.loads((REFERENCE / "models.json").read_text(encoding="utf-8"))
    for clip in found:
        clip["wave"] = read_float_wav(REFERENCE / clip["file"])
        assert len(clip["wave"]) == clip["samples"]
    return found


def batches(clips: Clips, rows: int = 7) -> list[tuple[Clips, torch.Tensor, torch.Tensor]]:
    """Clips of any length in one batch, zero padded; padding and other rows must not matter."""
    order = sorted(clips, key=lambda clip: clip["samples"] * 2654435761 % 997)
    parts = [order[start : start + rows] for start in range(0, len(order), rows)]
    padded = [torch.nn.utils.rnn.pad_sequence([clip["wave"] for clip in part], batch_first=True) for part in parts]
    return [(part, wave, torch.tensor([clip["samples"] for clip in part])) for part, wave in zip(parts, padded)]


@pytest.fixture(scope="module")
def windows(clips: Clips) -> dict[str, list[float]]:
    """Our probability of every window, by file; the mean that the package gives is checked on the way."""
    module = sources.model("silero_vad").load_network()
    # As in an executor: scripted, frozen.
    program = torch.jit.freeze(torch.jit.script(module), preserved_attrs=["probabilities"])
    found = {}
    with torch.inference_mode():
        for part, wave, lengths in batches(clips):
            probabilities, own = program.probabilities(wave, lengths)
            speech, per_window, counts = program(wave, lengths)
            assert speech.shape == (len(part), 1) and torch.equal(counts, own.sum(1))
            assert torch.equal(per_window, probabilities * own)
            for row, clip in enumerate(part):
                found[clip["file"]] = probabilities[row][own[row]].tolist()
                assert float(speech[row]) == pytest.approx(clip["speech"], abs=1e-3)
    return found


def test_voice_activity_is_the_published_one(clips: Clips, windows: dict[str, list[float]]) -> None:
    worst = 0.0
    for clip in clips:
        ours, theirs = np.array(windows[clip["file"]]), np.array(clip["frames"])
        assert ours.shape == theirs.shape
        worst = max(worst, float(np.abs(ours - theirs).max()))
    print(f"largest difference of a window's probability: {worst:.2g}")
    assert worst <= 1e-3


def test_voice_activity_finds_the_turns(clips: Clips, windows: dict[str, list[float]]) -> None:
    """The annotation's turns span short pauses, which are no speech; so speech must lie in turns more than turns be full of it."""
    inside, outside = [], []
    for clip in clips:
        if clip["kind"] == "meeting":
            found = np.array(windows[clip["file"]])
            times = (np.arange(len(found)) + 0.5) * 512 / 16_000
            spoken = np.zeros(len(times), bool)
            near = np.zeros(len(times), bool)
            for start, end in clip["turns"]:
                spoken |= (times >= start) & (times < end)
                near |= (times >= start - 0.25) & (times < end + 0.25)
            inside.append(found[spoken])
            outside.append(found[~near])
    within, without = np.concatenate(inside), np.concatenate(outside)
    heard = (within > 0.5).sum() + (without > 0.5).sum()
    print(f"mean probability in turns {within.mean():.3f}, elsewhere {without.mean():.4f}")
    print(
        f"of windows with speech {(within > 0.5).sum() / heard:.4f} lie in turns; of windows in turns {(within > 0.5).mean():.3f} have speech"
    )
    assert within.mean() >= 0.6 and without.mean() <= 0.05
    assert (within > 0.5).sum() / heard >= 0.98


def test_what_is_no_voice(clips: Clips) -> None:
    quiet = {Path(clip["file"]).stem: clip["speech"] for clip in clips if clip["kind"] == "synthetic"}
    assert {"beep", "silence", "tone", "noise"} <= set(quiet)
    assert max(quiet.values()) <= 0.05, quiet


def test_speakers_are_the_published_ones(clips: Clips) -> None:
    program = torch.jit.freeze(torch.jit.script(sources.model("resemblyzer").load_network()))
    ours = {}
    with torch.inference_mode():
        for part, wave, lengths in batches(clips):
            for clip, embedding in zip(part, program(wave, lengths)):
                assert bool(embedding.isfinite().all()) and float(embedding.norm()) == pytest.approx(1.0, abs=1e-4)
                ours[clip["file"]] = embedding.double().numpy()
    cosines = [float(np.dot(ours[clip["file"]], clip["embedding"])) for clip in clips if clip["embedding"] is not None]
    print(f"least cosine with Resemblyzer's Python: {min(cosines):.7f}")
    assert min(cosines) >= 0.999

    turns = [clip for clip in clips if clip["kind"] == "turn" and clip["speech"] >= 0.5]
    vectors = np.array([ours[clip["file"]] for clip in turns])
    near = vectors @ vectors.T
    meeting, speaker = (np.array([clip[key] for clip in turns]) for key in ("meeting", "speaker"))
    pair = (meeting[:, None] == meeting) & ~np.eye(len(turns), dtype=bool)
    same, other = near[pair & (speaker[:, None] == speaker)], near[pair & (speaker[:, None] != speaker)]
    print(
        f"{len(turns)} stretches, two of one meeting: one speaker {same.mean():.3f} ({len(same)}), two {other.mean():.3f} ({len(other)})"
    )
    assert len(same) >= 20 and len(other) >= 10
    assert same.mean() > other.mean() + 0.1
