"""`python -m flambeau.models run`: the numbers of a query, without Spark."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flambeau import functions as F
from support import COMMAND_DEADLINE_S, MODEL, PACKAGES, PHOTOS, ROOT, environment

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def models(*arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command line as a user types it."""
    command = [sys.executable, "-m", "flambeau.models", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment(PYTHONPATH=str(ROOT / "python")),
        capture_output=True,
        text=True,
        timeout=COMMAND_DEADLINE_S,
        check=False,
    )


def f32(values: list[float]) -> list[float]:
    """As 32-bit floats, exactly: JSON holds the shortest text of each."""
    return [struct.unpack("f", struct.pack("f", value))[0] for value in values]


def test_photos_give_the_numbers_of_a_query(photo_table: DataFrame) -> None:
    done = models("run", "--json", "--k", "3", MODEL, PHOTOS / "chelsea.png", PHOTOS / "lion.jpg")
    assert done.returncode == 0, done.stderr
    wanted = photo_table.select(
        "file", F.featurize("content", MODEL).alias("features"), F.classify("content", MODEL, 3).alias("labels")
    )
    # One at a time, as `run` does it: a pass of two images may differ from one of a single image in the last bit.
    files = ("chelsea.png", "lion.jpg")
    rows = {row.file: row for file in files for row in wanted.where(f"file = '{file}'").collect()}
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(result["file"]).name for result in results] == ["chelsea.png", "lion.jpg"]
    for result in results:
        row = rows[Path(result["file"]).name]
        assert f32(result["outputs"]["features"]) == row.features
        assert [(entry["label"], entry["index"]) for entry in result["labels"]] == [
            (e.label, e["index"]) for e in row.labels
        ]
        assert f32([entry["probability"] for entry in result["labels"]]) == [entry.probability for entry in row.labels]


def test_a_page_for_people_and_bad_files(tmp_path: Path) -> None:
    (tmp_path / "right.json").write_text("[1, 2, 3, 4]")
    (tmp_path / "named.json").write_text('{"x": [0, 0, 1.5, 0]}')
    (tmp_path / "short.json").write_text("[1, 2]")
    (tmp_path / "text.json").write_text('["a"]')
    shutil.copy(PACKAGES / "tiny" / "model.pt", tmp_path / "net.pt")
    (tmp_path / "net.toml").write_text(
        '[[input]]\nname = "x"\nkind = "tensor"\nshape = [4]\n[[output]]\nname = "doubled"\nrole = "features"\nshape = [3]\n'
        '[[output]]\nname = "rest"\nrole = "other"\nshape = [3]\n'
    )
    done = models(
        "run", PACKAGES / "tiny", "right.json", "named.json", "short.json", "text.json", "none.json", cwd=tmp_path
    )
    assert done.returncode == 1
    assert "right.json\n    0.6652  c\n" in done.stdout
    assert "features [3]: 2, 4, 6" in done.stdout and "features [3]: 0, 0, 3" in done.stdout
    assert done.stdout.count("bad input:") == 3
    bare = models("run", "net.pt", "right.json", cwd=tmp_path)
    assert bare.returncode == 0, bare.stderr
    assert bare.stdout == "right.json\n  doubled [3]: 2, 4, 6\n  rest [3]: 2, 3, 4\n"


@pytest.mark.parametrize("model", ["no_such_model", str(PACKAGES / "bad_toml")])
def test_a_model_that_cannot_be_used_is_said(tmp_path: Path, model: str) -> None:
    (tmp_path / "x.json").write_text("[1]")
    done = models("run", model, tmp_path / "x.json")
    assert done.returncode == 1
    assert "flambeau.models: [FLAMBEAU_" in done.stderr and Path(model).name in done.stderr
