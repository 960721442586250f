"""What users of earlier versions have saved loads in this one, with the same results: packages, pipelines, models of groups.

Each folder of `fixtures/saved` is of one version; `fixtures/save_release.py` has made it, with that version's jars.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import ROOT

sys.path.append(str(Path(__file__).resolve().parent / "fixtures"))
from save_release import answers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SAVED = Path(__file__).resolve().parent / "fixtures" / "saved"


def near(value: Any) -> Any:
    """To compare with: numbers may differ as those of two processors do."""
    if isinstance(value, dict):
        return {key: near(part) for key, part in value.items()}
    if isinstance(value, list):
        return [near(part) for part in value]
    return pytest.approx(value, rel=1e-4, abs=1e-5) if isinstance(value, float) else value


@pytest.mark.parametrize("version", sorted(folder.name for folder in SAVED.iterdir()))
def test_what_a_release_saved_gives_the_same_results(spark: SparkSession, version: str) -> None:
    expected = json.loads((SAVED / version / "answers.json").read_text(encoding="utf-8"))
    assert {
        "tiny",
        "tiny_labels",
        "image_tiny",
        "head",
        "numbers",
        "pictures",
        "groups",
        "parameters",
    } == expected.keys()
    assert len(expected["numbers"]) == 40 and len(expected["pictures"]) == len(expected["head"]) == 20
    found = answers(spark, SAVED / version)
    for name, result in expected.items():
        assert found[name] == near(result), name


def test_there_is_a_folder_for_each_release() -> None:
    sections = re.findall(r"^## (\d\S+) — (.+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    saved = {folder.name for folder in SAVED.iterdir()}
    assert (
        {version for version, date in sections if date != "not released"}
        <= saved
        <= {version for version, _ in sections}
    )
