"""The comments of a source file: Rust, Scala, Java, C++ and Python, public or private.

Pygments finds them, so a `//` inside a string is not one. Line comments that follow each other are one comment.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pygments.lexers import get_lexer_for_filename
from pygments.token import Comment as CommentToken
from pygments.token import String, _TokenType

ENDINGS = (".rs", ".scala", ".java", ".cpp", ".h", ".py")

MARK = re.compile(r"^[ \t]*(//[/!]?|/\*+!?|\*+/|\*(?!\*)|#!?) ?", re.MULTILINE)
"""What begins a line of a comment."""

CLOSING = re.compile(r"\s*\*+/\s*$")
PARAMETER = re.compile(r"\n {0,4}(?=\w+(?:, \w+)* ?: )")
"""Where a parameter, an exception or a result begins in a docstring, as Google or NumPy write them."""

SCALADOC_TAG = re.compile(r"^@\w+( \w+)?\n +", re.MULTILINE)
SCALADOC_CODE = re.compile(r"\{\{\{.*?\}\}\}", re.DOTALL)


class Comment(NamedTuple):
    """Markdown, without the marks of the language, and the line where it begins."""

    line: int
    text: str


def _is_comment(token: _TokenType, file: Path) -> bool:
    if token in CommentToken:
        return token not in CommentToken.Preproc and token not in (CommentToken.PreprocFile, CommentToken.Hashbang)
    # `docstrings` reads Python's.
    return token is String.Doc and file.suffix != ".py"


def _spans(file: Path, text: str) -> Iterator[tuple[int, int]]:
    """Where comments begin and end; lines of the same kind with only a line break between them are one."""
    begin = end = -1
    kind = ""
    for start, token, value in get_lexer_for_filename(file.name, stripnl=False).get_tokens_unprocessed(text):
        if not _is_comment(token, file):
            continue
        mark = MARK.match(value)
        inside = start == end and text[end - 1] != "\n"
        breaks = text[max(end - 1, 0) : start].count("\n")
        next_line = mark is not None and mark[1] == kind and breaks < 2 and not text[end:start].strip()
        if not inside and not next_line:
            if begin >= 0:
                yield begin, end
            begin, kind = start, mark[1] if mark else ""
        end = start + len(value)
    if begin >= 0:
        yield begin, end


def _plain(comment: str) -> str:
    lines = MARK.sub("", CLOSING.sub("", comment))
    # A parameter's description is indented below its name; the rest between braces is code.
    return inspect.cleandoc(SCALADOC_CODE.sub("", SCALADOC_TAG.sub("\n", lines)))


def docstrings(text: str) -> Iterator[Comment]:
    """The strings of a Python module that stand alone: of modules, classes, functions and names."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield Comment(node.lineno, PARAMETER.sub("\n\n", inspect.cleandoc(node.value.value)))


def of(file: Path) -> Iterator[Comment]:
    """All comments of a file, a Python module's docstrings too."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        yield from docstrings(text)
    for begin, end in _spans(file, text):
        yield Comment(text.count("\n", 0, begin) + 1, _plain(text[begin:end]))
