"""Hand-made files of the formats other than TIFF, in all variants that Pillow reads but does not write."""

import io
import itertools
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiff_files import Values, pack, samples

Files = Iterator[tuple[str, bytes]]
"""Names, and the files' contents."""
Frame = tuple[int, int, Image.Image, bool, bool, bool]
"""x, y, image, blend, dispose, lossless."""
WithAlpha = Callable[[Image.Image], Image.Image]


class Picture(Protocol):
    """Makes a picture of a size."""

    def __call__(self, width: int, height: int, seed: int = 1) -> Image.Image: ...


def bmp(
    values: Values,
    bits: int,
    *,
    header: int = 40,
    top_down: bool = False,
    compression: int = 0,
    masks: Sequence[int] | None = None,
    palette: NDArray[np.uint8] | None = None,
    colors: int = 0,
    offset: int | None = None,
    gap: int = 0,
    body: bytes | None = None,
) -> bytes:
    """A BMP of `values` [height, width]: indices or packed pixels of this many bits. `offset` overrides the true data offset."""
    height, width = values.shape
    rows = values if top_down else values[::-1]
    if body is None:
        if bits < 8:
            digits = (rows[:, :, None].astype(np.uint64) >> np.arange(bits - 1, -1, -1, dtype=np.uint64)) & 1
            packed = np.packbits(digits.astype(np.uint8).reshape(height, -1), axis=1)
        else:
            packed = little_bytes(rows, bits // 8)
        stride = (width * bits + 31) // 32 * 4
        body = b"".join(row.tobytes().ljust(stride, b"\0") for row in packed)
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack(
            "<IiiHHIIiiII", 40, width, -height if top_down else height, 1, bits, compression, len(body), 0, 0, colors, 0
        )
        info = struct.pack("<I", header) + info[4:]
        if header >= 52:
            info += struct.pack("<4I", *(masks or (0, 0, 0, 0)))[: header - 40]
        info = info.ljust(header, b"\0")
    if masks and header < 52:
        info += struct.pack("<3I", *masks[:3])
    if palette is not None:
        padding = b"" if header == 12 else b"\0"
        info += b"".join(bytes(color[::-1]) + padding for color in palette.tolist())
    start = 14 + len(info) + gap
    place = start if offset is None else offset
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, place) + info + b"\0" * gap + body


def little_bytes(rows: Values, count: int) -> NDArray[np.uint8]:
    shifted = rows[:, :, None].astype(np.uint64) >> (8 * np.arange(count, dtype=np.uint64))
    return (shifted & 255).astype(np.uint8).reshape(rows.shape[0], -1)


