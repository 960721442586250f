"""Writes model packages: the folder, its `model.toml` and the hashes in it.

What lives here: `PackageWriter` and the TOML of format 1. `PackageWriter` collects files in a temporary folder beside the target and
renames it into place at the end, so a package is always complete. The engine decides whether a manifest is valid.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import tomlkit

from .errors import ExportError

FORMAT = 1
MANIFEST = "model.toml"
PROGRAM = "model.pt"
PACKAGE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class PackageWriter:
    """Collects the files of one package; use as a context manager, then `commit`.

    Owned by one thread. Leaving the context without `commit` removes what was collected.
    """

    def __init__(self, target: Path, overwrite: bool) -> None:
        if target.exists():
            if not overwrite:
                raise ExportError(f"{target} exists; pass overwrite=True (--overwrite) to replace it")
            if not (target / MANIFEST).is_file() and any(target.iterdir() if target.is_dir() else [target]):
                raise ExportError(f"{target} exists and is not a model package; it is not replaced")
        target.parent.mkdir(parents=True, exist_ok=True)
        self.target = target
        self.hashes: dict[str, str] = {}
        self._folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))

    def __enter__(self) -> PackageWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, name: str, content: bytes) -> str:
        """Writes one file and returns its SHA-256."""
        if not FILE_NAME.fullmatch(name) or name == MANIFEST or name in self.hashes:
            raise ExportError(f"{name!r} cannot be the name of a file in a package, or is there twice")
        (self._folder / name).write_bytes(content)
        self.hashes[name] = hashlib.sha256(content).hexdigest()
        return self.hashes[name]

    def commit(self, manifest: str) -> None:
        """Writes the manifest and puts the package in its place."""
        (self._folder / MANIFEST).write_text(manifest, encoding="utf-8")
        self._folder.chmod(0o755)
        if self.target.exists():
            retired = Path(tempfile.mkdtemp(prefix=f".{self.target.name}-old-", dir=self.target.parent))
            self.target.rename(retired / "package")
            self._folder.rename(self.target)
            shutil.rmtree(retired)
        else:
            self._folder.rename(self.target)


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in table.items()
        if value is not None
    }


def manifest_text(
    *,
    name: str,
    license: str,
    description: str | None,
    batch_rows: int | None,
    trainable: bool = False,
    inputs: Sequence[Mapping[str, Any]],
    outputs: Sequence[Mapping[str, Any]],
    variants: Sequence[Mapping[str, Any]],
    files: Mapping[str, str],
) -> str:
    """The text of `model.toml`; entries that are None are left out."""
    document = tomlkit.document()
    document.add(tomlkit.comment("A Flambeau model package, written by `python -m flambeau.export`."))
    head = {"format": FORMAT, "name": name, "license": license, "description": description, "batch_rows": batch_rows}
    if trainable:
        head["trainable"] = True
    for key, value in _without_none(head).items():
        document.add(key, tomlkit.item(value))
    for key, tables in (("input", inputs), ("output", outputs), ("variant", variants)):
        array = tomlkit.aot()
        for table in tables:
            array.append(tomlkit.item(_without_none(table)))
        document.add(tomlkit.nl())
        document.add(key, array)
    if files:
        listed = tomlkit.table()
        for file, sha256 in sorted(files.items()):
            listed.add(file, sha256)
        document.add("files", listed)
    return tomlkit.dumps(document)
