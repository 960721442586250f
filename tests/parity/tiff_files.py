"""Hand-made TIFF files, in all the layouts that Pillow's writer does not have: planes, tiles, bit orders, depths, extra samples.

    for name, data, twin in tiffs(): ...

`twin` is None, or the bytes of the same picture in the simplest layout. Pillow reads some odd layouts wrong (planes of
16 bits, a single sample "in planes", compressed grays of wide big-endian numbers). Then the correct pixels are those
of the twin.
"""

import itertools
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRAY_INVERTED, GRAY, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
NONE, DEFLATE, PACKBITS, LZMA = 1, 8, 32773, 34925

Values = NDArray[Any]
"""Samples of whatever number type a layout holds."""
Entry = tuple[str, Sequence[int]]
"""Of a directory: struct's letter, and the values."""
Kind = tuple[str, int, int, int, Sequence[int] | None, int]
"""See `kinds`."""


def samples(width: int, height: int, count: int, bits: int, seed: int) -> NDArray[np.int64]:
    """[height, width, count] values of this many bits: smooth with some noise, every bit used."""
    random = np.random.default_rng(seed)
    y, x, s = np.mgrid[0:height, 0:width, 0:count]
    top = 2**bits - 1
    values = top * (0.5 + 0.45 * np.sin(x / 4.0 + s) * np.cos(y / 3.0 - s)) + random.normal(
        0, top / 20, (height, width, count)
    )
    return np.clip(values, 0, top).astype(np.int64)


