"""The preprocessing of transformers' image processors (`preprocessor_config.json`) as an `ImageInput`."""

from __future__ import annotations

from typing import Any

from ..errors import ExportError
from ..specs import ImageInput

RESAMPLE = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Pillow's numbers of its filters."""
STEPS = {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb", "do_flip_channel_order"}
UNUSED = {"do_pad", "do_convert_annotations"}
"""What processors of detectors do to pictures of different sizes, and to boxes in training. Pictures of one size need neither."""
OF_TRAINING = {"do_reduce_labels"}
"""What they do to the labels of pixels alone."""
SMALL = 384
"""ConvNext's processor crops smaller pictures than this, and resizes others exactly."""


def image_input(processor: Any) -> ImageInput:
    """The steps of an image processor.

    Raises:
        ExportError: it has steps that executors do not have.
    """
    settings = processor.to_dict()
    steps = STEPS | OF_TRAINING | (UNUSED if _is_exact(settings) else set())
    further = sorted(key for key, on in settings.items() if key.startswith("do_") and on is True and key not in steps)
    if further:
        raise ExportError(
            f"the image processor has steps that executors do not have ({', '.join(further)}): give image="
        )
    resize, crop = _sizes(settings)
    normalizes = bool(settings.get("do_normalize"))
    flips = bool(settings.get("do_flip_channel_order"))
    if flips and normalizes:
        raise ExportError("the image processor normalizes pictures and flips their channels: give image=")
    return ImageInput(
        resize=resize,
        crop=crop,
        interpolation=RESAMPLE[int(settings.get("resample", 2))],
        channels="BGR" if flips else "RGB",
        scale=float(settings.get("rescale_factor", 1 / 255)) if settings.get("do_rescale", True) else 1.0,
        mean=tuple(settings["image_mean"]) if normalizes else None,
        std=tuple(settings["image_std"]) if normalizes else None,
    )


def _is_exact(settings: dict[str, Any]) -> bool:
    """Whether all pictures get one size by the resize alone."""
    size = settings.get("size") or {}
    exact = not isinstance(size, int) and bool(size.get("height")) and bool(size.get("width"))
    return bool(settings.get("do_resize")) and exact and not settings.get("pad_size")


def _sizes(settings: dict[str, Any]) -> tuple[int | tuple[int, int] | None, int | tuple[int, int] | None]:
    size = _side(settings.get("size")) if settings.get("do_resize") else None
    if settings.get("crop_pct") is not None and isinstance(size, int):
        return (int(size / settings["crop_pct"]), size) if size < SMALL else ((size, size), None)
    crop = _side(settings.get("crop_size")) if settings.get("do_center_crop") else None
    if crop is None and not isinstance(size, tuple):
        raise ExportError("the image processor gives pictures of different sizes: give image= with resize= or crop=")
    return size, crop


def _side(size: Any) -> int | tuple[int, int]:
    """`{"height", "width"}`: exactly; `{"shortest_edge"}` or a number: the shorter side."""
    if isinstance(size, int):
        return size
    if size and set(size) == {"height", "width"}:
        return (size["height"], size["width"])
    if size and set(size) == {"shortest_edge"}:
        return int(size["shortest_edge"])
    raise ExportError(f"the image processor resizes to {size}, which executors do not have: give image=")
