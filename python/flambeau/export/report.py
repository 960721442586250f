"""What an export did, as an object and as a page of text.

What lives here: `ExportReport`, which `flambeau.export.package` returns and prints. It holds plain values only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .program import Parity


@dataclass(frozen=True)
class ExportReport:
    """One package, as it was written.

    `inputs` and `outputs` are lines for people; `parity` holds every comparison with the eager module; `warnings` are
    what torch had to say while it traced or scripted; `variants` are lines about programs of reduced precision.
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
        lines.append("  parity with the eager module (largest difference / largest value, least cosine):")
        for item in self.parity:
            how = "frozen" if item.frozen else "as saved"
            lines.append(
                f"    {item.output:<16} {item.rows} row{' ' if item.rows == 1 else 's'} {how:<9}"
                f" {item.difference:.2e} / {item.magnitude:.3g}, {item.cosine:.7f}"
            )
        for warning in self.warnings:
            lines.append(f"  warning     {warning}")
        return "\n".join(lines)
