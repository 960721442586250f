#!/usr/bin/env python3
"""needed_glibc.py FLOOR FOLDER…: the newest symbol versions of glibc and libstdc++ that the libraries in folders need.

FLOOR is what they may need at most, as `GLIBC_2.28,GLIBCXX_3.4.25`. Prints one line for each library, and fails if one needs more: it
would not load on the systems that docs/deploying.md names. A weak version is not needed: lower_versions.py made it so.
"""

import pathlib
import re
import sys

from lower_versions import WEAK, Floor, floor_of, is_above, needed, numbers


def newest(library: pathlib.Path, floor: Floor) -> dict[str, str]:
    """Family (`GLIBC`, `GLIBCXX`, `CXXABI`) -> the newest version that the library needs."""
    found: dict[str, str] = {}
    with library.open("rb") as file:
        for version in needed(file):
            family, _, number = version.name.partition("_")
            if family in floor and re.fullmatch(r"[\d.]+", number) and not version.flags & WEAK:
                found[family] = max(found.get(family, "0"), number, key=numbers)
    return found


def main(arguments: list[str]) -> int:
    """1 where a library needs more than the floor."""
    failed = 0
    floor = floor_of(arguments[0])
    for folder in arguments[1:]:
        libraries = sorted(file for file in pathlib.Path(folder).rglob("*.so*") if file.is_file())
        if not libraries:
            raise SystemExit(f"needed_glibc: there is no library in {folder}")
        print(f"{folder}: at most {arguments[0].replace(',', ' ')}")
        for library in libraries:
            found = [f"{family}_{number}" for family, number in sorted(newest(library, floor).items())]
            above = [name for name in found if is_above(name, floor)]
            failed |= bool(above)
            told = f"  ABOVE THE FLOOR: {', '.join(above)}" if above else ""
            print(f"  {library.name:32} {' '.join(found)}{told}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
