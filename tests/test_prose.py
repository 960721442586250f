"""`prose` reads all that people read, and finds what it is for. What it finds in the repository, ./gradlew lint says."""

from __future__ import annotations

import prose
from support import ROOT


def of(text: str) -> list[str]:
    return prose.findings(prose.of_markdown(ROOT / "README.md", text))


def test_pages_docstrings_comments_and_messages_are_read() -> None:
    everything = list(prose.everything())
    kinds = {(one.file.suffix, one.is_message) for one in everything}
    read = {(ending, False) for ending in (".md", ".py", ".scala")}
    assert kinds == read | {(ending, True) for ending in (".py", ".scala", ".java", ".rs", ".cpp")}
    assert len(everything) > 1500


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
