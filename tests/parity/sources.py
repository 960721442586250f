"""Where the parity references get their real data and networks from.

What lives here: `model`, which loads a recipe for its pins and its network. The archives themselves are those of
`models/archives.py`, which the examples and benchmarks use too.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "models"))
import archives
import recipe

__all__ = ["archives", "model", "recipe"]


def model(name: str) -> ModuleType:
    """The recipe `models/<name>.py`, which may be called like a package of its model's authors, so it is loaded by path."""
    spec = importlib.util.spec_from_file_location(f"flambeau_recipe_{name}", recipe.ROOT / "models" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
