"""What a Python worker does with encoded images: prepare them with Pillow, run the network on 16 at a time."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np

import runtimes

ROWS = 16


def prepare(content: bytes, draft: bool = False) -> np.ndarray:
    """Pillow's decode, shorter side 256 by bicubic, center crop 224, (x - 127) / 128: f32 [3, 224, 224].

    `draft` lets libjpeg decode at a half, a quarter or an eighth as long as the shorter side has at least twice 256
    pixels, as a careful user might.
    """
    from PIL import Image

    with Image.open(io.BytesIO(content)) as file:
        if draft:
            file.draft("RGB", (512, 512))
        picture = file.convert("RGB")
    width, height = picture.size
    size = (256, int(256 * height / width)) if width <= height else (int(256 * width / height), 256)
    picture = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    pixels = np.asarray(picture.crop((left, top, left + 224, top + 224)), dtype=np.float32)
    return ((pixels - 127.0) / 128.0).transpose(2, 0, 1)


def worker(network: str, runtime: str) -> Callable[[Sequence[bytes]], np.ndarray]:
    """Encoded images to f32 `[n, width]`; a runtime's name may end in `+draft`."""
    runtime, _, draft = runtime.partition("+")
    run = runtimes.load(runtime, network)

    def work(contents: Sequence[bytes]) -> np.ndarray:
        parts = []
        for first in range(0, len(contents), ROWS):
            pixels = np.stack([prepare(content, bool(draft)) for content in contents[first : first + ROWS]])
            parts.append(run(pixels))
        return np.concatenate(parts)

    return work
