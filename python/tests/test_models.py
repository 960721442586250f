"""`flambeau.models`: packages in folders, zips and jars are found, shown and checked."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest
from torch import nn

from flambeau import FlambeauError, export
from flambeau.models import find, main, open_package


@pytest.fixture
def folder(net: nn.Module, tmp_path: Path) -> Path:
    """A folder with one package, `net`."""
    export.package(
        net,
        tmp_path / "packages" / "net",
        name="net",
        inputs=[export.ImageInput(crop=16, resize=16)],
        outputs=[export.Output("features", "features"), export.Output("logits", "scores", labels=["cat", "dog"])],
        license="MIT",
        quiet=True,
    )
    return tmp_path / "packages"


@pytest.fixture
def jar(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A jar that carries the package, as the only one that the session knows."""
    path = folder.parent / "flambeau-spark4.1_2.13-0.0.0.jar"
    with zipfile.ZipFile(path, "w") as archive:
        for file in (folder / "net").iterdir():
            archive.write(file, f"flambeau/models/embedded/{file.name}")
        archive.writestr("flambeau/models/embedded/package.index", "")
    monkeypatch.setenv("FLAMBEAU_JARS", str(path))
    return path


def test_list_names_folders_zips_and_jars(folder: Path, jar: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.make_archive(str(folder / "zipped"), "zip", folder / "net")
    assert main(["list", "--path", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [["net", "image", "MIT"]] * 3
    assert lines[0].endswith("packages/net")
    assert lines[1].endswith("zipped.zip")
    assert lines[2].endswith(f"{jar.name}!/flambeau/models/embedded")


def test_list_goes_on_after_a_package_it_cannot_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken").mkdir()
    (folder / "broken" / "model.toml").write_text('name = "')
    assert main(["list", "--path", str(folder)]) == 0
    page = capsys.readouterr().out
    assert "(unreadable)" in page
    assert "packages/net" in page


def test_show_tells_what_goes_in_and_out(folder: Path, jar: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("net", "embedded", str(folder / "net")):
        assert main(["show", name, "--path", str(folder)]) == 0
        page = capsys.readouterr().out
        for part in ("crop=16", "logits: scores shape=[2]", "model.pt: torchscript, f32", "sha256"):
            assert part in page


def test_check_finds_changed_missing_and_foreign_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder / "net")]) == 0
    (folder / "net" / "model.pt").write_bytes(b"other")
    (folder / "net" / "labels.txt").unlink()
    (folder / "net" / "extra.bin").write_bytes(b"?")
    assert main(["check", str(folder / "net")]) == 1
    said = capsys.readouterr().err
    assert "model.pt has SHA-256 d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa" in said
    assert "no file labels.txt" in said
    assert "extra.bin is not named" in said


def test_a_package_inside_a_jar_is_checked_in_place(jar: Path) -> None:
    assert find("embedded").problems() == []


def test_a_zip_may_hold_the_folder(folder: Path) -> None:
    shutil.make_archive(str(folder.parent / "whole"), "zip", folder, "net")
    assert open_package(folder.parent / "whole.zip").problems() == []


def test_an_unknown_name_lists_the_known(folder: Path, jar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAMBEAU_MODELS_PATH", f"{folder}, /nowhere")
    with pytest.raises(FlambeauError, match="no model 'nte'; known: net, embedded"):
        find("nte")
    with pytest.raises(FlambeauError, match="is not a model package"):
        find(str(folder))


def test_a_bare_program_is_described_by_the_toml_beside_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = folder / "bare.pt"
    shutil.copy(folder / "net" / "model.pt", bare)
    with pytest.raises(FlambeauError, match="is not a model package"):
        open_package(bare)
    bare.with_suffix(".toml").write_text(
        '[[input]]\nname = "x"\nkind = "tensor"\n[[output]]\nname = "y"\nrole = "features"\nshape = [2]\n'
    )
    assert open_package(bare).problems() == []
    assert main(["show", "bare", "--path", str(folder)]) == 0
    page = capsys.readouterr().out
    assert "bare  (NOASSERTION)" in page
    assert f"{hashlib.sha256(bare.read_bytes()).hexdigest()}  bare.pt" in page


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("input = 3", r"write input as tables, each below a line \[\[input\]\]"),
        ("variant = [1]", "write variant as tables"),
        ("[files]\na = 1", r"\[files\] must hold strings"),
        ('[[variant]]\nfile = ["a"]\nsha256 = "b"', r"\[\[variant\]\] must hold strings"),
        ('[[variant]]\nfile = "a"\nsha256 = "b"\nhead = 1', r"\[variant\.head\] is not a table"),
        ('[[variant]]\nfile = "../../etc/passwd"\nsha256 = "b"', "is not the name of a file in the package's folder"),
        ('[files]\n"/etc/passwd" = "b"', "is not the name of a file in the package's folder"),
        ('[files]\n"a\\u0000" = "b"', "is not the name of a file in the package's folder"),
        ("x = " + "[" * 5_000, "is not TOML"),
        ("x = 1\n" * 200_000, "is larger than 1048576 bytes"),
    ],
)
def test_a_manifest_of_the_wrong_types_is_said(folder: Path, manifest: str, message: str) -> None:
    (folder / "net" / "model.toml").write_text(manifest)
    package = open_package(folder / "net")
    with pytest.raises(FlambeauError, match=message):
        raise FlambeauError("; ".join(package.problems()))


def test_a_damaged_zip_is_said_and_does_not_hide_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = Path(shutil.make_archive(str(folder / "zipped"), "zip", folder / "net")).read_bytes()
    middle = whole.index(b"model.toml") + 40
    (folder / "zipped.zip").write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    with pytest.raises(FlambeauError, match="cannot be read"):
        raise FlambeauError("; ".join(open_package(folder / "zipped.zip").problems()))
    (folder / "broken.zip").write_bytes(whole[:-200] + b"\xff" * 100 + whole[-100:])
    (folder / "other.zip").write_bytes(b"PK\5\6" + b"\0" * 18)
    assert main(["list", "--path", str(folder)]) == 0
    page = capsys.readouterr().out
    assert "packages/net" in page and page.count("(unreadable)") == 3, page
