"""No two files need each other: the files of a Rust folder, and the modules of the Python package, use each other one way."""

from __future__ import annotations

import ast
import graphlib
import re
from pathlib import Path

import pytest

from support import ROOT

RUST = sorted({file.parent for file in (ROOT / "rust").glob("*/src/**/*.rs")})
PYTHON = ROOT / "python"


def modules(folder: Path) -> dict[str, list[Path]]:
    """Modules of a Rust folder -> their files."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*.rs")):
        name = file.relative_to(folder).parts[0].removesuffix(".rs")
        if name not in ("lib", "mod", "tests"):
            found.setdefault(name, []).append(file)
    return found


def named(file: Path, folder: Path) -> set[str]:
    """Names that a file takes from the Rust folder, outside of its tests."""
    code = re.sub(r"//[^\n]*", "", file.read_text(encoding="utf-8")).partition("\nmod tests {")[0]
    levels = len(file.relative_to(folder).parts) - (file.name == "mod.rs")
    paths = [rf"(?<!super::)\b{'super::' * levels}"]
    if folder.name == "src":
        paths.append(r"\bcrate::")
    taken = [part for path in paths for part in re.findall(path + r"(\w+|\{[^;]*\})", code)]
    return {name for part in taken for name in re.findall(r"(?<!:)\b\w+", part)}


@pytest.mark.parametrize("folder", RUST, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_files_of_a_rust_folder_use_each_other_one_way(folder: Path) -> None:
    files = modules(folder)
    arrows = {name: {other for file in own for other in named(file, folder)} for name, own in files.items()}
    graph = {name: (others & set(files)) - {name} for name, others in arrows.items()}
    graphlib.TopologicalSorter(graph).prepare()  # fails with the circle


def imported(name: str, file: Path, known: set[str]) -> set[str]:
    """Modules of ours that a module imports, at its top or later."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            found |= {full if (full := f"{source}.{each.name}") in known else source for each in node.names}
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
    return (found & known) - {name}


def test_python_modules_import_each_other_one_way() -> None:
    files = {}
    for file in sorted((PYTHON / "flambeau").rglob("*.py")):
        files[".".join(file.relative_to(PYTHON).with_suffix("").parts).removesuffix(".__init__")] = file
    graph = {name: imported(name, file, set(files)) for name, file in files.items()}
    assert sum(map(len, graph.values())) > 50
    graphlib.TopologicalSorter(graph).prepare()  # fails with the circle
