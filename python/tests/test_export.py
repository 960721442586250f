"""`flambeau.export.package`: the package gives the module's results, or nothing is written."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from flambeau import export
from flambeau.models import open_package

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

IMAGE = export.ImageInput(resize=20, crop=16, interpolation="bicubic", mean=[0.5, 0.5, 0.5], std=[2, 2, 2])
OUTPUTS = [export.Output("features", "features"), export.Output("logits", "scores", labels=["cat", "dog"])]


def write(module: nn.Module, path: Path, **changes: Any) -> export.ExportReport:
    """The usual package, with some arguments changed."""
    arguments: dict[str, Any] = {
        "name": "net",
        "inputs": [IMAGE],
        "outputs": OUTPUTS,
        "license": "MIT",
        "quiet": True,
        **changes,
    }
    return export.package(module, path, **arguments)


def manifest(path: Path) -> dict[str, Any]:
    """The manifest as tables."""
    return tomllib.loads((path / "model.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("method", ["trace", "script"])
def test_the_program_gives_what_the_module_gives(net: nn.Module, tmp_path: Path, method: str) -> None:
    report = write(net, tmp_path / "net", method=method)
    program = torch.jit.load(str(tmp_path / "net" / "model.pt"))
    for rows in (1, 2, 7):
        image = torch.rand(rows, 3, 16, 16)
        for expected, actual in zip(net(image), program(image)):
            assert torch.allclose(expected, actual, atol=1e-6)
    assert not program.training
    assert report.cosine == pytest.approx(1, abs=1e-6)
    assert {(item.rows, item.frozen) for item in report.parity} == {(1, False), (1, True), (3, False), (3, True)}


def test_the_manifest_tells_everything(net: nn.Module, tmp_path: Path) -> None:
    write(net, tmp_path / "net", description="A net", batch_rows=16, files={"NOTICE.txt": "mine\n"})
    assert manifest(tmp_path / "net") == {
        "format": 1,
        "name": "net",
        "license": "MIT",
        "description": "A net",
        "batch_rows": 16,
        "input": [
            {
                "name": "image",
                "kind": "image",
                "image": {
                    "resize": 20,
                    "crop": 16,
                    "interpolation": "bicubic",
                    "channels": "RGB",
                    "scale": 1 / 255,
                    "mean": [0.5, 0.5, 0.5],
                    "std": [2.0, 2.0, 2.0],
                    "exif_orientation": False,
                },
            }
        ],
        "output": [
            {"name": "features", "role": "features", "shape": [3], "dtype": "f32"},
            {
                "name": "logits",
                "role": "scores",
                "shape": [2],
                "dtype": "f32",
                "labels": "labels.txt",
                "activation": "softmax",
            },
        ],
        "variant": [
            {
                "file": "model.pt",
                "engine": "torchscript",
                "precision": "f32",
                "sha256": hashlib.sha256((tmp_path / "net" / "model.pt").read_bytes()).hexdigest(),
                "cosine": 1.0,
            }
        ],
        "files": {
            "NOTICE.txt": hashlib.sha256(b"mine\n").hexdigest(),
            "labels.txt": hashlib.sha256(b"cat\ndog\n").hexdigest(),
        },
    }
    assert open_package(tmp_path / "net").problems() == []


def test_outputs_may_come_by_name(by_name: nn.Module, tmp_path: Path) -> None:
    write(by_name, tmp_path / "net")
    features, logits = torch.jit.load(str(tmp_path / "net" / "model.pt"))(torch.rand(2, 3, 16, 16))
    assert list(features.shape) == [2, 3]
    assert list(logits.shape) == [2, 2]


def test_a_tensor_model_with_two_inputs_and_an_integer_output(tmp_path: Path) -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
            return (x * mask.view(-1, 1, 1)).sum(dim=[1, 2]), mask.long()

    inputs = [export.TensorInput("x", [2, 3]), export.TensorInput("mask", [], "bool")]
    outputs = [export.Output("total"), export.Output("kept")]
    write(Sum(), tmp_path / "sum", name="sum", inputs=inputs, outputs=outputs)
    written = manifest(tmp_path / "sum")
    assert [(item["dtype"], item["shape"]) for item in written["input"]] == [("f32", [2, 3]), ("bool", [])]
    assert [(item["dtype"], item["shape"]) for item in written["output"]] == [("f32", []), ("i64", [])]


def test_text_and_audio_inputs_write_their_sections(tmp_path: Path) -> None:
    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(4, 8)

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            weights = attention_mask.unsqueeze(2).float()
            return (self.table(input_ids) * weights).sum(1) / weights.sum(1)

    class Loudness(nn.Module):
        def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
            return samples.square().sum(1, keepdim=True) / lengths.unsqueeze(1)

    tokenizer = tmp_path / "tokenizer.json"
    words = {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "a": 1, "b": 2, "c": 3}}
    tokenizer.write_text(json.dumps({"model": words}))
    features = [export.Output("features", "features")]
    write(Bag(), tmp_path / "bag", name="bag", inputs=[export.TextInput(tokenizer, max_length=64)], outputs=features)
    written = manifest(tmp_path / "bag")
    assert written["input"][0]["text"] == {
        "tokenizer": "tokenizer.json",
        "max_length": 64,
        "inputs": ["input_ids", "attention_mask"],
    }
    assert (tmp_path / "bag" / "tokenizer.json").read_bytes() == tokenizer.read_bytes()
    assert "tokenizer.json" in written["files"]

    write(
        Loudness(),
        tmp_path / "loud",
        name="loud",
        inputs=[export.AudioInput(8000, window_samples=4000)],
        outputs=features,
    )
    assert manifest(tmp_path / "loud")["input"][0]["audio"] == {
        "sample_rate": 8000,
        "max_seconds": 600.0,
        "window_samples": 4000,
        "inputs": ["samples", "lengths"],
    }


def test_a_trace_that_kept_the_batch_size_is_refused(tmp_path: Path) -> None:
    class Flat(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return image.reshape(int(image.shape[0]), -1)[:, :4]

    with pytest.raises(export.ExportError, match="try method='script'"):
        write(Flat(), tmp_path / "flat", outputs=[export.Output("features", "features")])
    assert not (tmp_path / "flat").exists()
    write(Flat(), tmp_path / "flat", outputs=[export.Output("features", "features")], method="script")


def test_a_random_module_is_refused(tmp_path: Path) -> None:
    class Noise(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return torch.rand([image.shape[0], 4])

    with pytest.raises(export.ExportError, match="does not give what the module gives"):
        write(Noise(), tmp_path / "noise", outputs=[export.Output("features", "features")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": [export.Output("features", "features")]}, "gives 2 outputs, but 1 are declared"),
        (
            {"outputs": [OUTPUTS[0], export.Output("logits", "scores", labels=["one"])]},
            "2 scores, but there are 1 labels",
        ),
        ({"outputs": [OUTPUTS[0], export.Output("more", "features")]}, "only one output may have the role features"),
        ({"outputs": [OUTPUTS[0], export.Output("features")]}, "the same name"),
        ({"inputs": []}, "at least one input"),
        ({"inputs": [export.ImageInput(crop=16, channels="L")]}, r"the module fails on inputs \[2, 1, 16, 16\]"),
        ({"name": "a/b"}, "package name"),
        ({"method": "magic"}, "neither trace nor script"),
        (
            {"outputs": [OUTPUTS[0], export.Output("logits", "scores", labels="nowhere.txt")]},
            "nowhere.txt cannot be read",
        ),
        ({"files": {"../x": "no"}}, "cannot be the name of a file"),
        ({"files": {"model.pt": "no"}}, "cannot be the name of a file"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(
    net: nn.Module, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(export.ExportError, match=message):
        write(net, tmp_path / "net", **changes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: export.ImageInput(resize=256), "needs crop="),
        (lambda: export.ImageInput(crop=0), "positive whole number"),
        (lambda: export.ImageInput(crop=8, interpolation="area"), "none of nearest"),
        (lambda: export.ImageInput(crop=8, channels="L", mean=[0.5, 0.5, 0.5]), "mean needs 1 numbers"),
        (lambda: export.ImageInput(crop=8, std=[1, 0, 1]), "zero"),
        (lambda: export.ImageInput(resize=(4, 4), crop=(8, 8)), "larger than resize"),
        (lambda: export.TensorInput("x", [0]), "positive whole number"),
        (lambda: export.TensorInput("x", [3], "float"), "none of f32"),
        (lambda: export.TensorInput("1x"), "no digit first"),
        (lambda: export.TensorInput("x", [3], min=0), "is for whole numbers"),
        (lambda: export.TensorInput("x", [3], "i64", max=1.5), "must be a whole number"),  # type: ignore[arg-type]  # refused
        (lambda: export.TensorInput("x", [3], "i64", min=5, max=4), "min 5 is above max 4"),
        (lambda: export.TextInput("/nowhere/tokenizer.json"), "no tokenizer at"),
        (lambda: export.AudioInput(hop_samples=5), "need window_samples"),
        (lambda: export.AudioInput(window_samples=5, hop_samples=6), "would be skipped"),
        (lambda: export.AudioInput(inputs=["samples"]), "without lengths needs window_samples"),
        (lambda: export.Output("x", "embedding"), "none of features"),
        (lambda: export.Output("x", "features", labels=["a"]), "for role='scores'"),
    ],
)
def test_descriptions_check_themselves(make: Callable[[], object], message: str) -> None:
    with pytest.raises(export.ExportError, match=message):
        make()


def test_overwriting_is_asked_for_and_touches_packages_only(net: nn.Module, tmp_path: Path) -> None:
    write(net, tmp_path / "net", files={"old.txt": "old"})
    with pytest.raises(export.ExportError, match="overwrite=True"):
        write(net, tmp_path / "net")
    write(net, tmp_path / "net", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == ["labels.txt", "model.pt", "model.toml"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(export.ExportError, match="is not a model package"):
        write(net, tmp_path / "mine", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "net"]


def test_the_report_can_be_read(net: nn.Module, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(net, tmp_path / "net", quiet=False)
    page = capsys.readouterr().out
    for part in ("net  ->", "sha256", "crop=16", "logits scores f32 [2]", "1 row ", "3 rows", "frozen"):
        assert part in page


class Clips(nn.Module):
    """Rows of different length: twice each item, and how many there are."""

    def forward(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        own = torch.arange(samples.shape[1]).unsqueeze(0) < lengths.unsqueeze(1)
        return samples * 2 * own, lengths


def test_rows_of_different_length_say_their_number(tmp_path: Path) -> None:
    outputs = [export.Output("doubled", lengths="count"), export.Output("count")]
    write(Clips(), tmp_path / "clips", inputs=[export.AudioInput()], outputs=outputs, method="script")
    doubled, count = manifest(tmp_path / "clips")["output"]
    assert (doubled["shape"], doubled["lengths"], count["shape"]) == ([], "count", [])
    with pytest.raises(export.ExportError, match="does not name an output"):
        write(
            Clips(),
            tmp_path / "bad",
            inputs=[export.AudioInput()],
            outputs=[export.Output("a", lengths="b"), export.Output("c")],
        )


def test_inner_layers_become_outputs(net: nn.Module, tmp_path: Path) -> None:
    inner = next(name for name, part in net.named_modules() if isinstance(part, (nn.Linear, nn.Conv2d)))
    seen: list[Tensor] = []
    write(net, tmp_path / "net", layers={"inside": inner})
    assert not dict(net.named_modules())[inner]._forward_hooks, "the caller's module is as it was"
    dict(net.named_modules())[inner].register_forward_hook(lambda _part, _given, result: seen.append(result))
    image = torch.rand(2, 3, 16, 16)
    net(image)
    results = torch.jit.load(str(tmp_path / "net" / "model.pt"))(image)
    assert torch.allclose(results[-1], seen[0], atol=1e-6)
    table = manifest(tmp_path / "net")["output"][-1]
    assert (table["name"], table["role"], table["shape"]) == ("inside", "other", list(seen[0].shape[1:]))
    with pytest.raises(export.ExportError, match="no part no_such_layer"):
        write(net, tmp_path / "bad", layers={"inside": "no_such_layer"})


def test_a_variant_of_reduced_precision_is_measured(net: nn.Module, tmp_path: Path) -> None:
    report = write(net, tmp_path / "net", precisions=["bf16"])
    half, full = manifest(tmp_path / "net")["variant"]
    assert (half["precision"], half["file"], half["requires"]) == ("bf16", "model-bf16.pt", ["avx512_bf16"])
    assert 0.99 < half["cosine"] < 1 and full["precision"] == "f32" and "bf16" in str(report)
    image = torch.rand(2, 3, 16, 16)
    given = torch.jit.load(str(tmp_path / "net" / "model-bf16.pt"))(image)
    assert all(value.dtype == torch.float32 for value in given)
    assert torch.allclose(given[0], net(image)[0], atol=0.05, rtol=0.05)


class PartlyReduced(nn.Module):
    """Its first layer is in the given precision, its second in f32."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.dtype = dtype
        self.first, self.second = nn.Linear(8, 16).to(dtype), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.to(self.dtype)).float())


