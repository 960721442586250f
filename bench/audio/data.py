"""The sounds of the benchmark: 256 clips of 2 to 10 seconds, cut from real meetings, saved as 16-bit WAV at 16 kHz.

The meetings are those in the source archive of pyannote.audio (half a minute each; fetched from PyPI, pinned by SHA-256).
Places and lengths of the cuts are drawn with a fixed seed, and cuts overlap: good for throughput, not for accuracy.
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "models"))
import archives

CLIPS = 256
RATE = 16_000
SHORTEST_S, LONGEST_S = 2.0, 10.0
SEED = 17


def meetings() -> list[np.ndarray]:
    """Every meeting as mono f32, in the order of their file names."""
    import soundfile

    found = {}
    with tarfile.open(archives.fetch(archives.MEETINGS)) as archive:
        for member in archive:
            name = Path(member.name)
            if name.parent.name == "data" and name.suffix == ".wav" and name.stem != "empty":
                stream = archive.extractfile(member)
                assert stream is not None
                samples, rate = soundfile.read(io.BytesIO(stream.read()), dtype="float32", always_2d=True)
                assert rate == RATE, f"{name.name} has {rate} Hz"
                found[name.name] = samples.mean(axis=1)
    return [found[name] for name in sorted(found)]


def provide(folder: Path) -> Path:
    """Fills `folder` with the clips (once) and returns it."""
    import soundfile

    if folder.is_dir() and len(list(folder.glob("*.wav"))) == CLIPS:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.wav"):
        old.unlink()
    spoken = meetings()
    generator = np.random.default_rng(SEED)
    for number in range(CLIPS):
        meeting = spoken[number % len(spoken)]
        length = int(generator.uniform(SHORTEST_S, LONGEST_S) * RATE)
        start = int(generator.uniform(0, len(meeting) - length))
        soundfile.write(folder / f"{number:04d}.wav", meeting[start : start + length], RATE, subtype="PCM_16")
    return folder
