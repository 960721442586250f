"""Tables of Delta Lake and Iceberg are written, merged and streamed with a model's columns."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import archives
from support import PHOTOS, PROGRAMS, ROOT, environment, run

JARS = {"delta": (archives.DELTA, archives.DELTA_STORAGE), "iceberg": (archives.ICEBERG,)}


@pytest.mark.parametrize("kind", list(JARS))
def test_a_table_with_features(kind: str, photos: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    jars = ",".join(str(archives.fetch(jar)) for jar in JARS[kind])
    job: list[str | Path] = [sys.executable, PROGRAMS / "tables_job.py", kind, jars, PHOTOS.as_uri(), tmp_path]
    done = run(job, tmp_path, environment(PYTHONPATH=str(ROOT / "python")))
    result = json.loads(done.stdout.splitlines()[-1])
    first = {photo for photo in photos if photo < "d"}
    assert set(result["written"]) == first and 5 < len(first) < len(photos)
    found = result["merged"]
    assert found == result["viewed"] == result["streamed"] and set(found) == set(photos)
    assert sum(label in photos[photo] for photo, label in found.items()) >= len(photos) - 1, "the demo's count"
    assert found == {**found, **result["written"]}
    assert result["apart"] < 1e-5, "a photo's batch is another one, and some processors add in another order then"
    assert result["generated"].startswith("UNSUPPORTED_FEATURE"), "docs/tables.md says that a view is the way"
