"""Packages of programs that are in a file already: those of `torch.export`, and ONNX files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from flambeau import export, models
from flambeau.export.cli import main

X = [export.TensorInput("x", [4])]
Y = [export.Output("y")]
ROWS = ({0: torch.export.Dim("rows", min=1)},)


def net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3)).eval()


def program(dynamic: Any = ROWS) -> torch.export.ExportedProgram:
    return torch.export.export(net(), (torch.rand(2, 4),), dynamic_shapes=dynamic)


@pytest.mark.parametrize("unwrap", [False, True])
def test_a_program_of_torch_export_becomes_a_package(tmp_path: Path, unwrap: bool) -> None:
    given: Any = program().module() if unwrap else program()
    export.package(given, tmp_path / "net", name="net", inputs=X, outputs=Y, license="MIT", quiet=True)
    batch = torch.rand(5, 4)
    packaged = torch.jit.load(tmp_path / "net" / "model.pt")
    assert torch.equal(packaged(batch), net()(batch))


def test_the_command_takes_a_pt2_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.export.save(program(), tmp_path / "net.pt2")
    options = ["--input", "x:tensor:f32:4", "--output", "y", "--license", "MIT", "--out", str(tmp_path / "net")]
    assert main(["--exported", str(tmp_path / "net.pt2"), *options]) == 0
    assert models.find("net", [str(tmp_path)]).manifest()["name"] == "net"
    (tmp_path / "text.pt2").write_text("no program")
    assert main(["--exported", str(tmp_path / "text.pt2"), *options]) == 1
    assert "text.pt2 is not a program of torch.export" in capsys.readouterr().err


def test_a_program_of_one_batch_size_is_told_how_to_export_it(tmp_path: Path) -> None:
    given: Any = program(None)
    with pytest.raises(export.ExportError, match="dynamic_shapes"):
        export.package(given, tmp_path / "net", name="net", inputs=X, outputs=Y, license="MIT", quiet=True)
    assert list(tmp_path.iterdir()) == []


def graph(nodes: list[Any], *initializers: Any, size: int | str = 4) -> Any:
    """A model `x` [rows, size] -> `y`."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", size])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    made = helper.make_graph(nodes, "net", [x], [y], list(initializers))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def integers(name: str, *values: int) -> Any:
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def write(model: Any, folder: Path, **options: Any) -> export.ExportReport:
    onnx.save(model, folder / "net.onnx")
    return export.from_onnx(folder / "net.onnx", folder / "net", license="MIT", quiet=True, **options)


def sizes() -> Any:
    """Every operator that computes with sizes, over a batch of any size: y = relu(x W + ones), its last column, reversed rows of it."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4, 3], [0.1 * i - 0.5 for i in range(12)])
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"]),
        helper.make_node("Shape", ["xw"], ["shape"]),
        helper.make_node(
            "ConstantOfShape", ["shape"], ["ones"], value=helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
        ),
        helper.make_node("Add", ["xw", "ones"], ["sum"]),
        helper.make_node("Slice", ["sum", "from", "to", "axis", "step"], ["reversed"]),
        helper.make_node("Gather", ["shape", "zero"], ["rows"]),
        helper.make_node("Concat", ["rows", "three"], ["two"], axis=0),
        helper.make_node("Reshape", ["reversed", "two"], ["again"]),
        helper.make_node("Slice", ["again", "zero", "first", "axis"], ["column"]),
        helper.make_node("Expand", ["column", "two"], ["wide"]),
        helper.make_node("Add", ["again", "wide"], ["y"]),
    ]
    return graph(
        nodes, weight, integers("from", -1), integers("to", -(2**63)), integers("axis", 1), integers("step", -1), integers("zero", 0),
        integers("three", 3), integers("first", 1),
    )  # fmt: skip


def test_an_onnx_file_becomes_a_package_that_was_compared_with_onnx_runtime(tmp_path: Path) -> None:
    import onnxruntime

    report = write(sizes(), tmp_path)
    assert report.inputs and "x tensor f32 [4]" in report.inputs[0]
    batch = torch.rand(7, 4)
    (expected,) = onnxruntime.InferenceSession(str(tmp_path / "net.onnx")).run(None, {"x": batch.numpy()})
    result = torch.jit.load(tmp_path / "net" / "model.pt")(batch)
    assert (result - torch.from_numpy(expected)).abs().max() < 1e-6
    record = json.loads((tmp_path / "net" / "onnx.json").read_text())
    assert [each["rows"] for each in record["compared"]] == [1, 2, 5]
    assert all(each["cosine"] > 0.999999 and each["difference"] < 1e-6 for each in record["compared"])
    assert record["onnxruntime"] == onnxruntime.__version__
    manifest = models.find("net", [str(tmp_path)]).manifest()
    assert "least cosine to ONNX Runtime" in manifest["description"] and "onnx.json" in manifest["files"]


def test_the_command_takes_an_onnx_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(sizes(), tmp_path / "net.onnx")
    assert main(["onnx", str(tmp_path / "net.onnx"), "--license", "MIT", "--out", str(tmp_path / "net")]) == 0
    assert main(["onnx", str(tmp_path / "absent.onnx"), "--license", "MIT", "--out", str(tmp_path / "absent")]) == 1
    assert "absent.onnx is not an ONNX file" in capsys.readouterr().err


def test_what_an_onnx_file_cannot_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(export.ExportError, match=r"does not have the operator Det \(version 11\)"):
        write(graph([helper.make_node("Det", ["x"], ["y"])]), tmp_path)
    with pytest.raises(export.ExportError, match=r"sizes that the file leaves open \(\['\?', '\?'\]\)"):
        write(graph([helper.make_node("Relu", ["x"], ["y"])], size="items"), tmp_path)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(export.ExportError, match="is not an ONNX file"):
        export.from_onnx(tmp_path / "text.onnx", tmp_path / "net", license="MIT")
    assert not (tmp_path / "net").exists()


class Mean(nn.Module):
    """The converted network, then the mean of its outputs."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean: torch.Tensor = self.inner(x).mean(dim=1, keepdim=True)
        return mean


def test_a_module_around_it_may_pool(tmp_path: Path) -> None:
    write(sizes(), tmp_path, around=Mean, outputs=[export.Output("features", "features")])
    assert torch.jit.load(tmp_path / "net" / "model.pt")(torch.rand(6, 4)).shape == (6, 1)
