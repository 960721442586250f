"""Classifiers, detectors and segmenters of torchvision, with the preprocessing and labels of their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from ..errors import ExportError
from ..specs import ImageInput, StrPath
from .described import Described, classifier
from .torchvision_detectors import detector, fixed_image, is_detector
from .torchvision_segmenters import is_segmenter, segmenter

if TYPE_CHECKING:
    from ..report import ExportReport


def from_torchvision(
    model: str | nn.Module, path: StrPath, weights: Any = "DEFAULT", *, image: ImageInput | None = None, **options: Any
) -> ExportReport:
    """Writes the package of an image classifier, a detector or a segmenter of torchvision.

    The outputs of a classifier are the features that go into the last linear layer (if there is one) and the logits. Those of a
    detector (SSD, RetinaNet, FCOS, Faster R-CNN) are for `detect`. Pictures are stretched to the size of `image`; the network then
    resizes and normalizes them itself, as its `min_size` says. The output of a segmenter (FCN, DeepLabV3, LR-ASPP) is for `segment`.

    Args:
        model: a name that `torchvision.models.get_model` knows ("resnet50"), or the module itself.
        path: the folder to write.
        weights: what `get_model_weights` lists, or a name of these ("IMAGENET1K_V2"); "DEFAULT" are the best ones. A named model
            is loaded with them. They say the preprocessing and the labels. None: no weights; then `image` is needed.
        image: the preprocessing, if the weights do not say it, or another one. A detector that takes pictures of any size needs it:
            `ImageInput(resize=(height, width))`. So does a segmenter, whose `ImageInput` has `mean` and `std` too.
        options: arguments of `flambeau.export.package`. torchvision says no license of its weights, so `license` is needed.

    Raises:
        ExportError: the weights do not say how images are prepared, or something else is missing.
    """
    import torchvision

    if isinstance(model, str):
        chosen = _weights(torchvision, model, weights)
        name, network = model, torchvision.models.get_model(model, weights=chosen)
    else:
        name = type(model).__name__.lower()
        chosen = None if isinstance(weights, str) else weights
        network = model
    labels = None if chosen is None else list(chosen.meta["categories"])
    if is_detector(network):
        described = image or fixed_image(network)
        if described is None:
            raise ExportError(
                f"{name} takes pictures of any size, a package of one: give image=ImageInput(resize=(height, width))"
            )
        module, outputs = detector(network, labels)
        return Described(module, [described], outputs, name).write(path, {"method": "script", **options})
    if is_segmenter(network):
        if image is None:
            raise ExportError(
                f"{name} takes pictures of any size, a package of one: give image=ImageInput(resize=(height, width), mean=…, std=…), "
                "with mean and std of weights.transforms()"
            )
        module, outputs = segmenter(network, labels)
        return Described(module, [image], outputs, name).write(path, options)
    described = image or _image(chosen, name)
    module, outputs = classifier(network, described, labels)
    return Described(module, [described], outputs, name).write(path, options)


def _weights(torchvision: Any, model: str, weights: Any) -> Any:
    """The weights that a name stands for.

    Raises:
        ExportError: torchvision has no such model, or the model no such weights.
    """
    if weights is None or not isinstance(weights, str):
        return weights
    try:
        known = torchvision.models.get_model_weights(model)
    except ValueError as error:
        raise ExportError(f"torchvision has no model {model!r}: torchvision.models.list_models() lists them") from error
    if weights not in known.__members__:
        raise ExportError(f"{model} has no weights {weights!r}: give weights= one of {', '.join(known.__members__)}")
    return known[weights]


def _image(weights: Any, name: str) -> ImageInput:
    """The preset `ImageClassification` as our input.

    Raises:
        ExportError: no weights, or a preset of another task.
    """
    from torchvision.transforms._presets import ImageClassification

    if weights is None:
        raise ExportError(
            f"{name} has no weights that say how images are prepared: give image=, or weights= (with weights=None and your own "
            "state dict, give those that your training began with)"
        )
    preset = weights.transforms()
    if not isinstance(preset, ImageClassification):
        raise ExportError(
            f"the weights of {name} prepare images as {type(preset).__name__}, which is not for classifiers: give image="
        )
    (resize,), (crop,) = preset.resize_size, preset.crop_size
    return ImageInput(
        resize=resize,
        crop=crop,
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )
