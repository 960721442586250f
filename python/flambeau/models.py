"""The contents of model packages: `python -m flambeau.models list | show NAME | check PATH | run PATH FILE...`.

What lives here: `Package`, `find` and the command line. A `Package` is read without unpacking, from a folder, a `.zip` or a jar, or from
a bare `.pt` with its `.toml`. `find` looks names up in the same order as a session: the folders of `FLAMBEAU_MODELS_PATH` or `--path`,
then the packages inside the jars.

This is pure Python and needs no torch. `run` (in `running`) starts the engine. `check` holds the manifest against the rules of the engine
(`_manifest`), and the files against the manifest.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import io
import json
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from . import _manifest
from .session import PATH_VARIABLE, FlambeauError, default_path, find_jars

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MANIFEST = "model.toml"
EMBEDDED = "flambeau/models/"
"""Where packages are inside a jar."""
INDEX = "package.index"
"""A file that the build adds to a package inside a jar, for unpacking."""

MOST_MANIFEST_BYTES = 1 << 20
"""As the engine reads them."""
CHUNK_BYTES = 1 << 20
UNREADABLE = (
    KeyError,
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Exceptions for a damaged archive: truncated, wrong checksums, unknown (a RuntimeError) or encrypted members, impossible names."""

Root = Union[Path, zipfile.Path]


