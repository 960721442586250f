"""What the files of a model on Hugging Face say besides its settings: the license in the head of its `README.md`."""

from __future__ import annotations

import re
from os import PathLike, fspath
from pathlib import Path
from typing import Any

SPELLED = {
    "afl-3.0": "AFL-3.0",
    "apache-2.0": "Apache-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc0-1.0": "CC0-1.0",
    "gpl-3.0": "GPL-3.0-only",
    "mit": "MIT",
}
"""Hugging Face writes SPDX's names in lower case."""


def spdx(name: str | None) -> str | None:
    """The license as an SPDX expression, or as it is written if it is not one that we know."""
    return None if name is None else SPELLED.get(name.lower(), name)


def license_of(model: Any) -> str | None:
    """The license of a model's folder; None if it has no card, or the card has none."""
    if not isinstance(model, (str, PathLike)):
        return None
    card = Path(fspath(model)) / "README.md"
    if not card.is_file():
        return None
    head = re.match(r"---\n(.*?)\n---", card.read_text(encoding="utf-8"), re.DOTALL)
    found = re.search(r"^license:\s*([^\s#]+)", head[1], re.MULTILINE) if head else None
    return spdx(found[1].strip("'\"")) if found else None


def name_of(model: Any, otherwise: str) -> str:
    """A package's name: the folder's, with the characters that packages have."""
    raw = Path(fspath(model)).name if isinstance(model, (str, PathLike)) else otherwise
    return re.sub(r"[^A-Za-z0-9_.-]", "_", raw)
