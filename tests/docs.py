"""Reads the pages that people read: which they are, and the snippets in them.

A fence's first word is its language. A second word is a file's name: `test_docs.py` writes the snippet to a file of that name
before anything runs, as the reader would.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from support import ROOT

START = ROOT / "docs" / "start.md"
"""Its Python makes the session that the other pages use."""
PAGES = [
    *(ROOT / page for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    START,
    *sorted({*(ROOT / "docs").rglob("*.md")} - {START}),
]
FENCE = re.compile(r"^```(\w*)[ \t]*(\S*)[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
RUNNABLE = ("bash", "sql", "python", "scala", "toml")


@dataclass(frozen=True)
class Snippet:
    """One fence: page and line for messages, language, file name if it has one, text."""

    page: str
    line: int
    language: str
    file: str
    text: str

    @property
    def name(self) -> str:
        """For people, and for the tests' names."""
        return f"{self.page}:{self.line}"

    def commands(self) -> list[str]:
        """The commands of a bash fence, each on one line, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in lines if shlex.split(line, comments=True)]


def snippets(*languages: str) -> list[Snippet]:
    """Every fence in one of the languages (all of them if none is named), in the order of the pages."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            snippet = Snippet(str(page.relative_to(ROOT)), line, match[1], match[2], match[3])
            if not languages or snippet.language in languages:
                found.append(snippet)
    return found


def statements(sql: str) -> list[str]:
    """The statements of a SQL fence (none of ours has a semicolon inside of a literal)."""
    return [part.strip() for part in sql.split(";") if part.strip()]


def workplace(folder: Path, photos: Path, jars: list[str]) -> Path:
    """A folder like the reader's: photos, recordings, both jars, model packages, and the files that the pages tell to write."""
    import real_data  # support adds its folder to the path

    (folder / "photos").mkdir(parents=True)
    real_data.meetings(folder / "recordings")
    (folder / "models").symlink_to(ROOT / "build" / "models")
    for file in ("chelsea.png", "coffee.png", "lion.jpg", "beetle.jpg"):
        (folder / "photos" / file).symlink_to(photos / file)
    for jar in jars:
        (folder / Path(jar).name).symlink_to(jar)
    for snippet in snippets():
        if snippet.file:
            (folder / snippet.file).write_text(snippet.text, encoding="utf-8")
    return folder