@dataclass(frozen=True)
class Package:
    """A package: `location` is for messages, `root` to read from. Reading may raise FlambeauError.

    `program` is the file of a bare program. The `.toml` next to it describes it instead of a manifest.
    """

    location: str
    root: Root
    program: str | None = None

    def _chunks(self, name: object) -> Iterator[bytes]:
        """One file of the package, a part at a time."""
        if not isinstance(name, str) or not name or name.startswith(".") or any(c in name for c in "/\\\0"):
            raise FlambeauError(f"{self.location}: {name!r:.200} is not the name of a file in the package's folder")
        file = self.root / name
        try:
            there = file.is_file()
            with file.open("rb") if there else io.BytesIO() as stream:
                while part := stream.read(CHUNK_BYTES):
                    yield part
        except UNREADABLE as error:
            raise FlambeauError(f"{self.location}: {name} cannot be read: {error}") from error
        if not there:
            raise FlambeauError(f"{self.location}: no file {name}")

    def manifest(self) -> dict[str, Any]:
        """The manifest as plain tables; for a bare program, its description with the omitted entries."""
        name = MANIFEST if self.program is None else _description(self.program)
        content = b""
        for part in self._chunks(name):
            content += part
            if len(content) > MOST_MANIFEST_BYTES:
                raise FlambeauError(f"{self.location}: {name} is larger than {MOST_MANIFEST_BYTES} bytes")
        try:
            tables = tomllib.loads(content.decode("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise FlambeauError(f"{self.location}: {name} is not TOML: {error}") from error
        _check_tables(f"{self.location}: {name}", tables)
        if self.program is None:
            return tables
        variant = {
            "file": self.program,
            "engine": "torchscript",
            "precision": "f32",
            "sha256": self._sha256(self.program),
        }
        return {"name": Path(self.program).stem, "license": "NOASSERTION", "variant": [variant], **tables}

    def _complete(self) -> dict[str, Any]:
        """The manifest; of a bare program, with the files that its description names, whose hashes are taken as they are."""
        tables = self.manifest()
        if self.program is None:
            return tables
        named = [table["labels"] for table in tables.get("output", []) if "labels" in table]
        named += [
            table["text"].get("tokenizer", "tokenizer.json")
            for table in tables.get("input", [])
            if isinstance(table.get("text"), dict)
        ]
        files = {name: "" for name in named if isinstance(name, str)}
        return {"format": _manifest.FORMAT, "files": files, **tables}

    def hashes(self) -> dict[str, str]:
        """File name -> SHA-256, of every file that the manifest names."""
        manifest = self.manifest()
        try:
            variants = manifest.get("variant", [])
            programs = [*variants, *(variant["head"] for variant in variants if "head" in variant)]
            named = {program["file"]: program["sha256"] for program in programs}
        except KeyError as error:
            raise FlambeauError(f"{self.location}: a [[variant]] lacks {error}") from error
        return {**named, **manifest.get("files", {})}

    def problems(self) -> list[str]:
        """Errors: a manifest that the engine rejects; files that are missing, changed, or not named by the manifest. Empty if there are none."""
        wrong = _manifest.problem(self._complete())
        name = MANIFEST if self.program is None else _description(self.program)
        found = [] if wrong is None else [f"{self.location}: {name}: {wrong}"]
        hashes = self.hashes()
        for name, expected in hashes.items():
            try:
                actual = self._sha256(name)
            except FlambeauError as error:
                found.append(str(error))
                continue
            if actual != expected:
                found.append(f"{self.location}: {name} has SHA-256 {actual}, the manifest says {expected}")
        for entry in self.root.iterdir() if self.program is None else []:
            # Hadoop keeps its checksums in hidden files.
            if entry.name not in hashes and entry.name not in (MANIFEST, INDEX) and not entry.name.startswith("."):
                found.append(f"{self.location}: {entry.name} is not named in the manifest")
        return found

    def _sha256(self, name: str) -> str:
        digest = hashlib.sha256()
        for part in self._chunks(name):
            digest.update(part)
        return digest.hexdigest()


def _check_tables(where: str, tables: dict[str, Any]) -> None:
    """The manifest's parts are of the types that this reader relies on; the engine judges the rest."""
    for key in ("input", "output", "variant"):
        found = tables.get(key, [])
        if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
            raise FlambeauError(f"{where}: write {key} as tables, each below a line [[{key}]]")
    for what, strings in (("[files]", tables.get("files", {})), *_programs(where, tables)):
        if not isinstance(strings, dict) or not all(isinstance(value, str) for value in strings.values()):
            raise FlambeauError(f"{where}: {what} must hold strings: names of files and their SHA-256")


def _programs(where: str, tables: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """File and hash of each variant, and of their heads."""
    for variant in tables.get("variant", []):
        for what, program in (("[[variant]]", variant), ("[variant.head]", variant.get("head", {}))):
            if not isinstance(program, dict):
                raise FlambeauError(f"{where}: {what} is not a table")
            yield what, {key: program[key] for key in ("file", "sha256") if key in program}


def _description(program: str) -> str:
    return program.removesuffix(".pt") + ".toml"


def open_package(path: str | os.PathLike[str]) -> Package:
    """The package in a folder or in a `.zip` (at its top, or in its only folder), or the `.pt` with its `.toml`."""
    place = Path(path)
    if place.is_dir() and (place / MANIFEST).is_file():
        return Package(str(place), place)
    if _is_bare(place):
        return Package(str(place), place.parent, place.name)
    if place.suffix != ".pt" and place.is_file() and zipfile.is_zipfile(place):
        try:
            root = zipfile.Path(place)
            entries = list(root.iterdir())
            if len(entries) == 1 and entries[0].is_dir():
                root = entries[0]
            if (root / MANIFEST).is_file():
                return Package(str(place), root)
        except UNREADABLE as error:
            raise FlambeauError(f"{place} is a damaged zip: {error}; copy it again") from error
    raise FlambeauError(
        f"{place} is not a model package: neither a folder with {MANIFEST}, nor a zip of one, nor a .pt file with its .toml"
    )


def _is_bare(place: Path) -> bool:
    return place.suffix == ".pt" and place.is_file() and place.with_suffix(".toml").is_file()


def list_packages(path: Sequence[str | os.PathLike[str]] | None = None) -> Iterator[Package]:
    """Every package in the folders of `path` (default: `default_path()`), then those inside the jars."""
    for folder in default_path() if path is None else [Path(part) for part in path]:
        for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
            if (entry / MANIFEST).is_file():
                yield Package(str(entry), entry)
            elif (entry.suffix == ".zip" and zipfile.is_zipfile(entry)) or _is_bare(entry):
                yield _listed(entry)
    try:
        jars = find_jars()
    except FlambeauError:
        return
    for jar in jars:
        if not zipfile.is_zipfile(jar):
            continue
        embedded = zipfile.Path(jar, EMBEDDED)
        for inside in embedded.iterdir() if embedded.exists() else []:
            if (inside / MANIFEST).is_file():
                yield Package(f"{jar}!/{EMBEDDED}{inside.name}", inside)


def _listed(entry: Path) -> Package:
    """A package for the list. Damage is reported later, when its manifest is read."""
    try:
        return open_package(entry)
    except FlambeauError:
        return Package(str(entry), entry)


def find(name: str, path: Sequence[str | os.PathLike[str]] | None = None) -> Package:
    """The package with this name or path."""
    if Path(name).exists():
        return open_package(name)
    seen = []
    for package in list_packages(path):
        folder = (
            package.location.replace("\\", "/").rstrip("/").rpartition("/")[2].removesuffix(".zip").removesuffix(".pt")
        )
        if folder == name:
            return package
        seen.append(folder)
    near = difflib.get_close_matches(name, seen, 1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    raise FlambeauError(
        f"no model {name!r}; known: {', '.join(seen) or 'none'}; {meant}(see --path and {PATH_VARIABLE})"
    )


def describe(package: Package) -> str:
    """A page for people: what the package takes and gives, its program and its files."""
    manifest = package.manifest()
    lines = [f"{manifest.get('name', '?')}  ({manifest.get('license', 'no license given')})", f"  {package.location}"]
    if "description" in manifest:
        lines.append(f"  {manifest['description']}")
    for title in ("input", "output"):
        for table in manifest.get(title, []):
            own = table.get(str(table.get("kind", "")))
            settings = {**table, **(own if isinstance(own, dict) else {})}
            lead = f"{settings.pop('name', '?')}: {settings.pop('kind', settings.pop('role', 'other'))}"
            details = " ".join(f"{key}={value}" for key, value in settings.items() if not isinstance(value, dict))
            lines.append(f"  {title:<8} {lead} {details}".rstrip())
    for variant in manifest.get("variant", []):
        wanted = variant.get("requires")
        needs = f", needs {' '.join(map(str, wanted if isinstance(wanted, list) else [wanted]))}" if wanted else ""
        head = f", followed by {variant['head'].get('file')}" if variant.get("head") else ""
        lines.append(
            f"  program  {variant.get('file')}: {variant.get('engine')}, {variant.get('precision')}{needs}{head}"
        )
    for name, sha256 in package.hashes().items():
        lines.append(f"  sha256   {sha256}  {name}")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flambeau.models", description="Look into model packages.")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="the packages that can be called by name")
    show = commands.add_parser("show", help="what a package takes and gives")
    check = commands.add_parser("check", help="whether a package's files are what its manifest says")
    run = commands.add_parser("run", help="run a model over files, without Spark")
    for command in (listing, show, check, run):
        help_text = f"folder of packages (default: {PATH_VARIABLE})"
        command.add_argument("--path", action="append", metavar="DIR", help=help_text)
    for command in (show, check, run):
        command.add_argument("model", metavar="NAME_OR_PATH")
    run.add_argument("files", nargs="+", metavar="FILE", help="an image, a sound, a text, or a tensor model's JSON")
    run.add_argument("--k", type=int, default=5, help="maximum number of labels (default: 5)")
    run.add_argument("--json", action="store_true", help="one line of JSON for each file")
    return parser


def _run(options: argparse.Namespace) -> int:
    """Prints the model's results for each file; 1 if a file was bad."""
    from . import running

    status = 0
    for result in running.run(options.model, options.files, options.path, options.k):
        status = 1 if "error" in result else status
        print(json.dumps(result) if options.json else running.page(result))
    return status


def _print_list(path: Sequence[str] | None) -> int:
    """One line for each package; one that cannot be read is listed with the reason."""
    packages = list(list_packages(path))
    for package in packages:
        try:
            manifest = package.manifest()
        except FlambeauError as error:
            print(f"{'(unreadable)':<24} {error}")
            continue
        kinds = "+".join(str(table.get("kind")) for table in manifest.get("input", []))
        name, license = str(manifest.get("name", "?")), str(manifest.get("license", ""))
        print(f"{name:<24} {kinds:<8} {license:<14} {package.location}")
    if not packages:
        print(f"no packages found (see --path and {PATH_VARIABLE})", file=sys.stderr)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 if there are no errors, otherwise 1."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "list":
            return _print_list(options.path)
        if options.command == "run":
            return _run(options)
        package = find(options.model, options.path)
        if options.command == "show":
            print(describe(package))
            return 0
        problems = package.problems()
        for problem in problems:
            print(problem, file=sys.stderr)
        if not problems:
            print(f"{package.location}: {len(package.hashes())} files, all match the manifest")
        return 1 if problems else 0
    except FlambeauError as error:
        print(f"flambeau.models: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
