"""Real sound files: tags around them, lengths that their writers left open, unusual chunks, many channels.

What lives here: `write`, which puts each kind into a folder and lists the expected samples. The samples are
libsndfile's, read from the file itself, or from a regular file with the same content if libsndfile does not read the
odd one. `damaged` are those that must be errors.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

ID3V2 = b"ID3\x04\x00\x00\x00\x00\x02\x01" + b"\0" * 257
ID3V1 = b"TAG" + b"a title".ljust(125, b"\0")
APE = b"cover art" + b"APETAGEX" + struct.pack("<IIII", 2000, 9 + 32, 1, 0) + b"\0" * 8
LYRICS = b"LYRICSBEGININD0000200" + b"000021LYRICS200"
#: The end of the GUIDs that stand for a format tag.
GUID = bytes.fromhex("000000001000800000aa00389b71")
#: The vendor's string and no comment.
COMMENT = struct.pack("<I", 4) + b"test" + struct.pack("<I", 0)


def encoded(samples: np.ndarray, rate: int, **how: object) -> bytes:
    """The file that libsndfile writes."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, **how)
    return buffer.getvalue()


def mono(file: bytes) -> tuple[np.ndarray, int]:
    """The samples that libsndfile reads, averaged over the channels."""
    samples, rate = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
    return samples.mean(axis=1, dtype=np.float32), rate


def spread(samples: np.ndarray, channels: int) -> np.ndarray:
    """Channels that differ, so that an exchange shows in their mean: their parts of it differ."""
    return np.stack([np.roll(samples, 311 * n) * (1.0 - 0.11 * n) for n in range(channels)], axis=1)


def chunk(name: bytes, content: bytes, length: int | None = None) -> bytes:
    """A RIFF chunk, not padded."""
    return name + struct.pack("<I", len(content) if length is None else length) + content


def wav(
    fmt: bytes,
    data: bytes,
    before: bytes = b"",
    after: bytes = b"",
    *,
    riff: int | None = None,
    length: int | None = None,
) -> bytes:
    """A WAV file around `data`; `riff` and `length` are those in its header, right or wrong."""
    body = b"WAVE" + before + chunk(b"fmt ", fmt) + chunk(b"data", data, length) + after
    return chunk(b"RIFF", body, riff)


def pcm(bits: int = 16, rate: int = 16_000, *, tag: int = 1, channels: int = 1, container: int | None = None) -> bytes:
    """A `fmt` chunk of 16 bytes."""
    block = channels * (container or (bits + 7) // 8)
    return struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)


def extensible(tag: int, bits: int, valid: int, rate: int = 16_000) -> bytes:
    """A `fmt` chunk of 40 bytes."""
    return pcm(bits, rate, tag=0xFFFE) + struct.pack("<HHIH", 22, valid, 4, tag) + GUID


