"""The native libraries load on a Linux older than the one that built them: RHEL 8 and Debian 10.

No such system is here. One that lacks what they lack is: copies of this machine's glibc and libstdc++ in which each newer version has
another name, so that nothing finds it.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from support import PROGRAMS, ROOT, run

OLD_LINUX = ROOT / "gradle" / "old_linux"
sys.path[:0] = [str(OLD_LINUX), str(OLD_LINUX.parent)]

import lower_versions
from assemble_libtorch import LIBRARIES
from lower_versions import SYSTEM, floor_of, free, is_above, lower, needed, section_of, symbols_of

FLOOR_TEXT = "GLIBC_2.28,GLIBCXX_3.4.25,CXXABI_1.3.11,GCC_7.0.0"
FLOOR = floor_of(FLOOR_TEXT)
COMPAT = ROOT / "build" / "old-linux" / "libflambeau_compat.so"
PLATFORM = Path("flambeau") / "native" / "linux-x86_64"
OURS = ROOT / "build" / "native-resources" / PLATFORM
LIBTORCH = ROOT / "build" / "torch-resources" / PLATFORM
LOAD = """\
#include <dlfcn.h>
#include <stdio.h>
int main(int count, char **files) {
  for (int number = 1; number < count; number++) {
    if (dlopen(files[number], RTLD_NOW) == NULL) { printf("%s\\n", dlerror()); return 1; }
  }
  puts("loaded");
  return 0;
}
"""


def hide(library: Path) -> int:
    """Gives each version above the floor that a library defines another name; how many there were."""
    with library.open("r+b") as file:
        section = section_of(file, ".gnu.version_d")
        data, start, at, hidden = section.data(), section["sh_offset"], 0, 0
        first_name = struct.unpack_from("<I", data, struct.unpack_from("<I", data, 12)[0])[0]
        for version, names in section.iter_versions():
            if is_above(next(iter(names)).name, FLOOR):
                hidden += 1
                file.seek(start + at + 8)  # the hash of the name
                file.write(struct.pack("<I", 1))
                file.seek(start + at + version["vd_aux"])
                file.write(struct.pack("<I", first_name))
            at += version["vd_next"]
    return hidden


def forget(library: Path) -> None:
    """Lets a library of the system load in spite of hidden versions: its own symbols stay as they are."""
    with library.open("r+b") as file:
        above = [version for version in needed(file) if is_above(version.name, FLOOR)]
        free(file, above, symbols_of(file, {version.index for version in above}))


@pytest.fixture(scope="module")
def old_system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the libraries of an older system, and `load`, a program that loads the libraries that it gets."""
    folder = tmp_path_factory.mktemp("old")
    hidden = 0
    for name in SYSTEM:
        shutil.copy(Path(run(["g++", f"-print-file-name={name}"], folder).stdout.strip()).resolve(), folder / name)
        hidden += hide(folder / name)
        forget(folder / name)
    assert hidden > 10
    (folder / "load.c").write_text(LOAD, encoding="utf-8")
    run(["gcc", "-o", folder / "load", folder / "load.c"], folder)
    lower(folder / "load", FLOOR, COMPAT)
    return folder


def loaded(old_system: Path, *files: Path) -> str:
    command = [str(old_system / "load"), *map(str, files)]
    done = subprocess.run(command, env={"LD_LIBRARY_PATH": str(old_system)}, capture_output=True, text=True)
    return done.stdout.strip()


def test_all_libraries_load_on_an_old_system(old_system: Path) -> None:
    torch = [LIBTORCH / name for name in (COMPAT.name, *LIBRARIES)]
    assert all(file.exists() for file in torch)
    assert loaded(old_system, *torch, OURS / "libflambeau_bridge.so") == "loaded"


def test_they_do_not_as_they_were_built(old_system: Path) -> None:
    assert "not found (required by" in loaded(old_system, ROOT / ".libtorch" / "lib" / "libc10.so")
    built = ROOT / "target" / "release" / "libflambeau_bridge.so"
    assert "not found (required by" in loaded(old_system, built)


def test_each_function_for_old_systems_does_what_the_systems_own_does(tmp_path: Path) -> None:
    program = tmp_path / "old_linux"
    source = PROGRAMS / "old_linux.cpp"
    run(["g++", "-std=c++20", "-o", program, source, "-Wl,--no-as-needed", COMPAT], tmp_path)
    variables = {"LD_LIBRARY_PATH": str(COMPAT.parent), "LD_DEBUG": "bindings"}
    done = subprocess.run([program, tmp_path / "files"], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"line {done.returncode} of {source}"
    bound = set(re.findall(rf" to \S*{COMPAT.name} \[0\]: normal symbol `(\S+)'", done.stderr))
    assert bound == set((OLD_LINUX / "compat.exports").read_text(encoding="utf-8").split())


@pytest.mark.parametrize(("floor", "name"), [("GLIBC_2.28", "getentropy"), ("GLIBC_2.24", "getentropy")])
def test_a_symbol_that_old_systems_lack_is_named(tmp_path: Path, floor: str, name: str) -> None:
    """`getentropy` came with glibc 2.25."""
    library = tmp_path / "libthat.so"
    (tmp_path / "that.c").write_text(
        f"int {name}(void *, unsigned long); int call(void *p) {{ return {name}(p, 8); }}\n"
    )
    run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "that.c"], tmp_path)
    before = library.read_bytes()
    if floor == "GLIBC_2.28":
        lower(library, floor_of(floor), COMPAT)
    else:
        with pytest.raises(SystemExit, match=f"the oldest systems have no {name}: see compat.cpp"):
            lower(library, floor_of(floor), COMPAT)
    assert library.read_bytes() == before


def test_the_folders_need_no_more_than_promised() -> None:
    folders = [str(ROOT / "build" / "native-resources"), str(ROOT / "build" / "torch-resources")]
    printed = run([sys.executable, OLD_LINUX / "needed_glibc.py", FLOOR_TEXT, *folders], ROOT).stdout
    assert printed.count("libflambeau_compat.so") == 2 and "libtorch_cpu.so" in printed
    assert lower_versions.oldest_versions()["pthread_create"] == ["GLIBC_2.2.5", "GLIBC_2.34"]
