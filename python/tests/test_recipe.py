"""`models/recipe.py`: fetched files are the pinned ones. Uses one real 22 kB wheel from the package index."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import recipe

SMALL = recipe.Wheel(
    "efficientnet_lite_pytorch",
    "0.1.0",
    "ce0fe869b0e829aceafc32f84275a40c0e3418d19216401b03f695f5f20cbc41",
    license="Apache-2.0",
)


def test_a_wheel_is_fetched_once_and_repaired(tmp_path: Path) -> None:
    first = recipe.fetch(SMALL, tmp_path)
    written = first.stat().st_mtime_ns
    assert recipe.fetch(SMALL, tmp_path) == first
    assert first.stat().st_mtime_ns == written
    first.write_bytes(b"altered")
    assert recipe.sha256_of(recipe.fetch(SMALL, tmp_path)) == SMALL.sha256
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


def test_another_hash_is_an_error_and_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(recipe.RecipeError, match=f"has SHA-256 {SMALL.sha256}, but 0000"):
        recipe.fetch(dataclasses.replace(SMALL, sha256="0" * 64), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_version_that_is_not_published_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(recipe.RecipeError, match=r"could not download efficientnet_lite_pytorch==9\.9\.9"):
        recipe.fetch(dataclasses.replace(SMALL, version="9.9.9"), tmp_path)


def test_members_are_read_without_installing(tmp_path: Path) -> None:
    wheel = recipe.fetch(SMALL, tmp_path)
    assert b"class EfficientNet" in recipe.read_member(wheel, "efficientnet_lite_pytorch/model.py")
    with pytest.raises(recipe.RecipeError, match=r"has no nothing\.txt"):
        recipe.read_member(wheel, "nothing.txt")
    assert (recipe.extract(wheel, tmp_path / "out") / "efficientnet_lite_pytorch" / "utils.py").is_file()
