"""make.py BINARY OUT: the folder that `run.py` needs on a machine with a GPU, at most 60 MB.

BINARY is `device_check`, OUT the folder to write. EfficientNet-Lite0 has its real weights. ResNet-50,
ViT-B/16 and a BERT of 12 layers have none here: `run.py` gives them random ones, the same everywhere.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
import torchvision
import transformers

from flambeau import export

ROOT = Path(__file__).resolve().parents[2]
for place in ("bench", "bench/images", "examples"):
    sys.path.insert(0, str(ROOT / place))

import data

import real_data

TILES = 256
TEXTS = 2048
OPTIONS: dict[str, Any] = {"license": "Apache-2.0", "quiet": True, "precisions": ["bf16"]}


def torchvision_package(name: str, weights: object, folder: Path) -> None:
    torch.manual_seed(1)
    export.from_torchvision(torchvision.models.get_model(name, weights=None).eval(), folder, weights=weights, **OPTIONS)


def bert_package(folder: Path, tokenizer_json: Path) -> None:
    torch.manual_seed(1)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(tokenizer_json),
        pad_token="[PAD]",
        model_max_length=128,
        model_input_names=["input_ids", "attention_mask"],
    )
    bert = transformers.BertModel(transformers.BertConfig(), add_pooling_layer=False).eval()
    export.from_transformers(bert, folder, tokenizer=tokenizer, pooling="mean", **OPTIONS)


def without_weights(folder: Path) -> None:
    """Sets the weights of all programs to zero, and the hashes in model.toml to those of the new files. Zeros take no room in a zip."""
    manifest = (folder / "model.toml").read_text(encoding="utf-8")
    for file in folder.glob("*.pt"):
        before = hashlib.sha256(file.read_bytes()).hexdigest()
        module = torch.jit.load(str(file))
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.data.zero_()
        torch.jit.save(module, str(file))
        manifest = manifest.replace(before, hashlib.sha256(file.read_bytes()).hexdigest())
    (folder / "model.toml").write_text(manifest, encoding="utf-8")


def packed(source: Path, file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(source.rglob("*")):
            archive.write(path, path.relative_to(source))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    out: Path = options.out
    shutil.rmtree(out, ignore_errors=True)
    (out / "lib").mkdir(parents=True)
    shutil.copy(options.binary, out / "device_check")
    subprocess.run(["strip", out / "device_check"], check=True)
    codecs = next(Path(torch.__file__).parent.parent.glob("pillow.libs"))
    needed = [
        line.split()[1]
        for line in (ROOT / "rust/codecs/libraries-x86_64.txt").read_text().splitlines()
        if line[:1] not in ("", "#")
    ]
    for name in needed:
        shutil.copy(codecs / name, out / "lib")
    shutil.copy(Path(__file__).with_name("run.py"), out)
    models = ROOT / "build" / "models"
    packed(models / "efficientnet_lite0", out / "efficientnet_lite0.zip")
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary)
        weights = torchvision.models
        torchvision_package("resnet50", weights.ResNet50_Weights.IMAGENET1K_V2, made / "resnet50")
        torchvision_package("vit_b_16", weights.ViT_B_16_Weights.IMAGENET1K_V1, made / "vit_b_16")
        bert_package(made / "bert_12", models / "minilm_l6_v2" / "tokenizer.json")
        for folder in made.iterdir():
            without_weights(folder)
            packed(folder, out / f"{folder.name}.zip")
    tiles = sorted(data.provide("tiles")[0].glob("*.jpg"))
    with zipfile.ZipFile(out / "tiles.zip", "w") as archive:
        for path in tiles[:: len(tiles) // TILES][:TILES]:
            archive.write(path, path.name)
    texts = [gloss.text for gloss in real_data.every_nth(real_data.glosses(), TEXTS)]
    (out / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {size / 1e6:.0f} MB")
    if size > 60e6:
        raise SystemExit("that is more than 60 MB")


if __name__ == "__main__":
    main()
