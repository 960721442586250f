"""Voice activity over meetings: who-speaks-when checked against what people wrote down.

    python examples/voice_activity.py

Thirteen half-minutes of real meetings go through `infer(content, 'silero_vad')` in one SQL statement. A window of 32 ms
counts as speech when its probability is above one half; pauses of less than half a second belong to the speech around them.
For each meeting it prints how many of the annotated turns were found, how much of their time, and how much of what was found
is annotated. It plots the probabilities above the annotated turns.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import pictures
import real_data
import session

WINDOW_SECONDS = 512 / 16_000
PAUSE_WINDOWS = 15
LEAST_HEARD, LEAST_ANNOTATED = 0.85, 0.9
"""Share of the annotated turns that must be heard, and of the found time that must be annotated, over all meetings."""

LISTEN = """\
SELECT file, voice.windows, voice.speech[0] AS speech
FROM  (SELECT regexp_extract(path, '[^/]+$', 0) AS file, infer('silero_vad', content) AS voice FROM meetings)
ORDER BY file"""


def annotated(turns: Sequence[real_data.Turn], windows: int) -> list[bool]:
    """Whether there is speech in the middle of each window."""
    middles = [(index + 0.5) * WINDOW_SECONDS for index in range(windows)]
    return [any(turn.start <= middle < turn.start + turn.seconds for turn in turns) for middle in middles]


def spoken(probabilities: Sequence[float]) -> list[bool]:
    """Which windows are speech, short pauses included."""
    found = [probability > 0.5 for probability in probabilities]
    heard = [index for index, speech in enumerate(found) if speech]
    for before, after in itertools.pairwise(heard):
        if after - before <= PAUSE_WINDOWS:
            found[before:after] = [True] * (after - before)
    return found


def turns_heard(turns: Sequence[real_data.Turn], found: Sequence[bool]) -> int:
    """How many turns have a window of speech in them."""
    at = [index * WINDOW_SECONDS for index, speech in enumerate(found) if speech]
    return sum(any(turn.start - WINDOW_SECONDS < second < turn.start + turn.seconds for second in at) for turn in turns)


def run(out: Path) -> int:
    """The whole example; the exit code."""
    folder = out / "meetings"
    turns = real_data.meetings(folder)
    spark = session.open_session("voice activity")
    try:
        session.model("silero_vad")
        spark.read.format("binaryFile").load(folder.resolve().as_uri()).createOrReplaceTempView("meetings")
        print(f"{LISTEN}\n")
        rows = spark.sql(LISTEN).collect()
    finally:
        spark.stop()
    both = speech = heard = turns_found = 0
    for row in rows:
        truth, found = annotated(turns[row.file], len(row.windows)), spoken(row.windows)
        hits = sum(t and f for t, f in zip(truth, found))
        both, speech, heard = both + hits, speech + sum(truth), heard + sum(found)
        heard_here = turns_heard(turns[row.file], found)
        turns_found += heard_here
        print(f"  {row.file}  {heard_here:2} of {len(turns[row.file]):2} turns, {hits / max(1, sum(truth)):4.0%} of {sum(truth) * WINDOW_SECONDS:4.1f} s of speech found, "
              f"{hits / max(1, sum(found)):4.0%} of what was found is annotated")  # fmt: skip
    picture = out / "voice_activity.png"
    bars = {file: [(turn.start, turn.seconds) for turn in turns[file]] for file in turns}
    pictures.voices(picture, [row.file for row in rows], {row.file: row.windows for row in rows}, WINDOW_SECONDS, bars)
    total = sum(len(of_file) for of_file in turns.values())
    print(
        f"\n  {turns_found} of {total} turns heard; {both / speech:.0%} of their time found, {both / heard:.0%} of what was found is annotated"
    )
    print(f"  {picture.resolve()}")
    return 0 if turns_found >= LEAST_HEARD * total and both >= LEAST_ANNOTATED * heard else 1


def main() -> int:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Find speech in recorded meetings with Silero VAD in Spark SQL.")
    parser.add_argument("--out", type=Path, default=session.ROOT / "build" / "examples", metavar="DIR")
    return run(parser.parse_args().out)


if __name__ == "__main__":
    sys.exit(main())
