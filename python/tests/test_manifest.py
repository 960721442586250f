"""The rules of `model.toml` in Python are those of the engine: both tell the same of every manifest in `tests/manifests.json`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from flambeau import FlambeauError
from flambeau._manifest import problem
from flambeau.models import open_package

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLE = json.loads((Path(__file__).parents[2] / "tests" / "manifests.json").read_text(encoding="utf-8"))


def cases(verdict: str) -> list[Any]:
    return [pytest.param(case["edits"], id=case["why"]) for case in TABLE[verdict]]


def edited(edits: list[tuple[str, str]]) -> str:
    text = "\n".join(TABLE["manifest"])
    for find, replacement in edits:
        assert text.count(find) == 1, find
        text = text.replace(find, replacement)
    return text


@pytest.mark.parametrize("edits", cases("accepted"))
def test_what_the_engine_accepts_is_accepted(edits: list[tuple[str, str]]) -> None:
    assert problem(tomllib.loads(edited(edits))) is None


@pytest.mark.parametrize("edits", cases("refused"))
def test_what_the_engine_refuses_is_refused(edits: list[tuple[str, str]], tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text(edited(edits), encoding="utf-8")
    try:
        tables = open_package(tmp_path).manifest()
    except FlambeauError:
        return
    assert problem(tables)
