#!/usr/bin/env python3
"""needed_glibc.py FLOOR FOLDER [FLOOR FOLDER]…: the newest symbol versions of glibc and libstdc++ that the libraries in folders need.

FLOOR is what the libraries of the folder after it may need at most, as `GLIBC_2.34,GLIBCXX_3.4.29`. Prints one line for each
library, and fails if one needs more: it would not load on the systems that docs/deploying.md names.
`readelf` is part of binutils, which the build needs anyhow.
"""

import pathlib
import re
import subprocess
import sys


def parsed(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def needs(library: pathlib.Path) -> dict[str, str]:
    """Family (`GLIBC`, `GLIBCXX`, `CXXABI`) -> the newest version that the library asks for."""
    told = subprocess.run(
        ["readelf", "-W", "--version-info", library], capture_output=True, text=True, check=True
    ).stdout
    asked = told.partition("Version needs section")[2]
    newest: dict[str, str] = {}
    for family, version in re.findall(r"Name: (GLIBC|GLIBCXX|CXXABI)_([\d.]+)", asked):
        newest[family] = max(newest.get(family, "0"), version, key=parsed)
    return newest


def main(arguments: list[str]) -> int:
    """1 where a library needs more than its floor."""
    failed = 0
    for floor, folder in zip(arguments[::2], arguments[1::2]):
        most = dict(part.split("_", 1) for part in floor.split(","))
        libraries = sorted(file for file in pathlib.Path(folder).rglob("*.so*") if file.is_file())
        if not libraries:
            raise SystemExit(f"needed_glibc: there is no library in {folder}")
        print(f"{folder}: at most {floor.replace(',', ' ')}")
        for library in libraries:
            found = needs(library)
            above = [name for name, version in found.items() if name in most and parsed(version) > parsed(most[name])]
            failed |= bool(above)
            print(
                f"  {library.name:32} {' '.join(f'{name}_{version}' for name, version in sorted(found.items()))}"
                + (f"  ABOVE THE FLOOR: {', '.join(above)}" if above else "")
            )
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
