"""`prose` reads all text that people read, and applies its rules. ./gradlew lint reports its findings in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

import comments
import prose
from support import ROOT


def of(text: str) -> list[str]:
    return prose.findings(prose.of_markdown(ROOT / "README.md", text))


def test_pages_docstrings_comments_and_messages_are_read() -> None:
    everything = list(prose.everything())
    kinds = {(one.file.suffix, one.is_message) for one in everything}
    read = {(ending, False) for ending in (".md", ".ipynb", *comments.ENDINGS)}
    assert kinds == read | {(ending, True) for ending in (".py", ".scala", ".java", ".rs", ".cpp")}
    assert len(everything) > 8000
    # Tests, benchmarks and build scripts too, but not the code of others.
    read_files = {one.file.relative_to(ROOT).as_posix() for one in everything}
    for name in (
        "tests/test_prose.py",
        "rust/train/src/sampler.rs",
        "rust/train/tests/train/main.rs",
        "gradle/check_types.py",
    ):
        assert name in read_files, name
    assert not [name for name in read_files if "/vendor/" in name]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "a.rs",
            '//! One\n//! two.\n//!\n//! Three.\n\nfn f() -> &\'static str { "// no" } // Four.\n/// Five.\nstruct S;\n',
            [(1, "One\ntwo.\n\nThree."), (6, "Four."), (7, "Five.")],
        ),
        (
            "A.scala",
            "/**\n * One.\n *\n * @param n\n *   two\n */\nclass A(n: Int) {\n  // Three,\n  // four.\n\n  // Five.\n}\n",
            [(1, "One.\n\n\ntwo"), (8, "Three,\nfour."), (11, "Five.")],
        ),
        ("A.java", "/** {@code x} One. */\nfinal class A {}\n", [(1, "{@code x} One.")]),
        ("a.cpp", "// One.\n#include <a>\nint a;  /* two */\n", [(1, "One."), (3, "two")]),
        (
            "a.py",
            '#!/usr/bin/env python3\n"""One."""\n\nA = "# no"  # Two.\n"""Three."""\n\n\ndef _f() -> None:\n    """Four."""\n',
            [(2, "One."), (5, "Three."), (9, "Four."), (4, "Two.")],
        ),
    ],
)
def test_comments_are_found(tmp_path: Path, name: str, text: str, expected: list[tuple[int, str]]) -> None:
    file = tmp_path / name
    file.write_text(text)
    assert list(comments.of(file)) == expected


def test_long_sentences_are_found_and_code_is_not_counted() -> None:
    words = " ".join(f"word{n}" for n in range(34))
    short = "One `two three` four, five (six) seven. "
    assert of(f"{short * 20}\n\n```\n{words} {words}\n```\n\n- {short}") == []
    assert of(f"First line.\n\nIt has {words}.") == ["README.md:3: a sentence of 36 words"]
    assert of(f"| a | b |\n|---|---|\n| x | {words}; {words} |") == []


def test_turns_of_phrase_and_doubled_words_are_found() -> None:
    assert of("Bytes of one batch at the most.") == ["README.md:1: 'at the most': at most, at least: without 'the'"]
    assert len(of("A file, the name of which is long, hangs on on the weather.")) == 3
    assert of("There is no model of that name, at most one of them.") == []


@pytest.mark.parametrize(
    "phrase",
    [
        "It lets go of the lock.",
        "As PyTorch has it, the mean.",
        "The row is to blame.",
        "The path if it is set, else the jar.",
        "A batch of so many rows.",
        "Nobody reads it, and it is read once more.",
        "What the model gives is kept.",
        "It goes on, and whoever waits is told.",
    ],
)
def test_phrases_are_found(phrase: str) -> None:
    assert of(phrase), phrase


def test_plain_sentences_are_not() -> None:
    plain = "The loop releases the lock as in PyTorch. There are so many that it is slow. If it is set, use it; otherwise the jar."
    assert of(plain) == []
