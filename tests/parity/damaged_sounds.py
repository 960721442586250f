"""Sounds with a few wrong bytes, and libsndfile's result for each.

What lives here: `write`, which damages short files of every kind by a seed and packs them into one file, for a decoder to answer the same or refuse.
`python tests/parity/damaged_sounds.py build/audio-reference build/damaged-sounds 2000 7` makes more of them with another seed, for
the longer run of `./gradlew damagedSoundsAndTexts`.
"""

from __future__ import annotations

import argparse
import io
import json
import random
from pathlib import Path

import numpy as np
import soundfile

import odd_sounds

#: Of each kind.
COUNT = 150
#: The longest result: a header may claim years.
MOST_FRAMES = 100_000


def kinds(speech: np.ndarray) -> dict[str, tuple[bytes, float | None]]:
    """A sound file of each kind, and how much two decoders of it may differ. MP3 may differ in any way: its frames do
    not show damage, and libsndfile guesses its length without a count."""
    half = speech[4_000:8_000].astype("float32")
    stereo, many = (odd_sounds.spread(half, channels) for channels in (2, 5))
    flac = odd_sounds.encoded(half, 8_000, format="FLAC", subtype="PCM_16")
    info, frames = odd_sounds.flac_blocks(flac)
    mp3 = odd_sounds.encoded(half, 16_000, format="MP3", subtype="MPEG_LAYER_III")
    return {
        "s16": (odd_sounds.encoded(stereo, 8_000, format="WAV", subtype="PCM_16"), 1e-6),
        "u8": (odd_sounds.encoded(half, 8_000, format="WAV", subtype="PCM_U8"), 1e-6),
        "extensible": (odd_sounds.encoded(stereo, 8_000, format="WAVEX", subtype="PCM_24"), 1e-6),
        "rf64": (odd_sounds.encoded(half, 8_000, format="RF64", subtype="PCM_16"), 1e-6),
        "ulaw": (odd_sounds.encoded(half, 8_000, format="WAV", subtype="ULAW"), 1e-4),
        "ima": (odd_sounds.encoded(half, 8_000, format="WAV", subtype="IMA_ADPCM"), 1e-6),
        "ms": (odd_sounds.encoded(half, 8_000, format="WAV", subtype="MS_ADPCM"), 1e-6),
        "flac": (flac, 1e-6),
        "flac_stereo": (odd_sounds.encoded(stereo, 8_000, format="FLAC", subtype="PCM_24"), 1e-6),
        "flac_unknown": (odd_sounds.flac(odd_sounds.unknown_length(info), frames), 1e-6),
        "vorbis": (odd_sounds.encoded(half, 16_000, format="OGG", subtype="VORBIS"), 1e-3),
        "vorbis_many": (odd_sounds.encoded(many, 16_000, format="OGG", subtype="VORBIS"), 1e-3),
        "mp3_counted": (mp3, None),
        "mp3_bare": (odd_sounds.without_count(mp3), None),
    }


def damage(file: bytes, generator: random.Random) -> bytes:
    """`file` with some bytes changed, or a part of it removed, doubled or replaced by another part."""
    damaged = bytearray(file)
    reach = min(len(file), 100) if generator.random() < 0.5 else len(file)
    if generator.random() < 0.7:
        for _ in range(generator.randint(1, 6)):
            damaged[generator.randrange(reach)] = generator.choice([0, 1, 0x7F, 0x80, 0xFF, generator.randrange(256)])
        return bytes(damaged)
    at, length = generator.randrange(reach), generator.randint(1, 300)
    from_there = generator.randrange(len(file))
    middle = generator.choice([b"", file[at : at + length] * 2, file[from_there : from_there + length]])
    return file[:at] + middle + file[at + length :]


def answer(file: bytes) -> tuple[np.ndarray, int] | None:
    """The mono samples that libsndfile reads, if it does."""
    try:
        with soundfile.SoundFile(io.BytesIO(file)) as opened:
            samples = opened.read(MOST_FRAMES, dtype="float32", always_2d=True)
            return samples.mean(axis=1, dtype=np.float32), opened.samplerate
    except (soundfile.SoundFileError, ValueError, MemoryError):
        return None


def write(out: Path, speech: np.ndarray, count: int = COUNT, seed: int = 11) -> None:
    """`damaged.json` and `damaged.bin`: each file, followed by the samples of its result."""
    generator = random.Random(seed)
    cases, packed = [], io.BytesIO()
    for kind, (file, tolerance) in kinds(speech).items():
        for number in range(count):
            damaged = damage(file, generator)
            answered = answer(damaged)
            case: dict[str, object] = {"name": f"{kind}_{number}", "bytes": len(damaged), "tolerance": tolerance}
            packed.write(damaged)
            if answered is not None:
                samples, rate = answered
                packed.write(samples.astype("<f4").tobytes())
                case |= {"sample_rate": rate, "samples": len(samples)}
            cases.append(case)
    (out / "damaged.json").write_text(json.dumps(cases), encoding="utf-8")
    (out / "damaged.bin").write_bytes(packed.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description="Make more damaged sounds for the audio parity test.")
    parser.add_argument("reference", type=Path, help="the folder of make_audio_reference.py")
    parser.add_argument("out", type=Path)
    parser.add_argument("count", type=int, help="of each kind")
    parser.add_argument("seed", type=int)
    given = parser.parse_args()
    speech, _ = soundfile.read(given.reference / "clips" / "s16_16000_1.wav", dtype="float32")
    given.out.mkdir(parents=True, exist_ok=True)
    write(given.out, speech, given.count, given.seed)


if __name__ == "__main__":
    main()
