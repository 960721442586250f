"""A standalone cluster whose machines share no files: with the driver, nor with one another."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import support
from standalone import WORKERS, sharing_nothing, standalone
from support import PROGRAMS, ROOT, environment, run


def test_models_and_trainings_need_no_shared_disk(tmp_path: Path, photos: dict[str, tuple[str, ...]]) -> None:
    driver, disk = tmp_path / "driver", tmp_path / "disk"
    shutil.copytree(support.PACKAGES / "tiny", driver / "packages" / "tiny")
    (driver / "photos").mkdir()
    for file in sorted(photos)[:8]:
        shutil.copy(support.PHOTOS / file, driver / "photos")
    # Where the driver has its jars, they have nothing.
    hidden = [driver, *sorted({Path(jar).parent for jar in support.jars()})]
    with standalone(tmp_path, sharing_nothing(disk, hidden)) as master:
        command: list[str | Path] = [sys.executable, PROGRAMS / "shared_nothing_job.py", master, disk, driver]
        done = run(command, tmp_path, environment(PYTHONPATH=str(ROOT / "python")))
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert result["machines"] == ["1", "2"] and result["seen"] == [False]
    assert all(label in photos[file] for file, label in result["labels"].items()) and len(result["labels"]) == 8
    assert result["features"] == 512
    assert result["right"] > 500 and result["of the package"] == result["right"]
    for number in WORKERS:
        kept = {path.name.split("-")[0] for path in (tmp_path / f"disk-{number}" / "tmp").glob("flambeau-*/*")}
        assert {"libtorch", "flambeau", "package", "model"} <= kept, kept