def run_length(rows: Values, four_bits: bool, random: np.random.Generator) -> bytes:
    """RLE of rows in file order: runs, plain stretches, ends of rows."""
    out = b""
    for row in rows.tolist():
        x = 0
        while x < len(row):
            length = min(int(random.integers(1, 9)), len(row) - x)
            part = row[x : x + length]
            if len(set(part)) == 1:
                out += bytes([length, part[0] * 17 if four_bits else part[0]])
            elif length >= 3:
                data = bytes(part)
                if four_bits:
                    padded = [*part, 0][: (length + 1) // 2 * 2]
                    data = bytes(a << 4 | b for a, b in zip(padded[::2], padded[1::2], strict=True))
                out += bytes([0, length]) + data + b"\0" * (len(data) % 2)
            else:
                out += b"".join(bytes([1, index * 17 if four_bits else index]) for index in part)
            x += length
        out += b"\0\0"
    return out + b"\0\1"


def bmps() -> Files:
    random = np.random.default_rng(3)
    for width, height in ((21, 9), (32, 5)):
        for header, top_down in itertools.product((12, 40, 52, 56, 64, 108, 124), (False, True)):
            if header == 12 and top_down:
                continue
            name = f"{width}_h{header}{'_top' if top_down else ''}"
            common: dict[str, Any] = {"header": header, "top_down": top_down}
            for bits in (1, 4, 8):
                values = samples(width, height, 1, bits, bits)[:, :, 0]
                palette = random.integers(0, 256, (2**bits, 3)).astype(np.uint8)
                yield f"palette{bits}_{name}.bmp", bmp(values, bits, palette=palette, **common)
                yield f"gap{bits}_{name}.bmp", bmp(values, bits, palette=palette, gap=10, **common)
                yield f"forgot{bits}_{name}.bmp", bmp(values, bits, palette=palette, offset=14 + header, **common)
                if header != 12 and bits > 1:
                    few = np.minimum(values, 2)
                    yield f"few{bits}_{name}.bmp", bmp(few, bits, palette=palette[:3], colors=3, **common)
                    beyond = bmp(values, bits, palette=palette[:3], colors=3, **common)
                    yield f"beyond{bits}_{name}.bmp", beyond
            if header != 12:
                ramp = np.repeat(np.arange(5, dtype=np.uint8)[:, None], 3, axis=1)
                yield (
                    f"ramp8_{name}.bmp",
                    bmp(samples(width, height, 1, 8, 2)[:, :, 0], 8, palette=ramp, colors=5, **common),
                )
                yield (
                    f"black1_{name}.bmp",
                    bmp(samples(width, height, 1, 1, 2)[:, :, 0], 1, palette=ramp[:1], colors=1, **common),
                )
            for bits in (16, 24, 32):
                values = random.integers(0, 2**bits, (height, width))
                yield f"rgb{bits}_{name}.bmp", bmp(values, bits, **common)
                if header in (12, 64):
                    continue
                for number, masks in enumerate(bit_fields(bits)):
                    if masks[3] and header < 56:
                        continue
                    yield f"fields{bits}_{number}_{name}.bmp", bmp(values, bits, compression=3, masks=masks, **common)
        for four_bits in (False, True):
            bits = 4 if four_bits else 8
            values = samples(width, height, 1, bits, 7)[:, :, 0]
            values[:, 3:12] = values[:, 3:4]
            palette = random.integers(0, 256, (2**bits, 3)).astype(np.uint8)
            body = run_length(values[::-1], four_bits, random)
            rle: dict[str, Any] = {"palette": palette, "compression": 2 if four_bits else 1}
            yield f"rle{bits}_{width}.bmp", bmp(values, bits, body=body, **rle)
            jump = b"\5\1\0\2\3\2" + b"\4\2\0\0" + b"\0\1"
            yield f"rle{bits}_{width}_jump.bmp", bmp(values, bits, body=jump, **rle)
            full = b"\x07\x01\0\2\4\0" + b"".join(bytes([width, 3]) + b"\0\0" for _ in range(height))
            yield f"rle{bits}_{width}_full.bmp", bmp(values, bits, body=full, **rle)


def bit_fields(bits: int) -> list[tuple[int, int, int, int]]:
    return {
        16: [(0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0)],
        24: [(0xFF0000, 0xFF00, 0xFF, 0)],
        32: [
            (0xFF0000, 0xFF00, 0xFF, 0),
            (0xFF000000, 0xFF0000, 0xFF00, 0),
            (0xFF000000, 0xFF00, 0xFF, 0),
            (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
            (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
            (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
            (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
            (0, 0, 0, 0),
        ],
    }[bits]


def gif(
    frame: Image.Image,
    screen: tuple[int, int],
    place: tuple[int, int],
    *,
    palette: NDArray[np.uint8] | None = None,
    local: NDArray[np.uint8] | None = None,
    transparent: int | None = None,
    interlaced: bool = False,
    disposal: int = 0,
    background: int = 0,
) -> bytes:
    """A GIF whose only frame, the indices of the Pillow image `frame`, lies at `place` of a logical screen of its own size."""
    whole = io.BytesIO()
    frame.save(whole, "GIF", interlace=int(interlaced))
    data = whole.getvalue()
    # Past the screen, the palette and extensions: the frame's own descriptor.
    at = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    while data[at] == 0x21:
        at += 2
        while data[at]:
            at += data[at] + 1
        at += 1
    descriptor = data[at : at + 10]
    flags = descriptor[9]
    body = data[at + 10 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0) :]
    out = b"GIF89a" + struct.pack(
        "<HHBBB", *screen, 0x80 | size_of(palette) if palette is not None else 0, background, 0
    )
    out += palette.tobytes() if palette is not None else b""
    if transparent is not None or disposal:
        out += struct.pack("<BBBBHBB", 0x21, 0xF9, 4, disposal << 2 | (transparent is not None), 0, transparent or 0, 0)
    flags = (flags & 0x40) | (0x80 | size_of(local) if local is not None else 0)
    out += b"," + struct.pack("<HHHHB", *place, *frame.size, flags) + (local.tobytes() if local is not None else b"")
    return out + body


def size_of(palette: NDArray[np.uint8]) -> int:
    return int(np.log2(len(palette))) - 1


def gifs() -> Files:
    random = np.random.default_rng(4)
    indices = samples(23, 17, 1, 8, 1)[:, :, 0].astype(np.uint8)
    palettes: dict[str, NDArray[np.uint8] | None] = {
        "colors": random.integers(0, 256, (256, 3)).astype(np.uint8),
        "few": random.integers(0, 256, (64, 3)).astype(np.uint8),
        "ramp": np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1),
        "none": None,
    }
    screens = {
        "fits": ((23, 17), (0, 0)),
        "larger": ((40, 30), (5, 7)),
        "smaller": ((10, 8), (0, 0)),
        "outside": ((20, 12), (9, 6)),
    }
    screens |= {"wide": ((50, 3), (2, 1)), "beyond": ((12, 12), (30, 20)), "zero": ((0, 0), (0, 0))}
    frame = Image.fromarray(indices, "L")
    for (name, palette), (where, (screen, place)) in itertools.product(palettes.items(), screens.items()):
        kinds: dict[str, dict[str, Any]] = {
            "plain": {},
            "interlaced": {"interlaced": True},
            "transparent": {"transparent": 77},
            "cleared": {"transparent": 3, "disposal": 2, "background": 9},
            "kept": {"disposal": 3, "background": 9},
        }
        for kind, options in kinds.items():
            yield f"{name}_{where}_{kind}.gif", gif(frame, screen, place, palette=palette, **options)
        yield (
            f"{name}_{where}_local.gif",
            gif(frame, screen, place, palette=palette, local=palettes["few"], transparent=5),
        )


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def animated_webp(
    frames: Iterable[Frame],
    canvas: tuple[int, int],
    *,
    alpha: bool = True,
    background: tuple[int, int, int, int] = (1, 2, 3, 4),
) -> bytes:
    """An animation of (x, y, image, blend, dispose, lossless) on a canvas (width, height)."""
    body = chunk(b"VP8X", bytes([0x02 | (0x10 if alpha else 0), 0, 0, 0]) + three(canvas[0] - 1) + three(canvas[1] - 1))
    body += chunk(b"ANIM", bytes(background) + b"\0\0")
    for x, y, image, blend, dispose, lossless in frames:
        whole = io.BytesIO()
        image.save(whole, "WEBP", lossless=lossless, exact=True, quality=80)
        data = whole.getvalue()[12:]
        if data.startswith(b"VP8X"):
            data = data[18:]
        width, height = image.size
        head = three(x // 2) + three(y // 2) + three(width - 1) + three(height - 1) + three(40)
        body += chunk(b"ANMF", head + bytes([(0 if blend else 2) | (1 if dispose else 0)]) + data)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def three(value: int) -> bytes:
    return struct.pack("<I", value)[:3]


def webps(picture: Picture, with_alpha: WithAlpha) -> Files:
    second = picture(20, 14, 2)
    for lossless, blend, dispose, alpha in itertools.product((True, False), repeat=4):
        first = picture(30, 20)
        first = with_alpha(first) if alpha else first
        name = f"animated_{int(lossless)}{int(blend)}{int(dispose)}{int(alpha)}"
        for where, place, canvas in (("whole", (0, 0), (30, 20)), ("offset", (6, 4), (50, 40))):
            frames = [(*place, first, blend, dispose, lossless), (2, 2, second, blend, dispose, lossless)]
            yield f"{name}_{where}.webp", animated_webp(frames, canvas)
            yield f"{name}_{where}_opaque.webp", animated_webp(frames, canvas, alpha=False)
    for quality, method in itertools.product((1, 50, 100), (0, 6)):
        for image, kind in ((picture(61, 47), "rgb"), (with_alpha(picture(61, 47)), "rgba")):
            for lossless in (False, True):
                whole = io.BytesIO()
                image.save(whole, "WEBP", lossless=lossless, quality=quality, method=method)
                yield f"{kind}_{quality}_{method}_{int(lossless)}.webp", whole.getvalue()


PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def png(
    values: Values,
    color_type: int,
    depth: int,
    *,
    interlaced: bool = False,
    palette: NDArray[np.uint8] | None = None,
    transparent: bytes | None = None,
) -> bytes:
    """A PNG of `values` [height, width, samples], rows unfiltered."""

    def part(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width = values.shape[:2]
    out = b"\x89PNG\r\n\x1a\n" + part(
        b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced))
    )
    out += part(b"PLTE", palette.tobytes()) if palette is not None else b""
    out += part(b"tRNS", transparent) if transparent is not None else b""
    rows = b""
    for x, y, step_x, step_y in PASSES if interlaced else [(0, 0, 1, 1)]:
        block = values[y::step_y, x::step_x]
        if block.size:
            rows += b"".join(b"\0" + pack(row[None], depth, 1, ">") for row in block)
    return out + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


def pngs(picture: Picture) -> Files:
    random = np.random.default_rng(6)
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    for (width, height), color_type, interlaced in itertools.product(((27, 19), (1, 1), (3, 9)), depths, (False, True)):
        for depth in depths[color_type]:
            values = samples(width, height, SAMPLES[color_type], depth, depth)
            if color_type == 0 and depth == 16:
                values = values // 100
            palette = random.integers(0, 256, (2**depth, 3)).astype(np.uint8) if color_type == 3 else None
            name = f"type{color_type}_{depth}_{width}{'_interlaced' if interlaced else ''}"
            common: dict[str, Any] = {"interlaced": interlaced, "palette": palette}
            yield f"{name}.png", png(values, color_type, depth, **common)
            transparent = {
                0: values[0, 0].astype(">u2").tobytes(),
                2: values[0, 0].astype(">u2").tobytes(),
                3: bytes([0, 128]),
            }
            if color_type in transparent:
                yield (
                    f"{name}_transparent.png",
                    png(values, color_type, depth, **common, transparent=transparent[color_type]),
                )
    for default in (False, True):
        whole = io.BytesIO()
        others = [picture(30, 20, 2), picture(30, 20, 3)]
        picture(30, 20).save(whole, "PNG", save_all=True, append_images=others, default_image=default)
        yield f"animated_{default}.png", whole.getvalue()