def wav_cases(speech: np.ndarray) -> dict[str, tuple[bytes, bytes]]:
    """Each odd file and its regular counterpart."""
    whole = (np.clip(speech, -1, 1) * 32767).astype("<i2")
    data, fmt = whole.tobytes(), pcm()
    plain = wav(fmt, data)
    wide = (whole.astype("<i4") << 16).view("u1").reshape(-1, 4)
    ulaw, alaw = (encoded(speech, 16_000, format="WAV", subtype=name) for name in ("ULAW", "ALAW"))
    law = {name: file[file.index(b"data") + 8 :][: len(whole)] for name, file in (("ulaw", ulaw), ("alaw", alaw))}
    long_header = struct.pack("<QQQI", 36 + len(data) + 36, len(data), len(whole), 0)
    rf64 = wav(fmt, data, chunk(b"ds64", long_header), riff=0xFFFFFFFF, length=0xFFFFFFFF)
    twins: dict[str, bytes] = {
        "riff_zero.wav": wav(fmt, data, riff=0),
        "riff_short.wav": wav(fmt, data, riff=len(plain) - 16),
        "riff_header_only.wav": wav(fmt, data, riff=36),
        "piped.wav": wav(fmt, data, riff=0xFFFFFFFF, length=0xFFFFFFFF),
        "list_unpadded.wav": wav(fmt, data, chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"abc"))),
        "list_padded.wav": wav(fmt, data, chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"abc")) + b"\0"),
        "list_entries_unpadded.wav": wav(
            fmt, data, chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"abc") + chunk(b"INAM", b"x"))
        ),
        "list_empty.wav": wav(fmt, data, chunk(b"LIST", b"")),
        "list_lies.wav": wav(fmt, data, chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"abcd", 4_000_000))),
        "junk_odd.wav": wav(fmt, data, chunk(b"JUNK", b"\1" * 27) + b"\0" + chunk(b"bext", b"\2" * 602)),
        "fact_wrong.wav": wav(fmt, data, chunk(b"fact", struct.pack("<I", 17))),
        "fact_long.wav": wav(fmt, data, chunk(b"fact", b"\0" * 12)),
        "followed.wav": wav(fmt, data, after=chunk(b"LIST", b"INFO") + chunk(b"id3 ", ID3V2) + b"\0" + b"rubbish"),
        "id3v2_id3v1.wav": ID3V2 + plain + ID3V1,
        "half_a_sample.wav": wav(fmt, data + b"\1"),
        "fmt18.wav": wav(fmt + b"\0\0", data),
        "fmt40.wav": wav(fmt + b"\0" * 24, data),
        "align_zero.wav": wav(struct.pack("<HHIIHH", 1, 1, 16_000, 0, 0, 16), data),
        "extensible_16.wav": wav(extensible(1, 16, 16), data),
        "rf64.wav": b"RF64" + rf64[4:],
        "bw64.wav": b"BW64" + rf64[4:],
        "valid_20_of_24.wav": wav(extensible(1, 24, 20), wide[:, 1:].tobytes()),
        "bits_20.wav": wav(pcm(20), wide[:, 1:].tobytes()),
        "bits_12.wav": wav(pcm(12), data),
        "bits_24_of_32.wav": wav(pcm(24, container=4), wide.tobytes()),
        "channels_26.wav": wav(pcm(channels=26), np.repeat(whole, 26).tobytes()),
    }
    cases = {name: (file, plain) for name, file in twins.items()}
    for name, tag, twin in (("ulaw", 7, ulaw), ("alaw", 6, alaw)):
        cases[f"{name}_fmt16.wav"] = (wav(pcm(8, tag=tag), law[name]), twin)
        cases[f"{name}_extensible.wav"] = (wav(extensible(tag, 8, 8), law[name]), twin)
    return cases


def flac_blocks(file: bytes) -> tuple[bytes, bytes]:
    """The block that describes the stream, and the frames."""
    at, last = 4, False
    while not last:
        last = bool(file[at] & 0x80)
        at += 4 + int.from_bytes(file[at + 1 : at + 4], "big")
    return file[8:42], file[at:]


def flac(info: bytes, frames: bytes, *blocks: tuple[int, bytes]) -> bytes:
    """A FLAC file with these blocks of metadata behind the first."""
    written = b"fLaC"
    every = [(0, info), *blocks]
    for number, (kind, content) in enumerate(every):
        written += bytes([kind | (0x80 if number == len(every) - 1 else 0)]) + len(content).to_bytes(3, "big") + content
    return written + frames


def unknown_length(info: bytes) -> bytes:
    """The same description without the number of samples and the sum of them."""
    return info[:13] + bytes([info[13] & 0xF0]) + b"\0" * 20


