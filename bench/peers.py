"""The Python environment of the peers: `python bench/peers.py` makes it and prints its path.

A virtual environment of the benchmarks' own, in build/bench-venv, with what requirements.txt pins by hash (a benchmark may have another
one, with pins of its own). It uses the
checkout's `.venv` for all else (PyTorch, PySpark, pandas). So it takes 0.6 GB and not six, and every arm has the same
PyTorch and the same PySpark. Nothing is installed into `.venv`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "bench-venv"
PINS = ROOT / "bench" / "requirements.txt"


def python(home: Path = HOME, pins: Path = PINS) -> Path:
    """The interpreter of the peers. It is made if it is missing or was made from other pins."""
    program, stamp = home / "bin" / "python", home / "complete"
    wanted = pins.read_text(encoding="utf-8")
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return program
    print(f"installing the peers of the benchmark into {home.relative_to(ROOT)} ...", flush=True)
    subprocess.run([ROOT / ".venv" / "bin" / "python", "-m", "venv", "--clear", home], check=True)
    (packages,) = (home / "lib").glob("python*/site-packages")
    # Directories of a .pth file come after the environment's own, so its versions win.
    (shared,) = (ROOT / ".venv" / "lib").glob("python*/site-packages")
    (packages / "shared.pth").write_text(f"{shared.resolve()}\n", encoding="utf-8")
    pip: list[str | Path] = [program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", pins], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    return program


if __name__ == "__main__":
    print(python())
    sys.exit(0)
