"""Makes the reference folder for rust/media/tests/audio_parity.rs (audio preparation) and for the results of the audio models.

    python tests/parity/make_audio_reference.py build/audio-reference

In it:
- `cases.json` and `clips/`: real meeting speech in every format and channel count, written with libsndfile, each with
  the mono f32 samples that libsndfile reads from it. Also the published MP3 and Opus, and the expected error of an
  empty or foreign file.
- `damaged.json` and `damaged.bin`: the same kinds of files with a few wrong bytes, and libsndfile's answers;
- `resampled.json`: clips at one rate, and resampled to another by SoX's resampler (librosa's default);
- `models.json` and `meetings/`, `turns/`: meetings, parts with single speakers, a beep, a tone, noise and silence.
  Each has every window's probability by Silero VAD's published program, and the embedding by Resemblyzer's own Python.

Needs tests/parity/requirements.txt. Everything is seeded.
"""

import argparse
import itertools
import json
import sys
import tarfile
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

import damaged_sounds
import odd_sounds
import sources

RATE = 16_000
FORMATS = [
    ("u8", "WAV", "PCM_U8", 0.0),
    ("s16", "WAV", "PCM_16", 0.0),
    ("s24", "WAV", "PCM_24", 0.0),
    ("s32", "WAV", "PCM_32", 1e-7),
    ("f32", "WAV", "FLOAT", 0.0),
    ("f64", "WAV", "DOUBLE", 1e-7),
    ("ulaw", "WAV", "ULAW", 1e-4),
    ("alaw", "WAV", "ALAW", 1e-4),
    ("ima_adpcm", "WAV", "IMA_ADPCM", 0.0),
    ("ms_adpcm", "WAV", "MS_ADPCM", 0.0),
    ("extensible_s24", "WAVEX", "PCM_24", 0.0),
    ("extensible_f32", "WAVEX", "FLOAT", 0.0),
    ("flac16", "FLAC", "PCM_16", 0.0),
    ("flac24", "FLAC", "PCM_24", 0.0),
    ("vorbis", "OGG", "VORBIS", 1e-3),
    ("mp3", "MP3", "MPEG_LAYER_III", 1e-3),
]
SUFFIX = {"WAV": "wav", "WAVEX": "wav", "FLAC": "flac", "OGG": "ogg", "MP3": "mp3"}


def read_mono(path: Path) -> tuple[np.ndarray, int]:
    """What libsndfile reads, averaged over the channels."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return samples.mean(axis=1, dtype=np.float32), rate


def write_cases(out: Path, speech: np.ndarray, published: Path) -> None:
    """`clips/` and `cases.json`."""
    clips = out / "clips"
    clips.mkdir(exist_ok=True)
    generator = np.random.default_rng(4)
    cases = []

    def note(name: str, expected: np.ndarray, rate: int, tolerance: float) -> None:
        expected.astype("<f4").tofile(clips / f"{name}.f32")
        cases.append({"file": name, "sample_rate": rate, "samples": len(expected), "tolerance": tolerance})

    def add(path: Path, tolerance: float) -> None:
        note(path.name, *read_mono(path), tolerance)

    for rate in (8_000, 16_000, 44_100):
        mono = soxr.resample(speech, RATE, rate) if rate != RATE else speech
        for channels in (1, 2, 6):
            if channels == 6 and rate != 16_000:
                continue
            frames = np.stack([np.roll(mono, 7 * n) * (1.0 - 0.13 * n) for n in range(channels)], axis=1)
            frames += generator.normal(0, 1e-4, frames.shape)
            for name, container, subtype, tolerance in FORMATS:
                if (container == "MP3" or "adpcm" in name) and channels > 2:
                    continue
                path = clips / f"{name}_{rate}_{channels}.{SUFFIX[container]}"
                soundfile.write(path, np.clip(frames, -1, 1), rate, format=container, subtype=subtype)
                add(path, tolerance)
    for name in ("test.wav", "test.mp3"):
        path = clips / name
        path.write_bytes((published / name).read_bytes())
        add(path, 1e-3 if name.endswith("mp3") else 0.0)

    soundfile.write(clips / "empty.wav", np.zeros(0, "float32"), RATE, subtype="PCM_16")
    soundfile.write(clips / "foreign.aiff", speech[:100], RATE, format="AIFF", subtype="PCM_16")
    (clips / "text.wav").write_text("this is no sound at all, only words in a file with the wrong name\n" * 20)
    (clips / "test.opus").write_bytes((published / "test.opus").read_bytes())
    (clips / "nothing.wav").write_bytes(b"")
    errors = [
        {"file": "empty.wav", "error": "audio is empty"},
        {"file": "nothing.wav", "error": "audio is empty"},
        {"file": "text.wav", "error": "not audio"},
        {"file": "foreign.aiff", "error": "unsupported audio: AIFF"},
        {"file": "test.opus", "error": "unsupported audio: Opus"},
        *odd_sounds.write(clips, speech, note),
    ]
    (out / "cases.json").write_text(json.dumps({"clips": cases, "errors": errors}, indent=1), encoding="utf-8")


def write_resampled(out: Path, speech: np.ndarray) -> None:
    """`resampled.json` and its numbers: real speech from each rate to another."""
    folder = out / "resampled"
    folder.mkdir(exist_ok=True)
    cases = []
    for number, (source, target) in enumerate(
        [
            (44_100, 16_000),
            (48_000, 16_000),
            (22_050, 16_000),
            (8_000, 16_000),
            (16_000, 8_000),
            (11_025, 16_000),
            (16_000, 22_050),
        ]
    ):
        given = (
            soxr.resample(speech, RATE, source, quality="VHQ").astype("<f4") if source != RATE else speech.astype("<f4")
        )
        given.tofile(folder / f"{number}.in.f32")
        soxr.resample(given, source, target, quality="HQ").astype("<f4").tofile(folder / f"{number}.out.f32")
        cases.append({"number": number, "from": source, "to": target})
    (out / "resampled.json").write_text(json.dumps(cases, indent=1), encoding="utf-8")


def vad_windows(published: torch.jit.ScriptModule, samples: np.ndarray) -> list[float]:
    """The published program window by window, the last one filled up with zeros: how silero-vad's own Python calls it."""
    published.reset_states()
    found = []
    with torch.inference_mode():
        for start in range(0, len(samples), 512):
            window = torch.zeros(512)
            part = torch.from_numpy(samples[start : start + 512])
            window[: len(part)] = part
            found.append(float(published(window, RATE)))
    return found