def flac_cases(speech: np.ndarray) -> dict[str, tuple[bytes, bytes]]:
    """Each odd file and its regular counterpart."""
    plain = encoded(speech, 16_000, format="FLAC", subtype="PCM_16")
    info, frames = flac_blocks(plain)
    open_end = unknown_length(info)
    twins: dict[str, bytes] = {
        "id3v1.flac": plain + ID3V1,
        "id3v2_ape_id3v1.flac": ID3V2 + plain + APE + ID3V1,
        "lyrics.flac": plain + LYRICS,
        "followed.flac": plain + b"\xff\xf8 rubbish \0\0\0" * 50,
        "zeros.flac": plain + b"\0" * 5_000,
        "twice.flac": plain + plain,
        "length_unknown.flac": flac(open_end, frames),
        "length_unknown_id3v1.flac": flac(open_end, frames + ID3V1),
        "length_unknown_followed.flac": flac(open_end, frames + b"\0" * 300 + b"rubbish"),
        "no_frame_sizes.flac": flac(info[:4] + b"\0" * 6 + info[10:], frames),
        "wrong_frame_sizes.flac": flac(info[:4] + b"\0\0\x20\0\0\x10" + info[10:], frames),
        "metadata.flac": flac(
            info,
            frames,
            (4, COMMENT),
            (3, b"\0" * 36),
            (3, b"\0" * 18),
            (6, b"\0" * 8),
            (100, b"?" * 999),
            (1, b"\0" * 70_000),
        ),
        "comment_cut.flac": flac(info, frames, (4, COMMENT[:6]), (2, b"")),
        "described_twice.flac": flac(info, frames, (0, info)),
    }
    return {name: (file, plain) for name, file in twins.items()}


def without_count(file: bytes) -> bytes:
    """MP3 without the first frame, which is silent and counts the others."""
    return file[file.index(file[:2], 48) :]


def mono_without_count(file: bytes) -> tuple[np.ndarray, int]:
    """The expected samples of the MP3 `file` without its count. libsndfile then guesses a length and stops there, so
    only the first samples are taken from that. The others come from a file that counts its frames but has no padding:
    its decoder's delay is removed."""
    tag = max(file.find(b"Info"), file.find(b"Xing"))
    counted, rate = mono(file[: tag + 120] + b"\0" * 36 + file[tag + 156 :])
    return np.concatenate([mono(without_count(file))[0][:529], counted]), rate


def mp3_cases(speech: np.ndarray) -> dict[str, tuple[bytes, bytes | tuple[np.ndarray, int]]]:
    """MP3 of both modes; without its first frame, which counts the others, no length is known."""
    cases = {}
    for rate, channels, mode in (
        (16_000, 1, "CONSTANT"),
        (22_050, 1, "CONSTANT"),
        (44_100, 2, "VARIABLE"),
        (48_000, 1, "VARIABLE"),
    ):
        plain = encoded(spread(speech, channels), rate, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode=mode)
        bare, counted = without_count(plain), mono_without_count(plain)
        for name, file, twin in (
            ("bare", bare, counted),
            ("bare_id3v1", bare + ID3V1, counted),
            ("bare_id3v2_ape_id3v1", ID3V2 + bare + APE + ID3V1, counted),
            ("bare_followed", bare + b"\0" * 4_000, counted),
            ("counted_lyrics_id3v1", plain + LYRICS + ID3V1, plain),
            ("counted_id3v2_zeros", ID3V2 + b"\0" * 100 + plain, plain),
            ("twice", plain + plain, plain),
        ):
            cases[f"{name}_{rate}_{channels}.mp3"] = (file, twin)
    return cases


def ogg_cases(speech: np.ndarray) -> dict[str, tuple[bytes, bytes]]:
    """Vorbis of every number of channels that it has an order for, and things around it."""
    cases = {}
    for channels in range(1, 9):
        for rate in (16_000, 44_100):
            file = encoded(spread(speech, channels), rate, format="OGG", subtype="VORBIS")
            cases[f"channels_{channels}_{rate}.ogg"] = (file, file)
    plain = encoded(speech, 16_000, format="OGG", subtype="VORBIS")
    cases["followed.ogg"] = (plain + b"rubbish" * 20_000, plain)
    cases["id3.ogg"] = (ID3V2 + plain + ID3V1, plain)
    return cases


