"""Pictures and sounds as data URIs: thumbnails by Pillow, and players of the browser.

What lives here: what kind of file some bytes are, by their first bytes, and `Picture`, `Sound` or `Undrawable` for it. What is drawn is
bounded whatever the file: a picture becomes a JPEG of at most `size` pixels a side, and a sound has at most `SOUND_BYTES`.
Formats that can hold scripts (SVG) are not drawn.
"""

from __future__ import annotations

import base64
import io
import re
import struct
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from .columns import MOST_BYTES, Bytes

if TYPE_CHECKING:
    from PIL import Image as PillowImage

SOUND_BYTES = 1 << 20
"""Of a sound in the page."""
QUALITY = 80

IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")
SOUNDS = {b"fLaC": "audio/flac", b"OggS": "audio/ogg", b"ID3": "audio/mpeg"}
MPEG_FRAMES = (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xfa")
STREAM = re.compile(r" <_io\.BytesIO object at \w+>")
"""The name that Pillow's messages have for bytes."""
CHANNELS = {1: "L", 3: "BGR", 4: "BGRA"}
"""Spark's image struct: channels -> the raw mode of Pillow."""


class Picture(NamedTuple):
    """A thumbnail, and the size of the whole picture in pixels."""

    uri: str
    width: int
    height: int


class Sound(NamedTuple):
    """A player's content; `seconds` if it was cut to so many."""

    uri: str
    seconds: float | None


class Undrawable(NamedTuple):
    """Bytes that are not drawn, and why."""

    cause: str


Media = Union[Picture, Sound, Undrawable]


def of_bytes(value: Bytes, size: int) -> Media:
    """The picture or sound in a binary value."""
    content = value.content
    if content is None:
        return Undrawable(f"{_mebibytes(value.length)}: files above {_mebibytes(MOST_BYTES)} are not drawn")
    if content.startswith(IMAGES) or (content[:4] == b"RIFF" and content[8:12] == b"WEBP"):
        return _picture(content, size)
    kind = _sound_kind(content)
    if kind:
        return _sound(content, kind)
    return Undrawable(
        f"{value.length} bytes, neither a picture nor a sound; they begin with {content[:8].hex(' ') or 'nothing'}"
    )


def of_image_struct(value: dict[str, Any], size: int) -> Media:
    """The picture in Spark's image struct."""
    pillow = _pillow()
    data, width, height = value["data"], value["width"], value["height"]
    if data is None or data.content is None:
        return Undrawable(f"an image struct without data, or with more than {_mebibytes(MOST_BYTES)} of it")
    raw = CHANNELS.get(value["nChannels"])
    if raw is None or min(width, height) < 1 or len(data.content) != width * height * value["nChannels"]:
        return Undrawable(
            f"an image struct of {width} x {height} pixels and {value['nChannels']} channels has {data.length} bytes of data"
        )
    mode = {"BGR": "RGB", "BGRA": "RGBA"}.get(raw, raw)
    return _thumbnail(pillow.Image.frombuffer(mode, (width, height), data.content, "raw", raw, 0, 1), size)


def _picture(content: bytes, size: int) -> Media:
    pillow = _pillow()
    try:
        with warnings.catch_warnings():
            # A picture that would take gigabytes is a warning of Pillow; other warnings say nothing to the reader of a notebook.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", pillow.Image.DecompressionBombWarning)
            with pillow.Image.open(io.BytesIO(content)) as image:
                whole = image.size
                image.draft("RGB", (2 * size, 2 * size))  # of a large JPEG, only what the thumbnail needs
                upright = pillow.ImageOps.exif_transpose(image)
                turned = image.getexif().get(0x0112, 1) >= 5
                return _thumbnail(upright, size, (whole[1], whole[0]) if turned else whole)
    except Exception as error:  # Pillow's decoders raise OSError, ValueError, SyntaxError, struct.error and others
        cause = STREAM.sub("", str(error)) or type(error).__name__
        return Undrawable(f"a picture that cannot be drawn: {cause}")


def _thumbnail(image: PillowImage.Image, size: int, whole: tuple[int, int] | None = None) -> Picture:
    pillow = _pillow()
    width, height = whole or image.size
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    small = image.convert("RGBA" if has_alpha else "RGB")
    small.thumbnail((size, size))
    if small.mode == "RGBA":
        small = pillow.Image.alpha_composite(pillow.Image.new("RGBA", small.size, "white"), small)
    sink = io.BytesIO()
    small.convert("RGB").save(sink, "JPEG", quality=QUALITY)
    return Picture(_uri(sink.getvalue(), "image/jpeg"), width, height)


def _sound_kind(content: bytes) -> str | None:
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        return "audio/wav"
    if content.startswith(MPEG_FRAMES):
        return "audio/mpeg"
    return next((kind for magic, kind in SOUNDS.items() if content.startswith(magic)), None)


def _sound(content: bytes, kind: str) -> Media:
    if len(content) <= SOUND_BYTES:
        return Sound(_uri(content, kind), None)
    if kind == "audio/wav":
        return _beginning(content)
    return Undrawable(
        f"a sound of {_mebibytes(len(content))}: only WAV files above {_mebibytes(SOUND_BYTES)} can be cut"
    )


def _beginning(content: bytes) -> Media:
    """The first `SOUND_BYTES` of a WAV file's samples, of any kind: Python's own `wave` reads integers only."""
    at, form = len(b"RIFF....WAVE"), b""
    while at + 8 <= len(content):
        name, (length,) = content[at : at + 4], struct.unpack_from("<I", content, at + 4)
        if name == b"data" and len(form) >= 16:
            _, _, _, bytes_per_second, block = struct.unpack_from("<HHIIH", form)
            kept = SOUND_BYTES - SOUND_BYTES % max(block, 1)
            samples = content[at + 8 : at + 8 + min(length, kept)]
            parts = b"".join(
                name + struct.pack("<I", len(part)) + part for name, part in ((b"fmt ", form), (b"data", samples))
            )
            cut = b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WAVE" + parts
            return Sound(_uri(cut, "audio/wav"), len(samples) / max(bytes_per_second, 1))
        if name == b"fmt ":
            form = content[at + 8 : at + 8 + length + length % 2]
        at += 8 + length + length % 2
    return Undrawable(f"a WAV file of {_mebibytes(len(content))} without a format or without samples")


def _uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _mebibytes(count: int) -> str:
    return f"{count / (1 << 20):.1f} MiB"


def _pillow() -> Any:
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError as error:
        raise ImportError("flambeau.show needs Pillow for pictures: python -m pip install pillow") from error
    return PIL