def speaker_encoder(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Resemblyzer's own embedding of a clip, its trimming of silence left out."""
    import scipy.ndimage

    # Resemblyzer 0.1.4 imports one function from a module that SciPy has since dissolved into its parent.
    sys.modules.setdefault("scipy.ndimage.morphology", scipy.ndimage)
    sys.path.insert(0, str(sources.recipe.extract(sources.recipe.fetch(sources.model("resemblyzer").WEIGHTS), folder)))
    from resemblyzer import VoiceEncoder, normalize_volume  # type: ignore[attr-defined]  # not the recipe of that name

    encoder = VoiceEncoder("cpu", verbose=False)
    return lambda samples: encoder.embed_utterance(normalize_volume(samples, -30, increase_only=True))


def all_turns(folder: Path) -> list[tuple[str, str, float, float]]:
    """Meeting, speaker, start and end in seconds of every turn that the meetings' annotation has."""
    turns = []
    for rttm in sorted(folder.glob("debug.*.rttm")):
        for line in rttm.read_text(encoding="utf-8").splitlines():
            _, meeting, _, start, duration, _, _, speaker, *_ = line.split()
            # One sound file is named with an accent that its annotation lacks.
            file = {"trn00": "trñ00"}.get(meeting, meeting)
            turns.append((file, speaker, float(start), float(start) + float(duration)))
    return turns


def single_turns(turns: list[tuple[str, str, float, float]]) -> list[tuple[str, str, float, float]]:
    """Stretches of 2 to 5 s in which exactly one person speaks, by the annotation; a long turn gives several."""
    found = []
    for meeting, speaker, start, end in turns:
        edges = {start, min(end, 30.0)}
        others = [turn for turn in turns if turn[0] == meeting and turn[1:] != (speaker, start, end)]
        for _, _, other_start, other_end in others:
            edges |= {edge for edge in (other_start, other_end) if start < edge < min(end, 30.0)}
        for left, right in itertools.pairwise(sorted(edges)):
            if any(turn[2] < right and turn[3] > left for turn in others):
                continue
            pieces = max(1, round((right - left) / 4.0))
            if (right - left) / pieces >= 2.0:
                cuts = [left + (right - left) * n / pieces for n in range(pieces + 1)]
                found += [(meeting, speaker, *cut) for cut in itertools.pairwise(cuts)]
    return found


def write_models(out: Path, meetings: Path, work: Path) -> None:
    """`models.json`, `meetings/` and `turns/`."""
    published = sources.model("silero_vad").load_published()
    embed = speaker_encoder(work)
    time = np.arange(5 * RATE) / RATE
    generator = np.random.default_rng(5)
    synthetic = {
        "silence": np.zeros(3 * RATE),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time),
        "beep": 0.5 * np.sin(2 * np.pi * 1000 * time) * ((time % 1.0) < 0.2),
        "noise": generator.normal(0, 0.05, 5 * RATE),
        "one_sample": np.array([0.25]),
    }
    clips = []

    def add(file: str, samples: np.ndarray, **more: object) -> None:
        target = out / file
        target.parent.mkdir(exist_ok=True)
        soundfile.write(target, samples.astype("float32"), RATE, subtype="FLOAT")
        stored, rate = read_mono(target)
        assert rate == RATE
        windows = vad_windows(published, stored)
        clips.append(
            {
                "file": file,
                "samples": len(stored),
                "speech": float(np.mean(windows)),
                "frames": windows,
                "embedding": [float(v) for v in embed(stored)] if stored.any() else None,
                **more,
            }
        )

    turns = all_turns(meetings)
    for path in sorted(meetings.glob("*.wav")):
        if path.name != "empty.wav":
            spoken = [[start, end] for file, _, start, end in turns if file == path.stem]
            add(f"meetings/{path.name}", read_mono(path)[0], kind="meeting", turns=spoken)
    for number, (meeting, speaker, start, end) in enumerate(single_turns(turns)):
        samples = read_mono(meetings / f"{meeting}.wav")[0][int(start * RATE) : int(end * RATE)]
        add(f"turns/{number:03}.wav", samples, kind="turn", meeting=meeting, speaker=speaker)
    for name, samples in synthetic.items():
        add(f"meetings/{name}.wav", samples, kind="synthetic")
    (out / "models.json").write_text(json.dumps(clips), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the reference for audio parity.")
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="flambeau-audio-") as temporary:
        work = Path(temporary)
        for archive in (sources.archives.MEETINGS, sources.archives.VAD_TESTS):
            with tarfile.open(sources.archives.fetch(archive)) as opened:
                opened.extractall(work, filter="data")
        meetings = next(work.glob("pyannote*/tests/data"))
        published = next(work.glob("silero*/tests/data"))
        speech = read_mono(meetings / "tst00.wav")[0][: 4 * RATE]
        write_cases(out, speech, published)
        damaged_sounds.write(out, speech)
        write_resampled(out, speech)
        write_models(out, meetings, work / "wheel")


if __name__ == "__main__":
    main()