def pack(block: Values, bits: int, sample_format: int, order: str) -> bytes:
    """A block [rows, columns, samples] as bytes, each row padded to whole ones."""
    rows = block.reshape(block.shape[0], -1)
    if bits in (1, 2, 4, 12):
        digits = (rows[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
        return np.packbits(digits.astype(np.uint8).reshape(rows.shape[0], -1), axis=1).tobytes()
    if sample_format == 3:
        return rows.astype(f"{order}f4").tobytes()
    kind = "i" if sample_format == 2 else "u"
    return rows.astype(f"{order}{kind}{bits // 8}").tobytes()


def packbits(data: bytes) -> bytes:
    """Literal runs only."""
    return b"".join(bytes([len(part) - 1]) + part for part in (data[at : at + 128] for at in range(0, len(data), 128)))


def compress(data: bytes, compression: int) -> bytes:
    ways: dict[int, Callable[[bytes], bytes]] = {
        NONE: lambda d: d,
        DEFLATE: zlib.compress,
        PACKBITS: packbits,
        LZMA: lambda d: lzma.compress(d, format=lzma.FORMAT_XZ),
    }
    return ways[compression](data)


def tiff(
    values: Values,
    bits: int,
    photometric: int,
    *,
    extra: Sequence[int] | None = None,
    planes: bool = False,
    tile: tuple[int, int] | None = None,
    rows: int | None = None,
    fill: int = 1,
    compression: int = NONE,
    predictor: int = 1,
    big_endian: bool = False,
    big: bool = False,
    orientation: int | None = None,
    sample_format: int = 1,
    palette: NDArray[np.int64] | None = None,
    tags: Mapping[int, Entry] = MappingProxyType({}),
) -> bytes:
    """The file of `values` [height, width, samples]. `rows` a strip, or `tile` = (width, height)."""
    order = ">" if big_endian else "<"
    height, width, count = values.shape
    block_width, block_height = tile or (width, rows or height)
    blocks: list[bytes] = []
    every: Sequence[int | None] = range(count) if planes else [None]
    for plane in every:
        layer = values if plane is None else values[:, :, plane : plane + 1]
        for y, x in itertools.product(range(0, height, block_height), range(0, width, block_width)):
            block = layer[y : y + block_height, x : x + block_width]
            if tile:
                missing = ((0, block_height - block.shape[0]), (0, block_width - block.shape[1]), (0, 0))
                block = np.pad(block, missing, mode="edge")
            if predictor == 2:
                block = np.concatenate([block[:, :1], np.diff(block, axis=1)], axis=1) % 2**bits
            data = compress(pack(block, bits, sample_format, order), compression)
            if fill == 2:
                data = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
            blocks.append(data)
    offsets: list[int] = []
    body = b""
    header = 16 if big else 8
    for data in blocks:
        body += b"\0" * (len(body) % 2)
        offsets.append(header + len(body))
        body += data
    body += b"\0" * (len(body) % 2)
    short, long = "H", "I"
    entries: dict[int, Entry] = {
        256: (long, [width]),
        257: (long, [height]),
        258: (short, [bits] * count),
        259: (short, [compression]),
        262: (short, [photometric]),
        277: (short, [count]),
    }
    if fill != 1:
        entries[266] = (short, [fill])
    if orientation:
        entries[274] = (short, [orientation])
    if planes or count == 1:
        entries[284] = (short, [2 if planes else 1])
    if predictor != 1:
        entries[317] = (short, [predictor])
    if palette is not None:
        entries[320] = (short, palette.T.reshape(-1).tolist())
    if extra is not None:
        entries[338] = (short, list(extra))
    if sample_format != 1:
        entries[339] = (short, [sample_format] * count)
    lengths = [len(data) for data in blocks]
    if tile:
        entries |= {322: (long, [tile[0]]), 323: (long, [tile[1]]), 324: (long, offsets), 325: (long, lengths)}
    else:
        entries |= {273: (long, offsets), 278: (long, [block_height]), 279: (long, lengths)}
    entries |= dict(tags)
    return assemble(entries, body, order, big)


def assemble(entries: Mapping[int, Entry], body: bytes, order: str, big: bool) -> bytes:
    mark = b"MM" if order == ">" else b"II"
    header, inline = (16, 8) if big else (8, 4)
    after = header + len(body)
    word = "Q" if big else "I"
    directory, outside = b"", b""
    directory_bytes = (8 + 20 * len(entries) + 8) if big else (2 + 12 * len(entries) + 4)
    for tag, (kind, values) in sorted(entries.items()):
        data = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(data) > inline:
            place = after + directory_bytes + len(outside)
            outside += data + b"\0" * (len(data) % 2)
            data = struct.pack(order + word, place)
        directory += struct.pack(f"{order}HH{word}", tag, {"H": 3, "I": 4}[kind], len(values)) + data.ljust(
            inline, b"\0"
        )
    if big:
        start = mark + struct.pack(f"{order}HHHQ", 43, 8, 0, after)
        return start + body + struct.pack(f"{order}Q", len(entries)) + directory + b"\0" * 8 + outside
    start = mark + struct.pack(f"{order}HI", 42, after)
    return start + body + struct.pack(f"{order}H", len(entries)) + directory + b"\0" * 4 + outside


def kinds() -> Iterator[Kind]:
    """(name, bits, photometric, samples per pixel, extra samples, sample format) that Pillow reads."""
    for bits in (1, 2, 4, 8):
        yield f"white{bits}", bits, GRAY_INVERTED, 1, None, 1
        yield f"gray{bits}", bits, GRAY, 1, None, 1
        yield f"palette{bits}", bits, PALETTE, 1, None, 1
    for bits in (12, 16):
        yield f"gray{bits}", bits, GRAY, 1, None, 1
    for bits in (16, 32):
        yield f"gray{bits}s", bits, GRAY, 1, None, 2
    yield "gray32f", 32, GRAY, 1, None, 3
    yield "gray32", 32, GRAY, 1, None, 1
    for name, extra in (("x", [0]), ("alpha", [2])):
        yield f"gray8_{name}", 8, GRAY, 2, extra, 1
        yield f"palette8_{name}", 8, PALETTE, 2, extra, 1
    for bits in (8, 16):
        yield f"rgb{bits}", bits, RGB, 3, None, 1
        yield f"rgb{bits}_silent", bits, RGB, 4, None, 1
        for name, extra in (("x", [0]), ("multiplied", [1]), ("alpha", [2])):
            yield f"rgb{bits}_{name}", bits, RGB, 4, extra, 1
        yield f"cmyk{bits}", bits, CMYK, 4, None, 1
    yield "rgb8_xx", 8, RGB, 5, [0, 0], 1
    yield "rgb8_alpha_xx", 8, RGB, 6, [2, 0, 0], 1
    yield "rgb8_multiplied_x", 8, RGB, 5, [1, 0], 1
    yield "cmyk8_x", 8, CMYK, 5, [0], 1
    yield "ycbcr8", 8, YCBCR, 3, None, 1


def values_of(kind: Kind, width: int, height: int, seed: int) -> Values:
    _, bits, photometric, count, extra, sample_format = kind
    if photometric == GRAY and bits > 8:
        # Grays of more than a byte are clipped to one: have values on both sides.
        values = samples(width, height, count, 9, seed) - (100 if sample_format != 1 else 0)
        return values / 1.7 if sample_format == 3 else values
    values = samples(width, height, count, bits, seed)
    if extra and extra[0] == 1:
        values[:, :, :3] = values[:, :, :3] * values[:, :, 3:4] // (2**bits - 1)
    return values


def tiffs() -> Iterator[tuple[str, bytes, bytes | None]]:
    random = np.random.default_rng(11)
    layouts: dict[str, dict[str, Any]] = {
        "strip": {},
        "strips": {"rows": 5},
        "tiles": {"tile": (16, 16)},
        "planes": {"planes": True, "rows": 6},
        "plane_tiles": {"planes": True, "tile": (16, 32)},
    }
    width, height = 37, 21
    for number, kind in enumerate(kinds()):
        name, bits, photometric, count, extra, sample_format = kind
        palette = random.integers(0, 65536, (2**bits, 3)) if photometric == PALETTE else None
        base: dict[str, Any] = {"extra": extra, "sample_format": sample_format, "palette": palette}
        if photometric == YCBCR:
            base["tags"] = {530: ("H", [1, 1])}
        values = values_of(kind, width, height, number)
        # Planes of YCbCr are converted by libtiff, which rounds apart from Pillow's own conversion.
        twin = None if photometric == YCBCR else tiff(values, bits, photometric, **base)
        for layout, options in layouts.items():
            for big_endian in (False, True):
                for compression in (NONE, DEFLATE, PACKBITS, LZMA):
                    end, packed = (
                        "be" if big_endian else "le",
                        {1: "raw", 8: "deflate", 32773: "packbits", 34925: "lzma"}[compression],
                    )
                    data = tiff(
                        values, bits, photometric, **base, **options, big_endian=big_endian, compression=compression
                    )
                    yield f"{name}_{layout}_{end}_{packed}.tif", data, twin
        if bits <= 8 and (count == 1 or name == "rgb8"):
            for compression in (NONE, DEFLATE):
                for layout in ("strip", "strips", "tiles"):
                    data = tiff(values, bits, photometric, **base, **layouts[layout], fill=2, compression=compression)
                    yield f"{name}_{layout}_fill2_{compression}.tif", data, twin
        if bits in (8, 16) and sample_format == 1 and photometric not in (PALETTE, YCBCR):
            for layout in ("strips", "plane_tiles"):
                data = tiff(values, bits, photometric, **base, **layouts[layout], predictor=2, compression=DEFLATE)
                yield f"{name}_{layout}_predictor.tif", data, twin
        if bits == 8:
            yield f"{name}_big.tif", tiff(values, bits, photometric, **base, rows=4, big=True), twin
    values = samples(width, height, 3, 8, 5)
    for orientation in range(1, 9):
        yield f"turned_{orientation}.tif", tiff(values, 8, RGB, orientation=orientation, rows=4), None
        yield (
            f"turned_{orientation}_deflate.tif",
            tiff(values, 8, RGB, orientation=orientation, tile=(16, 16), compression=DEFLATE),
            None,
        )
    yield "min_is_white_16.tif", tiff(samples(width, height, 1, 9, 3), 16, GRAY_INVERTED), None
    # One value of BitsPerSample for all samples, and a length of the strip that is too short.
    yield "one_depth.tif", tiff(values, 8, RGB, tags={258: ("H", [8])}), None
    yield "short_count.tif", tiff(values, 8, RGB, tags={279: ("I", [10])}), None
