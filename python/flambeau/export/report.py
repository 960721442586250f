"""What an export did, as an object and as a page of text.

What lives here: `ExportReport`, which `flambeau.export.package` returns and prints (it holds plain values only), and
`Progress`, which reports on stderr what a long export is doing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .program import Parity

SILENT_S = 5.0
"""An export shorter than this prints nothing before its report."""


class Progress:
    """Knows since when the export runs. Owned by one thread."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._start = time.monotonic()

    def say(self, what: str) -> None:
        """A line on stderr, once the export has taken a while."""
        if not self._quiet and self.seconds > SILENT_S:
            print(f"flambeau.export: {self.seconds:.0f} s: {what}", file=sys.stderr, flush=True)

    @property
    def seconds(self) -> float:
        """How long the export has run."""
        return time.monotonic() - self._start


@dataclass(frozen=True)
class ExportReport:
    """One package, as it was written.

    `inputs` and `outputs` are lines of text. `parity` has every comparison with the eager module. `warnings` has findings that are not
    errors, and torch's own warnings from tracing or scripting. `variants` are lines about programs of reduced precision. `seconds` is
    how long the export took.
    """

    path: Path
    name: str
    method: str
    sha256: str
    program_bytes: int
    parameters: int
    inputs: Sequence[str]
    outputs: Sequence[str]
    parity: Sequence[Parity]
    warnings: Sequence[str] = field(default=())
    variants: Sequence[str] = field(default=())
    seconds: float = 0.0

    @property
    def cosine(self) -> float:
        """The least cosine between eager module and program over all outputs, batch sizes and rows."""
        return min(item.cosine for item in self.parity)

    def __str__(self) -> str:
        size = f"{self.program_bytes / 1e6:.1f} MB" if self.program_bytes >= 1e6 else f"{self.program_bytes} bytes"
        lines = [
            f"{self.name}  ->  {self.path}",
            f"  program     TorchScript, {self.method}, {size}, {self.parameters:,} parameters, f32",
            f"  sha256      {self.sha256}",
        ]
        for title, entries in (("input", self.inputs), ("output", self.outputs)):
            for entry in entries:
                lines.append(f"  {title:<11} {entry}")
        lines += [f"  variant     {variant}" for variant in self.variants]
        lines.append(
            f"  parity with the eager module ({self.seconds:.1f} s; largest difference / largest value, least cosine; "
            "frozen: in a process with libtorch only):"
        )
        width = max((len(item.batch) for item in self.parity), default=0)
        for item in self.parity:
            how = "frozen" if item.frozen else "as saved"
            lines.append(
                f"    {item.output:<16} {item.batch:<{width}} {how:<9}"
                f" {item.difference:.2e} / {item.magnitude:.3g}, {item.cosine:.7f}"
            )
        for warning in self.warnings:
            lines.append(f"  warning     {warning}")
        return "\n".join(lines)
