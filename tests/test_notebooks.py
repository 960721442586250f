"""The notebooks of examples/notebooks run from top to bottom, with a real kernel, real Spark and published weights.

What a cell prints and draws is checked here; the notebooks hold no asserts. In git they hold no output, so that a change of one shows what
its author changed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from support import ROOT, environment

NOTEBOOKS = ROOT / "examples" / "notebooks"
EXPECTED = {
    "photos": [
        r"<img src=\"data:image/jpeg[^>]*>",
        r"\|cheetah +\|2 +\|0\.\d+ *\|",
        r"<figcaption>0\.\d\d · cheetah2\.jpg</figcaption>",
        "content: a picture that cannot be drawn: image file is truncated",
        "neither a picture nor a sound",
        r"Spark tasks: 100%",
    ],
    "transfer_learning": [
        r"304 photos",
        r"0\.[67]\d\d \{'learningRate': 0\.\d+, 'weightDecay': 0\.\d\}",
        r"[78]\d\.\d% of 151 photos are right",
        r"epochs: 100%\S+ 20/20 .*loss 0\.\d+",
    ],
    "texts": [r"2000 definitions", r"a large wild cat</p>.*<p>0\.\d\d · bobcat · small lynx", r"\|0\.8\d+\| *[a-z]"],
    "sounds": [
        r"<audio controls[^>]*src=\"data:audio/wav",
        "the first 16.4 s",
        r"\| +true\| *\d{3,4}\| *\d{4}\|",
        "image/png",
    ],
    "training": [
        r"\| *true\|  360\|",
        r"epochs: 100%\S+ 15/15 .*loss 0\.\d+",
        r"9\d\.\d% of the definitions that were held out are right",
        "image/png",
        r"a bird of prey that hunts at night</p><div[^>]*><span>animal</span>",
        r"a soup of beets and cream</p><div[^>]*><span>food</span>",
    ],
}
"""Notebook -> what its outputs must have (regular expressions)."""


def read(name: str) -> Any:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]  # it has no types


def outputs(notebook: Any) -> str:
    """What all cells printed, and what they drew, as text; binary data by its type."""
    parts = []
    for output in (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs):
        if output.output_type == "stream":
            parts.append(output.text)
        elif "data" in output:
            parts += [kind if kind == "image/png" else str(content) for kind, content in output.data.items()]
    return "\n".join(parts)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_notebook_runs(name: str) -> None:
    notebook = read(name)
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOKS)}}
    )
    client.execute(env=environment())
    printed = outputs(notebook)
    for expected in EXPECTED[name]:
        assert re.search(expected, printed, re.DOTALL), re.sub(r"base64,[^\"]+", "…", printed)[-6000:]


def test_every_notebook_is_run_and_linked() -> None:
    names = {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    assert names == set(EXPECTED)
    for page in ("docs/README.md", "docs/platforms/notebooks.md"):
        linked = set(re.findall(r"examples/notebooks/(\w+)\.ipynb\)", (ROOT / page).read_text(encoding="utf-8")))
        assert linked == names, page


@pytest.mark.parametrize("name", EXPECTED)
def test_a_notebook_in_git_has_no_output(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert not cell.metadata
        assert cell.cell_type == "markdown" or (cell.outputs == [] and cell.execution_count is None)
    assert (NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8").endswith("}\n")
    assert notebook.cells[0].source.startswith("# ") and Path(NOTEBOOKS / f"{name}.ipynb").stat().st_size < 10_000
