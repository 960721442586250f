#!/usr/bin/env python3
"""assemble_libtorch.py OUT PYTORCH_JAR OPENBLAS_JAR: lays out the CPU libtorch that the native crates link against.

Headers come from the `torch` wheel of the Python that runs this script (that wheel's libraries are CUDA builds of
gigabytes); libraries come from the Maven jars (CPU only, about 110 MB as jars). Both are libtorch 2.13.0 and share one
C++ ABI, so what is compiled against the former runs on the latter. OUT is replaced as a whole, or not changed.
"""

import argparse
import importlib.util
import os
import pathlib
import shutil
import tempfile
import zipfile

# The libraries that a process needs, each after those that it depends on.
LIBRARIES = [
    "libquadmath.so.0",
    "libgfortran.so.5",
    "libgomp.so.1",
    "libopenblas.so.0",
    "libc10.so",
    "libtorch_cpu.so",
    "libtorch.so",
]


def unpack(jars: list[pathlib.Path], lib: pathlib.Path) -> list[str]:
    """Copies every native library of LIBRARIES (any version suffix of libgfortran) out of the jars; returns their names."""
    lib.mkdir(parents=True)
    wanted = {name.split(".so")[0] for name in LIBRARIES}
    found = []
    for jar in jars:
        with zipfile.ZipFile(jar) as archive:
            for entry in archive.namelist():
                name = pathlib.PurePosixPath(entry).name
                if ".so" not in name or name.split(".so")[0] not in wanted:
                    continue
                if name.startswith("libopenblas") and name != "libopenblas.so.0":
                    continue
                with archive.open(entry) as source, (lib / name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                found.append(name)
    missing = wanted - {name.split(".so")[0] for name in found}
    if missing:
        raise SystemExit(f"assemble_libtorch: {', '.join(sorted(missing))} in none of {', '.join(map(str, jars))}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("jars", type=pathlib.Path, nargs="+")
    options = parser.parse_args()

    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("assemble_libtorch: this Python has no torch; run ./gradlew venv first")
    include = pathlib.Path(spec.submodule_search_locations[0]) / "include"

    out: pathlib.Path = options.out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = pathlib.Path(tempfile.mkdtemp(prefix=out.name + ".", dir=out.parent))
    names = unpack(options.jars, staging / "lib")
    (staging / "include").symlink_to(os.path.relpath(include, out))
    shutil.rmtree(out, ignore_errors=True)
    staging.chmod(0o755)
    staging.rename(out)
    print(f"libtorch in {out}: {', '.join(sorted(names))}; headers from {include}")


if __name__ == "__main__":
    main()
