"""Many small pictures with Pillow's result for each, in two archives that rust/media/tests/image_parity.rs reads.

`sound.pictures` holds complete files of every variant that can be made (tiff_files, odd_files); `damaged.pictures` holds files with some
bytes changed, cut, doubled or left out, seeded. A record is: length of the name and the name; length of the file and the file; 1 and
width, height, RGB bytes if Pillow reads a picture, otherwise 0. Numbers are little-endian u32.

    python tests/parity/picture_archives.py FOLDER --damaged 100000 --seed 7     # a long run; then
    FLAMBEAU_IMAGE_REFERENCE=FOLDER cargo test --release -p flambeau-media --test image_parity archive
"""

import argparse
import contextlib
import io
import os
import pathlib
import struct
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import odd_files
import odd_jpegs
import tiff_files
from odd_files import Picture, WithAlpha

# The limit that both sides get.
MAX_PIXELS = 1 << 20
DAMAGED_PER_FORMAT = 1300


def pillow_pixels(data: bytes) -> NDArray[np.uint8] | None:
    """The RGB array of Pillow, or None if it rejects the file for any reason."""
    try:
        image = Image.open(io.BytesIO(data), formats=["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
        if image.size[0] * image.size[1] > MAX_PIXELS:
            return None
        return np.asarray(image.convert("RGB"))
    except Exception:
        return None


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """libtiff writes to the process' standard error."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def record(name: str, data: bytes, pixels: NDArray[np.uint8] | None) -> bytes:
    head = struct.pack("<I", len(name)) + name.encode() + struct.pack("<I", len(data)) + data
    if pixels is None:
        return head + struct.pack("<I", 0)
    return head + struct.pack("<III", 1, pixels.shape[1], pixels.shape[0]) + pixels.tobytes()


def read_archive(path: pathlib.Path) -> Iterator[tuple[str, bytes, NDArray[np.uint8] | None]]:
    """The records of an archive: name, file, RGB array of Pillow or None."""
    data, at = memoryview(path.read_bytes()), 0

    def number() -> int:
        nonlocal at
        at += 4
        return struct.unpack_from("<I", data, at - 4)[0]

    def part(length: int) -> bytes:
        nonlocal at
        at += length
        return bytes(data[at - length : at])

    while at < len(data):
        name, file = part(number()).decode(), part(number())
        pixels = None
        if number():
            width, height = number(), number()
            pixels = np.frombuffer(part(width * height * 3), np.uint8).reshape(height, width, 3)
        yield name, file, pixels


def wrong_in_pillow(name: str) -> bool:
    """Layouts that Pillow reads wrong; the right pixels are those of the plain file. So it is for layouts that Pillow rejects."""
    swapped = name.startswith(("gray16s", "gray32s", "gray32f")) and "_be_" in name and "_raw" not in name
    return swapped or ("_plane" in name and "_raw" in name) or "silent_plane" in name


def sound(picture: Picture, with_alpha: WithAlpha) -> Iterator[tuple[str, bytes, bytes | None]]:
    """(name, data, the same picture in a plainer layout or None)."""
    yield from tiff_files.tiffs()
    for files in (
        odd_files.bmps(),
        odd_files.gifs(),
        odd_files.webps(picture, with_alpha),
        odd_jpegs.jpegs(picture),
        odd_jpegs.parts(picture),
        odd_files.pngs(picture),
    ):
        for name, data in files:
            yield name, data, None


def bases(picture: Picture, with_alpha: WithAlpha) -> dict[str, list[bytes]]:
    """Whole files by format, small enough for a few changed bytes to matter."""
    one = picture(24, 18)
    alpha = with_alpha(one)

    def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
        whole = io.BytesIO()
        image.save(whole, format, **options)
        return whole.getvalue()

    jpeg = [
        encoded(one, "JPEG", quality=q, progressive=p, subsampling=s)
        for q in (30, 90)
        for p in (False, True)
        for s in (0, 2)
    ]
    jpeg += [
        encoded(one.convert("CMYK"), "JPEG"),
        encoded(one.convert("L"), "JPEG"),
        encoded(one, "JPEG", restart_marker_blocks=1),
    ]
    jpeg += [encoded(picture(120, 90), "JPEG", quality=60, progressive=p) for p in (False, True)]
    png = [
        encoded(image, "PNG")
        for image in (one, alpha, one.convert("L"), one.quantize(30), one.convert("1"), alpha.convert("LA"))
    ]
    webp = [encoded(image, "WEBP", lossless=lossless) for image in (one, alpha) for lossless in (False, True)]
    webp += [
        data for name, data in odd_files.webps(picture, with_alpha) if name.startswith("animated") and "offset" in name
    ][:6]
    gif = [data for _, data in list(odd_files.gifs())[::9]]
    bmp = [data for name, data in list(odd_files.bmps())[::5] if name.split("_")[1] == "21"]
    tiff = [data for name, data, _ in tiff_files.tiffs() if "_plane" not in name and not wrong_in_pillow(name)][::14]
    tiff += [data for name, data, _ in tiff_files.tiffs() if name.startswith("rgb8_plane") and "_raw" not in name][::4]
    compressions = ("tiff_lzw", "jpeg", "group3", "group4", "zstd", "tiff_ccitt")
    gray = one.convert("1")
    tiff += [encoded(gray if c.startswith(("group", "tiff_c")) else one, "TIFF", compression=c) for c in compressions]
    return {"jpg": jpeg, "png": png, "webp": webp, "gif": gif, "bmp": bmp, "tif": tiff}


def damage(data: bytes, random: np.random.Generator) -> bytes:
    """Some bytes changed, and sometimes a part cut off, doubled or left out."""
    damaged = bytearray(data)
    for _ in range(int(random.integers(1, 5))):
        near = (
            int(random.integers(0, min(len(damaged), 120)))
            if random.random() < 0.4
            else int(random.integers(0, len(damaged)))
        )
        damaged[near] = [0, 255, int(random.integers(0, 256)), damaged[near] ^ (1 << int(random.integers(0, 8)))][
            int(random.integers(0, 4))
        ]
    if random.random() < 0.2:
        start = int(random.integers(0, len(damaged)))
        end = min(len(damaged), start + int(random.integers(1, 40)))
        part = bytes(damaged[start:end])
        choice = random.random()
        damaged[start:] = b"" if choice < 0.4 else (part * 2 + damaged[end:] if choice < 0.7 else damaged[end:])
    return bytes(damaged)


def write_sound(folder: pathlib.Path, picture: Picture, with_alpha: WithAlpha) -> int:
    count = 0
    with silence(), (folder / "sound.pictures").open("wb") as out:
        for name, data, twin in sound(picture, with_alpha):
            pixels = None if twin is not None and wrong_in_pillow(name) else pillow_pixels(data)
            if pixels is None and twin is not None:
                pixels = pillow_pixels(twin)
            out.write(record(name, data, pixels))
            count += 1
    return count


def write_damaged(
    folder: pathlib.Path, picture: Picture, with_alpha: WithAlpha, per_format: int = DAMAGED_PER_FORMAT, seed: int = 1
) -> int:
    random = np.random.default_rng(seed)
    count = 0
    with silence(), (folder / "damaged.pictures").open("wb") as out:
        for suffix, files in bases(picture, with_alpha).items():
            for number in range(per_format):
                data = damage(files[int(random.integers(0, len(files)))], random)
                if data:
                    out.write(record(f"{seed}_{number}.{suffix}", data, pillow_pixels(data)))
                    count += 1
    return count


def main() -> None:
    from make_image_reference import picture, with_alpha

    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--damaged", type=int, default=6 * DAMAGED_PER_FORMAT, help="files of all formats together")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    whole = write_sound(options.folder, picture, with_alpha)
    damaged = write_damaged(options.folder, picture, with_alpha, options.damaged // 6, options.seed)
    print(f"{whole} sound and {damaged} damaged pictures in {options.folder}")


if __name__ == "__main__":
    main()
