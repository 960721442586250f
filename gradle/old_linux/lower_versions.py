#!/usr/bin/env python3
"""lower_versions.py FLOOR COMPAT FOLDER: makes the libraries of a folder load on a Linux that is older than the one they were built on.

FLOOR is the oldest glibc and libstdc++, as `GLIBC_2.28,GLIBCXX_3.4.25,CXXABI_1.3.11`. COMPAT is libflambeau_compat.so.

A library lists versions (`GLIBC_2.34`), and each symbol that it takes from outside points to one. The loader refuses a library with a
version that the system lacks, even where the system has the symbol itself under an older one. For each version above the floor:

- The version becomes weak: the loader continues without it.
- A symbol that old systems have (`pthread_create`, `pow`) asks for no version. The loader then takes the oldest one, or the default.
- A symbol that they lack (`stat`, std::filesystem) keeps its version. A new system has it, and is searched first. On an old one the
  loader finds it in COMPAT, which has no versions.
- For any other symbol this program fails: give it a place in compat.cpp.

Bytes are changed where they stand. A library that takes a symbol from COMPAT also gets it as one more library that it needs, by patchelf.
"""

from __future__ import annotations

import functools
import re
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from elftools.elf.elffile import ELFFile

SYSTEM = ("libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libstdc++.so.6", "libgcc_s.so.1")
WEAK = 2
"""VER_FLG_WEAK of a needed version."""
ANY_VERSION = 1
"""VER_NDX_GLOBAL: the index of a symbol that asks for no version."""

Floor = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Needed:
    """A version that a library needs (Elf64_Vernaux)."""

    name: str
    index: int
    """What the library's symbols call it."""
    flags: int
    flags_at: int
    """Where the two bytes of `flags` are in the file."""


def floor_of(text: str) -> Floor:
    """`GLIBC_2.28,GLIBCXX_3.4.25` by family."""
    return {family: numbers(version) for family, version in (part.split("_", 1) for part in text.split(","))}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def is_above(name: str, floor: Floor) -> bool:
    """Whether this version is newer than the floor of its family."""
    family, _, version = name.partition("_")
    return family in floor and re.fullmatch(r"[\d.]+", version) is not None and numbers(version) > floor[family]


def section_of(file: BinaryIO, name: str) -> Any:
    """A section of a library, which must have it."""
    section = ELFFile(file).get_section_by_name(name)
    if section is None:
        raise SystemExit(f"{file.name} has no section {name}")
    return section


def needed(file: BinaryIO) -> Iterator[Needed]:
    """The versions that a library needs."""
    if ELFFile(file).get_section_by_name(".gnu.version_r") is None:
        return
    section, names = section_of(file, ".gnu.version_r"), section_of(file, ".dynstr")
    data, start = section.data(), section["sh_offset"]
    at = 0
    for _ in range(section["sh_info"]):
        _, count, _, first, following = struct.unpack_from("<HHIII", data, at)
        entry = at + first
        for _ in range(count):
            _, flags, index, name, next_entry = struct.unpack_from("<IHHII", data, entry)
            yield Needed(names.get_string(name), index, flags, start + entry + 4)
            entry += next_entry
        at += following


def symbols_of(file: BinaryIO, indexes: set[int]) -> dict[int, str]:
    """Symbols that ask for one of these versions: where the two bytes of that are in the file -> the symbol's name."""
    versions, symbols = section_of(file, ".gnu.version"), section_of(file, ".dynsym")
    data = versions.data()
    found = {}
    for number in range(len(data) // 2):
        if struct.unpack_from("<H", data, 2 * number)[0] & 0x7FFF in indexes:
            found[versions["sh_offset"] + 2 * number] = symbols.get_symbol(number).name
    return found


@functools.cache
def oldest_versions() -> dict[str, list[str]]:
    """Symbol -> the versions in which this machine's glibc and libstdc++ give it: they keep those of before."""
    given: dict[str, list[str]] = {}
    for name in SYSTEM:
        path = subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout
        with Path(path.strip()).resolve().open("rb") as file:
            defined = section_of(file, ".gnu.version_d").iter_versions()
            names = {entry["vd_ndx"]: next(iter(words)).name for entry, words in defined}
            indexes = section_of(file, ".gnu.version").data()
            for number, symbol in enumerate(section_of(file, ".dynsym").iter_symbols()):
                index = struct.unpack_from("<H", indexes, 2 * number)[0] & 0x7FFF
                if symbol["st_shndx"] != "SHN_UNDEF" and index in names:
                    given.setdefault(symbol.name, []).append(names[index])
    return given


@functools.cache
def exports(compat: Path) -> set[str]:
    """The symbols that the library gives."""
    with compat.open("rb") as file:
        symbols = section_of(file, ".dynsym").iter_symbols()
        return {symbol.name for symbol in symbols if symbol["st_shndx"] != "SHN_UNDEF"}


def free(file: BinaryIO, versions: Iterable[Needed], symbols: Iterable[int]) -> None:
    """Makes versions weak, and lets symbols (where their two bytes are) ask for none."""
    for at in symbols:
        file.seek(at)
        file.write(struct.pack("<H", ANY_VERSION))
    for version in versions:
        file.seek(version.flags_at)
        file.write(struct.pack("<H", version.flags | WEAK))


def lower(library: Path, floor: Floor, compat: Path) -> str:
    """Changes one library; what it says of that."""
    replaced = exports(compat)
    with library.open("r+b") as file:
        above = [version for version in needed(file) if is_above(version.name, floor)]
        asked = symbols_of(file, {version.index for version in above}) if above else {}
        unknown = sorted(
            name
            for name in set(asked.values()) - replaced
            if all(is_above(version, floor) for version in oldest_versions().get(name, []))
        )
        if unknown:
            raise SystemExit(f"{library.name}: the oldest systems have no {', '.join(unknown)}: see compat.cpp")
        freed = [at for at, name in asked.items() if name not in replaced]
        free(file, above, freed)
    taken = replaced & set(asked.values())
    if taken and library.name != compat.name:
        need_last(library, compat.name)
    return f"{library.name:32} {len(freed)} symbols ask for no version, {len(taken)} may come from {compat.name}"


def need_last(library: Path, name: str) -> None:
    """Makes the library need another one, and search it last."""
    subprocess.run([Path(sys.executable).with_name("patchelf"), "--add-needed", name, library], check=True)
    with library.open("r+b") as file:
        dynamic = section_of(file, ".dynamic")
        entries = [number for number, tag in enumerate(dynamic.iter_tags()) if tag.entry.d_tag == "DT_NEEDED"]
        values = [dynamic.get_tag(number) for number in entries]
        last = [tag.entry.d_val for tag in values if tag.needed != name]
        added = [tag.entry.d_val for tag in values if tag.needed == name]
        for number, value in zip(entries, last + added, strict=True):
            file.seek(dynamic["sh_offset"] + number * dynamic["sh_entsize"] + 8)
            file.write(struct.pack("<Q", value))


def main(arguments: list[str]) -> None:
    if len(arguments) != 3:
        raise SystemExit(__doc__)
    floor, compat, folder = floor_of(arguments[0]), Path(arguments[1]), Path(arguments[2])
    for library in sorted(folder.glob("*.so*")):
        print(f"  {lower(library, floor, compat)}")


if __name__ == "__main__":
    main(sys.argv[1:])
