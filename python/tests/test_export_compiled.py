"""Variants compiled ahead of time: near the module and measured, or refused with a message that says what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from flambeau import export

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

IMAGE = export.ImageInput(resize=20, crop=16)
OUTPUTS = [export.Output("features", "features"), export.Output("logits", "scores")]


def write(module: nn.Module, path: Path, variants: list[str]) -> export.ExportReport:
    """The usual package, with these variants."""
    return export.package(
        module, path, name="net", inputs=[IMAGE], outputs=OUTPUTS, license="MIT", quiet=True, variants=variants
    )


def test_compiled_code_is_measured_and_says_where_it_runs(net: nn.Module, tmp_path: Path) -> None:
    report = write(net, tmp_path / "net", variants=["aot-bf16"])
    code, script = tomllib.loads((tmp_path / "net" / "model.toml").read_text(encoding="utf-8"))["variant"]
    assert (code["engine"], code["precision"], code["file"]) == ("aot_inductor", "bf16", "model-aot-bf16.pt2")
    assert code["libtorch"] == torch.__version__.partition("+")[0] and "libtorch" not in script
    assert {"avx2", "avx512_bf16", "fma"} <= set(code["requires"]) and 0.99 < code["cosine"] < 1
    assert "aot-bf16" in str(report)
    loader = torch._C._aoti.AOTIModelPackageLoader(str(tmp_path / "net" / code["file"]), "model", False, 1, -1)
    for rows in (1, 2, 7):
        image = torch.rand(rows, 3, 16, 16).contiguous(memory_format=torch.channels_last)
        for given, right in zip(loader.boxed_run([image]), net(image)):
            assert given.dtype == torch.float32
            assert torch.allclose(given, right, atol=0.05, rtol=0.05)


def test_without_a_compiler_the_message_says_what_to_do(
    net: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(export.ExportError, match=r"no C\+\+ compiler.*Machines that only run the package need none"):
        write(net, tmp_path / "net", variants=["aot-f32"])
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize(
    ("variant", "scripted", "says"),
    [("aot-f64", False, "is none of aot-f32, aot-bf16, aot-f16"), ("aot-f32", True, "needs the module in Python")],
)
def test_what_cannot_be_compiled_is_refused(
    net: nn.Module, tmp_path: Path, variant: str, scripted: bool, says: str
) -> None:
    with pytest.raises(export.ExportError, match=says):
        write(torch.jit.script(net) if scripted else net, tmp_path / "net", variants=[variant])
    assert not (tmp_path / "net").exists()
