"""Makes model packages from PyTorch models: `flambeau.export.package(...)`, or `python -m flambeau.export`.

    from flambeau import export

    export.package(
        net, "packages/flowers", name="flowers", license="MIT",
        inputs=[export.ImageInput(resize=256, crop=224, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])],
        outputs=[export.Output("features", "features"), export.Output("logits", "scores", labels="flowers.txt")],
    )

What lives here: the names for users. `package` and `trainable` (for `flambeau.ml.TorchEstimator`) are in `packaging`; inputs and
outputs in `specs` and `sequences`; `from_…` in `libraries`. This machine needs PyTorch; executors never do.

A TorchScript file is a program that runs in the executors: package only models that you trust.
"""

from .decoding import Boxes, Ctc
from .errors import ExportError
from .libraries import from_onnx, from_sentence_transformers, from_timm, from_torchvision, from_transformers
from .packaging import package, trainable
from .program import Parity
from .report import ExportReport
from .sequences import AudioInput, TextInput
from .specs import ImageInput, Input, Output, TensorInput

__all__ = [
    "AudioInput",
    "Boxes",
    "Ctc",
    "ExportError",
    "ExportReport",
    "ImageInput",
    "Input",
    "Output",
    "Parity",
    "TensorInput",
    "TextInput",
    "from_onnx",
    "from_sentence_transformers",
    "from_timm",
    "from_torchvision",
    "from_transformers",
    "package",
    "trainable",
]
