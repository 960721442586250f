"""Loads and runs programs in a process that has libtorch and nothing else, as an executor does.

What lives here: a script, not a module. `executor` starts it, and it imports torch and nothing of ours. It reads folders from its
standard input, one per line. It loads the folder's `program.pt` and freezes it, or opens its `program.pt2`. It runs the program on
the batches in `batches.pt`, and writes `results.pt`, or `failed.json`. A line with the mark on its standard output says that it is
done; the program's own output there is ignored.
"""

import json
import os
import sys

# This script's folder; its files have the same names as other modules.
sys.path[:] = [place for place in sys.path if os.path.abspath(place) != os.path.dirname(os.path.abspath(__file__))]

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

MARK = "flambeau-done"
PROBLEM_CHARACTERS = 20_000


def evaluate(folder: Path) -> None:
    """One program over its batches."""
    program: Callable[..., Any]
    step, batch = "load", -1
    try:
        if (folder / "libraries.txt").is_file():
            torch.ops.load_library((folder / "libraries.txt").read_text(encoding="utf-8"))
        if (folder / "program.pt2").is_file():
            step = "open"
            program = compiled(folder / "program.pt2")
        else:
            program = torch.jit.load(str(folder / "program.pt"), map_location="cpu").eval()
            step = "freeze"
            program = torch.jit.freeze(program)
        step = "run"
        results = []
        for batch, tensors in enumerate(torch.load(folder / "batches.pt", weights_only=True)):  # noqa: B007 (told below)
            with torch.inference_mode():
                results.append(program(*tensors))
        torch.save(results, folder / "results.pt")
    except Exception as error:
        problem = {"step": step, "batch": batch, "problem": str(error)[:PROBLEM_CHARACTERS] or type(error).__name__}
        (folder / "failed.json").write_text(json.dumps(problem), encoding="utf-8")


def compiled(path: Path) -> Callable[..., Any]:
    """A function that runs the code in a `.pt2` file."""
    loader = torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, 1, -1)
    return lambda *tensors: loader.boxed_run(list(tensors))


warnings.simplefilter("ignore")
for line in sys.stdin:
    evaluate(Path(line.rstrip("\n")))
    print(f"\n{MARK}", flush=True)