def test_a_variant_may_reduce_a_part_of_the_program(tmp_path: Path) -> None:
    full, part = PartlyReduced(torch.float32), PartlyReduced(torch.bfloat16)
    shared: dict[str, Any] = {"name": "net", "license": "MIT", "inputs": [export.TensorInput("x", [8])], "quiet": True}
    outputs = [export.Output("features", "features")]
    export.package(full, tmp_path / "net", outputs=outputs, precisions={"bf16": part}, **shared)
    half, _ = manifest(tmp_path / "net")["variant"]
    assert half["precision"] == "bf16" and 0.999 < half["cosine"] < 1
    stored = torch.jit.load(str(tmp_path / "net" / "model-bf16.pt"))
    assert [p.dtype for p in stored.parameters()] == [torch.bfloat16] * 2 + [torch.float32] * 2
    x = torch.rand(5, 8)
    assert torch.equal(stored(x), part(x)) and not torch.equal(part(x), full(x))


class Trained(nn.Module):
    """Has a layer that training changes, and a loss of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    @torch.jit.export
    def own(self, output: Tensor, label: Tensor) -> Tensor:
        return (output.sum(1) - label) ** 2


def test_a_trainable_package_can_still_be_trained(tmp_path: Path) -> None:
    shared: dict[str, Any] = {"name": "net", "license": "MIT", "inputs": [export.TensorInput("x", [4])], "quiet": True}
    outputs = [export.Output("logits", "scores")]
    export.trainable(Trained(), tmp_path / "net", outputs=outputs, **shared)
    text = (tmp_path / "net" / "model.toml").read_text()
    assert text.index("trainable = true") < text.index("[[input]]")
    program = torch.jit.load(str(tmp_path / "net" / "model.pt")).train()
    x = torch.ones(16, 4)
    assert not torch.equal(program(x), program(x)), "dropout is on in training"
    program.own(program(x), torch.zeros(16)).mean().backward()
    assert all(parameter.grad is not None for parameter in program.parameters())
    with pytest.raises(export.ExportError, match="nothing to train"):
        export.trainable(nn.Identity(), tmp_path / "other", outputs=[export.Output("features", "features")], **shared)
    assert not (tmp_path / "other").exists()


def test_limits_of_whole_numbers_are_in_the_manifest_and_kept_by_the_examples() -> None:
    import torch

    ids = export.TensorInput("ids", [16], "i64", min=5, max=9)
    assert ids.table() == {"name": "ids", "kind": "tensor", "dtype": "i64", "shape": [16], "min": 5, "max": 9}
    assert "min" not in export.TensorInput("ids", [16], "i64").table()
    for limits in ({"min": 5, "max": 9}, {"min": 7}, {"max": -3}, {"min": 4, "max": 4}, {"min": 0, "max": 9}):
        example = export.TensorInput("ids", [16], "i64", **limits).example(8, torch.Generator().manual_seed(1))[0]
        assert limits.get("min", -99) <= int(example.min()) and int(example.max()) <= limits.get("max", 99), limits
