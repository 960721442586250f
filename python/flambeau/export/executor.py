"""A process with libtorch alone, in which programs are tried before they are packaged.

What lives here: `run_bare`. The process that exports has imported whatever the model needed (torchvision, custom operators);
an executor has not. So the program is loaded, frozen and run by `bare.py` in a child process, and only its results
count.

Ownership: one child for each exporting process, started at the first call, kept because importing torch takes longer than most
programs run, and ended at exit. A lock lets one thread use it at a time. If a program crashes the child, this process continues.
"""

from __future__ import annotations

import atexit
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from .errors import ExportError

SCRIPT = Path(__file__).with_name("bare.py")
MARK = "flambeau-done"
UNKNOWN_OPERATOR = re.compile(
    r"Unknown builtin op: (\w+)::(\w+)|Could not find (?:any )?(?:schema|operator)\S* for (\w+)::(\w+)"
)
LAST_WORDS = 2_000
VISION = frozenset({"nms", "roi_align", "box_iou_rotated"})
"""The operators of torchvision that executors know. The last is named by the losses of its detectors, and cannot be called."""


class _Child:
    """The process and its log. Made under the lock."""

    def __init__(self) -> None:
        folder = str(Path(torch.__file__).parents[1])
        path = os.pathsep.join(part for part in (os.environ.get("PYTHONPATH"), folder) if part)
        environment = {**os.environ, "PYTHONPATH": path, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}
        self.owner = os.getpid()
        self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=environment,
            text=True,
        )

    def usable(self) -> bool:
        """Whether it is ours (not a fork's parent's) and lives."""
        return self.owner == os.getpid() and self.process.poll() is None

    def do(self, folder: Path) -> bool:
        """Passes one folder on and waits; False if the process died."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(f"{folder}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return False
        return any(line.rstrip("\n") == MARK for line in self.process.stdout)

    def last_words(self) -> str:
        """How it ended, and the end of what it wrote on stderr."""
        code = self.process.wait()
        self.log.seek(0)
        said = self.log.read().decode("utf-8", "replace").strip()[-LAST_WORDS:]
        return f"exit code {code}{': ' if said else ''}{said}"

    def close(self) -> None:
        """Ends it; a fork leaves its parent's alone."""
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()
            self.log.close()


_lock = threading.Lock()
_child: _Child | None = None


@atexit.register
def _end() -> None:
    if _child is not None:
        _child.close()


def run_bare(
    program: bytes, batches: Sequence[Sequence[Tensor]], what: str = "the program", suffix: str = ".pt"
) -> list[Any]:
    """What the program returns for each batch, from a process with libtorch only: a `.pt` frozen, a `.pt2` as it is.

    Raises:
        ExportError: it cannot be loaded there, or fails there; the message says on which batch and what to do.
    """
    global _child
    with _lock, tempfile.TemporaryDirectory(prefix="flambeau-export-") as temporary:
        folder = Path(temporary)
        (folder / f"program{suffix}").write_bytes(program)
        torch.save([list(batch) for batch in batches], folder / "batches.pt")
        vision = _called(program, "torchvision")
        if vision - VISION:
            raise ExportError(_lacks(what, "torchvision", sorted(vision - VISION)))
        if vision:
            (folder / "libraries.txt").write_text(_vision_library(), encoding="utf-8")
        if _child is None or not _child.usable():
            _child = _Child()
        if not _child.do(folder):
            words = _child.last_words()
            _child.close()
            _child = None
            raise ExportError(
                f"{what} ended the process that ran it ({words}). It would end executors too: find the part that does it by "
                "exporting the module without it"
            )
        if (folder / "failed.json").is_file():
            failed = json.loads((folder / "failed.json").read_text(encoding="utf-8"))
            raise ExportError(_explained(what, program, failed, batches))
        results: list[Any] = torch.load(folder / "results.pt", weights_only=True)
    return results


def _vision_library() -> str:
    """The file with torchvision's operators; the exporting process has it, since its model calls them."""
    found = importlib.util.find_spec("torchvision")
    assert found is not None and found.origin is not None
    return str(next(Path(found.origin).parent.glob("_C*.so")))


def _called(program: bytes, space: str) -> set[str]:
    """The operators of a namespace that the program's code calls."""
    with zipfile.ZipFile(io.BytesIO(program)) as archive:
        code = b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".py"))
    return {found.decode() for found in re.findall(rb"\bops\.%s\.(\w+)\(" % space.encode(), code)}


def _lacks(what: str, space: str, names: Sequence[str]) -> str:
    return (
        f"no executor can load {what}: it calls {', '.join(f'{space}::{name}' for name in names)}, which libtorch does not have "
        f"(a package named {space} or your own code brought it into this process, and executors have libtorch only). Write "
        f"that part in plain torch operations{NMS if 'nms' in names else ''}, or leave it out of the module and do it in the query"
    )


def _explained(what: str, program: bytes, failed: dict[str, Any], batches: Sequence[Sequence[Tensor]]) -> str:
    lines = [line.strip() for line in failed["problem"].strip().splitlines() if line.strip()]
    unknown = UNKNOWN_OPERATOR.search(failed["problem"])
    if failed["step"] == "open":
        return f"{what} cannot be loaded in a process with libtorch only: {lines[0]}"
    if failed["step"] == "run":
        shapes = ", ".join(f"{list(tensor.shape)} {tensor.dtype}" for tensor in batches[failed["batch"]])
        return (
            f"{what} fails where the module does not, in a process with libtorch only, on inputs {shapes}: {lines[-1]} "
            "(a trace keeps the sizes it saw; try method='script')"
        )
    if unknown:
        space = unknown[1] or unknown[3]
        return _lacks(what, space, sorted(_called(program, space) or {unknown[2] or unknown[4]}))
    return (
        f"no executor can load {what}: in a process with libtorch only, torch.jit.{failed['step']} says: {lines[0]}. Leave out "
        "what is not plain PyTorch (custom operators, custom C++ classes)"
    )


NMS = " (for nms: a loop over the boxes in falling order of score, with method='script')"
