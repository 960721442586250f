#!/usr/bin/env python3
"""check_types.py [FILE…]: mypy --strict over all Python of the repository; with files, over the groups that these are in.

Programs find their neighbors by sys.path, and names such as `arm`, `data` and `run` stand for another file in each folder of
the benchmarks. So mypy runs once for each group of files that agree on names, with the folders where these look, the nearest first.
mypy's cache is in build/mypy and shared by the runs. Its settings are in pyproject.toml.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = (
    "python",
    "models",
    "examples",
    "tests",
    "tests/fixtures",
    "tests/parity",
    "rust/train/examples",
    "gradle",
    "gradle/old_linux",
)
"""Where programs and tests look for shared modules."""
BENCHES = sorted(f"bench/{folder.name}" for folder in (ROOT / "bench").iterdir() if any(folder.glob("*.py")))


@dataclass(frozen=True)
class Group:
    """Files under `folders` (not those of other groups below them), which find their neighbors in `path`."""

    folders: tuple[str, ...]
    path: tuple[str, ...]


GROUPS = (
    Group(("python", "models", "gradle"), ("python", "models", "gradle", "gradle/old_linux", "python/tests")),
    Group(("tests", "examples", "rust"), (*PROGRAMS, "rust/train/tests/train", "bench", "bench/images")),
    Group(("bench",), ("bench", *PROGRAMS, "bench/images")),
    *(Group((folder,), (folder, "bench", "bench/images", *PROGRAMS)) for folder in BENCHES),
)


def files_of_groups() -> dict[Group, list[str]]:
    """The Python files of the repository, new ones included and ignored ones not, by the innermost group that they are in."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", "*.py"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    found: dict[Group, list[str]] = {group: [] for group in GROUPS}
    folders = {folder: group for group in GROUPS for folder in group.folders}
    for file in listed:
        if not (ROOT / file).is_file():
            continue
        above = [str(parent) for parent in Path(file).parents if str(parent) in folders]
        if not above:
            raise SystemExit(f"check_types.py: no group has {file}: name its folder there")
        found[folders[above[0]]].append(file)
    return found


def main(wanted: list[str]) -> int:
    """1 if a type is wrong."""
    failed = 0
    for group, files in files_of_groups().items():
        if not files or (wanted and not set(wanted) & set(files)):
            continue
        path = os.pathsep.join(dict.fromkeys(group.path))
        command = [sys.executable, "-m", "mypy", "--no-error-summary", *files]
        failed |= subprocess.run(command, cwd=ROOT, env={**os.environ, "MYPYPATH": path}, check=False).returncode
    return int(failed != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