def damaged(speech: np.ndarray) -> dict[str, tuple[bytes, str]]:
    """Each file that is an error, and the beginning of the message."""
    flac16, flac44 = (encoded(speech, rate, format="FLAC", subtype="PCM_16") for rate in (16_000, 44_100))
    stereo = encoded(spread(speech, 2), 16_000, format="FLAC", subtype="PCM_16")
    info, frames = flac_blocks(flac16)
    open_end = unknown_length(info)
    broken = bytearray(frames)
    broken[len(frames) // 2] ^= 1
    ogg = encoded(speech, 16_000, format="OGG", subtype="VORBIS")
    page = ogg.rindex(b"OggS", 0, len(ogg) - 6_000)
    following = ogg.index(b"OggS", page + 1)
    flipped = bytearray(ogg)
    flipped[page + 200] ^= 1
    mp3 = {
        (rate, channels): encoded(spread(speech, channels), rate, format="MP3", subtype="MPEG_LAYER_III")
        for rate, channels in ((16_000, 1), (24_000, 1), (16_000, 2))
    }
    bare = {key: without_count(file) for key, file in mp3.items()}
    data = (np.clip(speech, -1, 1) * 32767).astype("<i2").tobytes()
    return {
        "rate_changes.flac": (flac(open_end, frames + flac_blocks(flac44)[1]), "corrupt audio: after"),
        "channels_change.flac": (flac(open_end, frames + flac_blocks(stereo)[1]), "corrupt audio: after"),
        "damaged.flac": (flac(info, bytes(broken)), "corrupt audio"),
        "damaged_length_unknown.flac": (flac(open_end, bytes(broken)), "corrupt audio"),
        "chained.ogg": (ogg + ogg, "unsupported audio: several streams"),
        "chained_rates.ogg": (
            ogg + encoded(speech, 44_100, format="OGG", subtype="VORBIS"),
            "unsupported audio: several streams",
        ),
        "page_missing.ogg": (ogg[:page] + ogg[following:], "corrupt audio: an Ogg page is missing"),
        "page_damaged.ogg": (bytes(flipped), "corrupt audio: the Ogg page"),
        "rate_changes.mp3": (bare[16_000, 1] + bare[24_000, 1], "corrupt audio"),
        "channels_change.mp3": (bare[16_000, 1] + bare[16_000, 2], "corrupt audio"),
        "cut.wav": (wav(pcm(), data)[:-100], "corrupt audio: the file ends after"),
        "no_data.wav": (wav(pcm(), data, length=0), "audio is empty"),
        "adpcm_of_others.wav": (wav(pcm(4, tag=0x61, container=1), data), "unsupported audio: WAV of format 0x0061"),
        "channels_27.wav": (wav(pcm(channels=27), data), "unsupported audio: 27 channels"),
        "magic_damaged.wav": (b"RIFX" + wav(pcm(), data)[4:], "unsupported audio: big-endian WAV"),
        "aac.aac": (b"\xff\xf1\x50\x80" + data, "unsupported audio: AAC"),
    }


def write(
    folder: Path, speech: np.ndarray, note: Callable[[str, np.ndarray, int, float], None]
) -> list[dict[str, str]]:
    """Writes every file into `folder`, tells `note` what each holds, and gives the list of those that are refused."""
    short = speech[:24_000].astype("float32")
    for kind, tolerance in ((wav_cases, 1e-4), (flac_cases, 0.0), (mp3_cases, 1e-3), (ogg_cases, 1e-3)):
        for name, (file, twin) in kind(short).items():
            (folder / f"odd_{name}").write_bytes(file)
            note(f"odd_{name}", *(mono(twin) if isinstance(twin, bytes) else twin), tolerance)
    refused = []
    for name, (file, error) in damaged(short).items():
        (folder / f"odd_{name}").write_bytes(file)
        refused.append({"file": f"odd_{name}", "error": error})
    return refused
