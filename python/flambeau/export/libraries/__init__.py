"""Models of other libraries in one line: `from_torchvision`, `from_timm`, `from_transformers`, `from_sentence_transformers`,
`from_onnx`.

What lives here: one module for each library. Each reads what the model's own files say (preprocessing, tokenizer, labels,
activation, license) into a `Described`, which `described` writes as a package. What the files do not say must be an argument:
nothing is guessed. The libraries are imported when a function is called, so that none of them is needed for the others.
"""

from .onnx_models import from_onnx
from .sentence_transformers_models import from_sentence_transformers
from .timm_models import from_timm
from .torchvision_models import from_torchvision
from .transformers_models import from_transformers

__all__ = ["from_onnx", "from_sentence_transformers", "from_timm", "from_torchvision", "from_transformers"]
