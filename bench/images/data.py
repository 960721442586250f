"""The images of the benchmark, cut from photos and saved as JPEG of quality 90: three sets.

- `tiles`: 1,024 overlapping tiles of 500 x 375;
- `photos`: 800 overlapping cuts of 3 : 2, brought to 1024 x 683;
- `large`: 48 cuts of 4 : 3, enlarged to 4000 x 3000 (12 MP) by bicubic, so smoother than a camera's pictures of that size.

The photos are those of the scikit-image, foolbox and gradio wheels (fetched as for the demo, pinned by SHA-256). This is real
picture content at usual photo sizes, but not independent pictures: good for throughput, not for accuracy. Cuts are drawn with
a fixed seed.
"""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "models"), str(ROOT / "examples")]
import photos
import recipe

QUALITY, SEED = 90, 11
TILE, STRIDE = (500, 375), 48
MEMBERS = [
    *(
        (photos.SCIKIT_IMAGE, f"skimage/data/{name}")
        for name in (
            "retina.jpg",
            "hubble_deep_field.jpg",
            "motorcycle_left.png",
            "motorcycle_right.png",
            "astronaut.png",
            "ihc.png",
        )
    ),
    *((photos.GRADIO, f"gradio/test_data/{name}") for name in ("cheetah1.jpg", "lion.jpg")),
]
MORE = [
    *((photos.SCIKIT_IMAGE, f"skimage/data/{name}") for name in ("chelsea.png", "coffee.png", "rocket.jpg")),
    (photos.GRADIO, "gradio/test_data/cheetah2.jpg"),
    (photos.FOOLBOX, "foolbox/data/imagenet_10_541.jpg"),
]


def _open(members: list[tuple[recipe.Wheel, str]]) -> list[Image.Image]:
    return [Image.open(io.BytesIO(recipe.read_member(recipe.fetch(w), member))).convert("RGB") for w, member in members]


def _grid(picture: Image.Image) -> Iterator[Image.Image]:
    width, height = picture.size
    for top in range(0, height - TILE[1] + 1, STRIDE):
        for left in range(0, width - TILE[0] + 1, STRIDE):
            yield picture.crop((left, top, left + TILE[0], top + TILE[1]))


def _tiles() -> Iterator[Image.Image]:
    sources = []
    for picture in _open(MEMBERS):
        # A small photo is enlarged until it has room for a grid of tiles.
        scale = max(1.0, 900 / picture.width, 800 / picture.height)
        size = (round(picture.width * scale), round(picture.height * scale))
        sources.append(_grid(picture.resize(size, Image.Resampling.BICUBIC)))
    while sources:
        for source in list(sources):
            tile = next(source, None)
            if tile is None:
                sources.remove(source)
            else:
                yield tile


def _cuts(size: tuple[int, int]) -> Iterator[Image.Image]:
    """At random places, of 0.7 to 1 of what fits, enlarged (or reduced) to `size`."""
    drawn, sources = random.Random(SEED), _open(MEMBERS + MORE)
    while True:
        for picture in sources:
            share = drawn.uniform(0.7, 1.0) * min(picture.width / size[0], picture.height / size[1])
            width, height = int(size[0] * share), int(size[1] * share)
            left, top = drawn.randint(0, picture.width - width), drawn.randint(0, picture.height - height)
            yield picture.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)


SETS: dict[str, tuple[int, Callable[[], Iterator[Image.Image]], str]] = {
    "tiles": (1024, _tiles, "JPEG tiles of 500 x 375"),
    "photos": (800, lambda: _cuts((1024, 683)), "JPEG photos of 1024 x 683"),
    "large": (48, lambda: _cuts((4000, 3000)), "JPEG photos of 4000 x 3000, enlarged"),
}


def provide(name: str) -> tuple[Path, str]:
    """The folder of a set, filled once, and what is in it."""
    count, pictures, about = SETS[name]
    folder = ROOT / "build" / "bench-images" / name
    if len(list(folder.glob("*.jpg"))) != count:
        folder.mkdir(parents=True, exist_ok=True)
        for number, picture in zip(range(count), pictures()):
            picture.save(folder / f"{number:04d}.jpg", quality=QUALITY)
    kilobytes = sum(path.stat().st_size for path in folder.glob("*.jpg")) / count / 1000
    return folder, f"{count} {about}, {kilobytes:.0f} KB each"
