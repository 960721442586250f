"""Classifiers and featurizers of timm, with the preprocessing, labels and license of their `pretrained_cfg`."""

from __future__ import annotations

import math
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from ..errors import ExportError, first_line
from ..specs import ImageInput, Output, StrPath
from .cards import license_of, spdx
from .described import FEATURES, Described, scores

if TYPE_CHECKING:
    from ..report import ExportReport

IMAGENET = 1000
"""Classes of the weights whose labels timm has."""


class _Timm(nn.Module):
    """Pooled features, and the logits if the network has a classifier."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network: Any = network
        self.classifies: bool = network.num_classes > 0

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        maps = self.network.forward_features(image)
        features: Tensor = self.network.forward_head(maps, pre_logits=True)
        return (features, self.network.forward_head(maps)) if self.classifies else features


def from_timm(
    model: StrPath | nn.Module, path: StrPath, *, image: ImageInput | None = None, **options: Any
) -> ExportReport:
    """Writes the package of a model of timm: pooled features, and logits if it has a classifier.

    Args:
        model: a name that `timm.create_model` knows, which is loaded with its weights, a folder that timm saved
            (`timm.models.save_for_hf`), or the model itself.
        path: the folder to write.
        image: the preprocessing, if it should not be the one of `pretrained_cfg`.
        options: arguments of `flambeau.export.package`; `license` if `pretrained_cfg` has none.

    Raises:
        ExportError: the preprocessing is one that executors do not have, or something is missing.
    """
    import timm

    network: Any = model if isinstance(model, nn.Module) else _loaded(timm, fspath(model))
    settings = dict(network.pretrained_cfg or {})
    described = image or _image(timm.data.resolve_data_config({}, model=network))
    outputs = [Output(FEATURES, "features")]
    if network.num_classes > 0:
        outputs.append(scores(_labels(timm, network, settings)))
    name = str(settings.get("architecture") or type(network).__name__.lower())
    license = license_of(model) or spdx(settings.get("license"))
    return Described(_Timm(network).eval(), [described], outputs, name, license).write(path, options)


def _loaded(timm: Any, model: str) -> Any:
    """The model of a folder, or of a name that timm knows, with its weights."""
    try:
        return timm.create_model(f"local-dir:{model}" if Path(model).is_dir() else model, pretrained=True)
    except (RuntimeError, ValueError) as error:
        raise ExportError(f"timm cannot load {model!r}: {first_line(error)}") from error


def _image(config: dict[str, Any]) -> ImageInput:
    """The evaluation transform of `timm.data.transforms_factory` as our input."""
    channels, height, width = config["input_size"]
    if channels != 3:
        raise ExportError(f"the model takes {channels} channels: give image= with channels=")
    mode = config.get("crop_mode", "center")
    scaled = [math.floor(side / config["crop_pct"]) for side in (height, width)]
    if mode == "center" and height == width:
        resize: int | tuple[int, int] = scaled[0]
    elif mode == "squash":
        resize = (scaled[0], scaled[1])
    else:
        raise ExportError(
            f"images of {height} x {width} with crop_mode={mode!r} are prepared in a way that executors do not have: give image="
        )
    return ImageInput(
        resize=resize,
        crop=(height, width),
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def _labels(timm: Any, network: Any, settings: dict[str, Any]) -> list[str] | None:
    named = settings.get("label_names")
    if named is not None:
        return [str(name) for name in named]
    subset = timm.data.infer_imagenet_subset(network)
    if subset is None or network.num_classes < IMAGENET:
        return None
    info = timm.data.ImageNetInfo(subset)
    return [info.index_to_description(index) for index in range(network.num_classes)]
