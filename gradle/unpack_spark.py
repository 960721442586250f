#!/usr/bin/env python3
"""unpack_spark.py VERSION SHA256 FOLDER: Spark of another line, from PySpark's source archive on PyPI.

The archive is fetched with pip and its hash is checked; nothing is built or installed. Afterwards FOLDER has Spark's
`jars` and `bin`, and `python` is for PYTHONPATH: PySpark with both inside it, as an installed one has them.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))
import archives


def unpack(version: str, sha256: str, folder: Path) -> None:
    """Fetches and unpacks it, if FOLDER is not complete yet."""
    source = archives.Sdist("pyspark", version, sha256, "Apache-2.0")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Next to the result: the archive has 450 MB and is deleted.
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder.parent) as name:
        work = Path(name)
        with tarfile.open(archives.bring(source, work)) as archive:
            archive.extractall(work, filter="data")
        tree = work / f"pyspark-{version}"
        for part in ("jars", "bin"):
            (tree / "deps" / part).rename(tree / part)
        (tree / "python").mkdir()
        (tree / "pyspark").rename(tree / "python" / "pyspark")
        for part in ("jars", "bin"):
            (tree / "python" / "pyspark" / part).symlink_to(Path("..") / ".." / part)
        for py4j in (tree / "lib").glob("py4j-*-src.zip"):
            shutil.unpack_archive(py4j, tree / "python")
        (tree / "python" / "pyspark" / "python").mkdir(exist_ok=True)
        (tree / "lib").rename(tree / "python" / "pyspark" / "python" / "lib")
        shutil.rmtree(tree / "deps")
        shutil.rmtree(folder, ignore_errors=True)
        tree.rename(folder)


def main() -> None:
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    version, sha256, folder = sys.argv[1:]
    if not (Path(folder) / "python" / "pyspark").is_dir():
        unpack(version, sha256, Path(folder))


if __name__ == "__main__":
    main()
