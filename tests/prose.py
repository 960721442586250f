"""Checks the text that people read: `python tests/prose.py` prints what is hard to read, and ends with 1 if there is any.

What lives here: the prose (pages, comments and docstrings of all code, messages), our two rules, and the rules of proselint that fit
technical text. Our rules: a sentence has at most 35 words; some turns of phrase have a plainer form (see `phrases`). Code is left out:
fences and indented blocks; a code span counts as one word.

The rules are checks of proselint, which finds them and gives their places.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from proselint.config import Config
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, CheckResult
from proselint.tools import LintFile

import comments
from phrases import PLAINER

ROOT = Path(__file__).resolve().parent.parent

LONGEST = 35
"""Maximum words of a sentence."""

BORROWED = (
    "archaism",
    "cliches",
    "hedging",
    "lexical_illusions",
    "malapropisms",
    "misc.but",
    "mixed_metaphors",
    "mondegreens",
    "nonwords",
    "oxymorons",
    "redundancy",
)
"""Checks of proselint itself that fit."""

WORD = re.compile(r"\S*[A-Za-z0-9…]\S*")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+(?=[\"'(\[]?[A-Z0-9`…])")
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
CODE = "`code`"


class Prose(NamedTuple):
    """A paragraph, an item, a cell or a message: where it begins, its text on one line, whether its sentences are counted."""

    file: Path
    line: int
    text: str
    is_message: bool


def _long_sentences(text: str, check: Check) -> Iterator[CheckResult]:
    start = 0
    for sentence in SENTENCE_END.split(text):
        at = text.index(sentence, start)
        start = at + len(sentence)
        words = len(WORD.findall(sentence))
        if words > LONGEST:
            yield CheckResult(check.path, f"a sentence of {words} words", (at, start), None)


def _plainer(text: str, check: Check) -> Iterator[CheckResult]:
    for pattern, instead in PLAINER:
        for match in re.finditer(pattern, text):
            yield CheckResult(check.path, f"'{match[0].strip()}': {instead}", match.span(), None)


def _register() -> None:
    import proselint.checks

    registry = CheckRegistry()
    # The registry looks through all that it has for each paragraph: so it has only these.
    wanted = (check for check in proselint.checks.__register__ if any(map(check.matches_partial, BORROWED)))
    registry.register_many(tuple(wanted))
    registry.register(Check(_long_sentences, path="flambeau.long"))
    registry.register(Check(_plainer, path="flambeau.plainer"))


def tracked(*patterns: str) -> list[Path]:
    """Files of the repository, new ones included."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def _words_of(inline: Token) -> str:
    parts = {"code_inline": CODE, "softbreak": " ", "hardbreak": " "}
    return "".join(parts.get(child.type, child.content) for child in inline.children or [])


def of_markdown(file: Path, text: str, first_line: int = 1) -> Iterator[Prose]:
    """The paragraphs, items and cells of Markdown."""
    opened = ""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "inline":
            line = first_line + (token.map[0] if token.map else 0)
            # A cell holds notes, one after another.
            parts = _words_of(token).split("; ") if opened == "td_open" else [_words_of(token)]
            yield from (Prose(file, line, part, is_message=False) for part in parts)
        opened = token.type


def of_comments(file: Path) -> Iterator[Prose]:
    """The comments of a source file."""
    for comment in comments.of(file):
        yield from of_markdown(file, comment.text, comment.line)


def of_notebook(file: Path) -> Iterator[Prose]:
    """The text cells of a notebook; the line is the number of the cell."""
    for number, cell in enumerate(json.loads(file.read_text(encoding="utf-8"))["cells"], 1):
        if cell["cell_type"] == "markdown":
            yield from of_markdown(file, "".join(cell["source"]), number)


def of_python_messages(file: Path) -> Iterator[Prose]:
    """The string literals of a Python module that hold words."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in docstrings:
            continue
        if node.value.count(" ") > 2:
            yield Prose(file, node.lineno, node.value, is_message=True)


def of_messages(file: Path) -> Iterator[Prose]:
    """The string literals of Scala, Java, Rust and C++ that hold words."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith(("*", "//", "/*")):
            continue
        for literal in LITERAL.finditer(line):
            if literal[1].count(" ") > 2:
                yield Prose(file, number, literal[1], is_message=True)


def everything() -> Iterator[Prose]:
    """All prose of the repository."""
    for page in tracked("*.md", ":!*/vendor/*"):
        yield from of_markdown(page, page.read_text(encoding="utf-8"))
    for notebook in tracked("*.ipynb"):
        yield from of_notebook(notebook)
    for source in tracked(*(f"*{ending}" for ending in comments.ENDINGS), ":!*/vendor/*", ":!*/opaque/*"):
        yield from of_comments(source)
    for module in tracked("python/flambeau/*.py"):
        yield from of_python_messages(module)
    for source in tracked("jvm/src/main/*.scala", "jvm/src/main/*.java", "rust/*/src/*.rs", "rust/torch-cpp/*.cpp"):
        if source.name != "tests.rs":
            yield from of_messages(source)


def findings(prose: Iterator[Prose]) -> list[str]:
    """The findings, one per line: place and reason."""
    if not CheckRegistry().checks:
        _register()
    own = {"flambeau.plainer": True}
    found = []
    for file, line, text, is_message in prose:
        checks = own if is_message else own | {"flambeau.long": True} | dict.fromkeys(BORROWED, True)
        for result in LintFile(file.name, text).lint(Config(max_errors=100, checks=checks)) if text else []:
            found.append(f"{file.relative_to(ROOT)}:{line}: {result.check_result.message}")
    return found


def main() -> int:
    """Prints all findings."""
    found = findings(everything())
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
