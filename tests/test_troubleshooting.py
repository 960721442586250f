"""docs/troubleshooting.md stays true: it has every condition, and the words that it quotes are words of the code's messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from support import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
CONDITIONS = ROOT / "jvm" / "src" / "main" / "resources" / "flambeau" / "error-conditions.json"
OF_OTHERS = {"The functions are unknown", "Nothing fails, but"}
"""Sections whose messages are those of Spark and Python too."""


def sections() -> dict[str, str]:
    """Heading -> text."""
    _, *parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2]))


def messages() -> str:
    """All of the code in one line, where a literal that continues in the next one is a whole, and each `…` is a place for a value."""
    files = [
        file
        for folder, endings in {
            "jvm/src/main": ("scala", "java"),
            "rust": ("rs", "cpp"),
            "python/flambeau": ("py",),
        }.items()
        for ending in endings
        for file in sorted((ROOT / folder).rglob(f"*.{ending}"))
    ]
    code = "\n".join(file.read_text(encoding="utf-8") for file in files)
    keys = dict(re.findall(r'val (\w+): Setting\[.*\] = Setting\(\s*Prefix \+ "([\w.]+)"', code))
    code = re.sub(
        r"\$\{(?:FlambeauConf\.)?(\w+)\.key\}",
        lambda named: f"spark.flambeau.{keys[named[1]]}" if named[1] in keys else named[0],
        code,
    )
    code = re.sub(r'"\s*\+?\s*(?:\n\s*\+?\s*)?s?f?"', "", code)  # two literals of one message
    code = re.sub(r"\\\n\s*", "", code)  # a literal of Rust that continues
    return re.sub(r"\$\{[^}]*\}|\$\w+|\{[^}\n]*\}", "…", code)


def quoted(text: str) -> Iterator[str]:
    """The code spans in the first column of the tables."""
    for cell in re.findall(r"^\| (.*?) \|", text, re.MULTILINE):
        yield from re.findall(r"`([^`]+)`", cell)


def test_every_condition_has_a_section_that_says_what_to_set() -> None:
    declared = set(json.loads(CONDITIONS.read_text(encoding="utf-8")))
    found = sections()
    assert declared == {heading for heading in found if heading.startswith("FLAMBEAU_")}
    for condition in declared:
        rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", found[condition], re.MULTILINE)
        assert rows[0] == ("You see", "Why", "What to set") and len(rows) > 1, condition


def test_the_words_that_it_quotes_are_those_of_messages() -> None:
    code = messages()
    words = {
        part.strip()
        for heading, text in sections().items()
        if heading not in OF_OTHERS
        for span in quoted(text)
        for part in span.split("…")
        if len(part.strip()) > 3
    }
    assert len(words) > 40
    assert {word for word in words if word not in code} == set()
