"""Lets Spark find the Python classes of Flambeau's ML stages.

When Spark reads a saved pipeline it imports, for each stage, the Python module that is called as the Java package
(`org.apache.spark` read as `pyspark`). Ours is `io.flambeau.ml`, and `io` is a module of Python's own that has no room
for others, so the name is put into `sys.modules` directly. The stages themselves (and `pyspark.ml`, and numpy) are
imported when the first is looked up.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from ._names import JAVA_PACKAGE


def _stage(name: str) -> Any:
    return getattr(importlib.import_module("flambeau.ml"), name)


alias = ModuleType(JAVA_PACKAGE, "The stages of flambeau.ml, by the name of their Java package.")
alias.__getattr__ = _stage  # type: ignore[method-assign]  # of this module alone
sys.modules.setdefault(JAVA_PACKAGE, alias)
