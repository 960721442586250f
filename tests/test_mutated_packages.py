"""Thousands of damaged model packages: each is read, or is an error with a message that tells the reason. No crash, no hang.

Damage is random from one seed: bytes flipped, cut out and put in, in manifests, programs, labels, tokenizers and zips; values of the
manifest replaced by others of every type.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from pyspark.errors import PySparkException
from torch import Tensor, nn

from flambeau import FlambeauError, export, models
from support import PACKAGES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SEED = int(os.environ.get("FLAMBEAU_DAMAGED_SEED", "20261125"))
TIMES = int(os.environ.get("FLAMBEAU_DAMAGED_PACKAGES", "1"))
READS, PLANNED = 3_000 * TIMES, 200 * TIMES
"""Damaged packages that are read in Python, and that a query is planned with (and run, if the driver finds no fault).
`./gradlew damagedPackages` makes fifty times as many."""
VALUES = (
    '""', '"x"', '"../../../../etc/passwd"', '"/etc/passwd"', '"a/b"', '"\\u0000"', '"' + "n" * 5_000 + '"', "0", "-1", "1", "3",
    "4294967296", "9223372036854775807", "1e400", "nan", "inf", "true", "[]", "[0]", "[-1]", "[9223372036854775807, 9223372036854775807]",
    '["a"]', "[[1]]", "{}", "{ file = 1 }", "[{}]", "1979-05-27T07:32:00Z", "[" * 200 + "]" * 200,
)  # fmt: skip
"""Replacements for a value of the manifest."""


class Words(nn.Module):
    """Scores of a text, from a table of 8 words."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding.from_pretrained(torch.arange(24.0).view(8, 3))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return (self.table(input_ids) * attention_mask.unsqueeze(2)).sum(1)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Whole packages: numbers with labels, a picture, a text with its tokenizer; one of them as a zip too."""
    folder = tmp_path_factory.mktemp("originals")
    for name in ("tiny", "image_tiny"):
        shutil.copytree(PACKAGES / name, folder / name)
    words = {"[UNK]": 0, **{f"w{n}": n for n in range(1, 8)}}
    (folder / "tokenizer.json").write_text(
        json.dumps({"version": "1.0", "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": words}})
    )
    export.package(
        Words(), folder / "words", name="words", license="MIT", quiet=True, outputs=[export.Output("y", "scores", labels=list("abc"))],
        inputs=[export.TextInput(folder / "tokenizer.json", max_length=16)],
    )  # fmt: skip
    shutil.make_archive(str(folder / "zipped"), "zip", folder / "words")
    return [folder / "tiny", folder / "image_tiny", folder / "words", folder / "zipped.zip"]


def damaged_bytes(content: bytes, chance: random.Random) -> bytes:
    """One to eight changes anywhere."""
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del data[at : at + chance.choice([1, 4, 100, len(data)])]
        elif kind == 2:
            data[at:at] = chance.choice([b"\0", b"\xff\xfe", b"[", b'"', b"\n", b"=" * 50, b"\xed\xa0\x80"])
        elif kind == 3:
            data[at:at] = data[chance.randrange(len(data) + 1) :][: chance.choice([1, 16, 300])]
        else:
            data[at : at + 4] = chance.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f"])
    return bytes(data)


def damaged_manifest(text: str, chance: random.Random) -> str:
    """A line with another value or none, twice, elsewhere, or under another name."""
    lines = text.splitlines()
    at = chance.randrange(len(lines))
    key, equals, _ = lines[at].partition("=")
    kind = chance.randrange(6)
    if equals and kind <= 2:
        lines[at] = f"{key}= {chance.choice(VALUES)}"
    elif kind == 3:
        del lines[at]
    elif kind == 4:
        lines.insert(chance.randrange(len(lines)), lines[at])
    else:
        lines[at] = f"{chance.choice(['x', 'file', 'shape', 'kind', 'sha256', chr(34) * 2])} = {chance.choice(VALUES)}"
    return "\n".join(lines) + "\n"


def with_right_hashes(folder: Path) -> None:
    """Writes the hashes of the files as they are now into the manifest, so that a later check sees them."""
    manifest = folder / "model.toml"
    text = manifest.read_text(encoding="utf-8", errors="surrogateescape")
    for file in folder.iterdir():
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        quoted = re.escape(file.name)
        text = re.sub(rf'("?{quoted}"? = )"[0-9a-f]{{64}}"', rf'\1"{digest}"', text)
        text = re.sub(rf'(file = "{quoted}"\n(?:(?!sha256)[^\n]*\n)*sha256 = )"[0-9a-f]{{64}}"', rf'\1"{digest}"', text)
    manifest.write_text(text, encoding="utf-8", errors="surrogateescape")


def damaged(originals: list[Path], folder: Path, count: int, seed: int) -> Iterator[tuple[Path, str]]:
    """`count` damaged packages under `folder`, one at a time, each with a line about what was done to it."""
    chance = random.Random(seed)
    for number in range(count):
        original = chance.choice(originals)
        place = folder / f"{number}{original.suffix}"
        if original.suffix == ".zip":
            place.write_bytes(damaged_bytes(original.read_bytes(), chance))
            yield place, "bytes of the zip"
            place.unlink()
            continue
        shutil.copytree(original, place)
        file = chance.choice(sorted(place.iterdir()))
        if chance.random() < 0.6:
            file = place / "model.toml"
            file.write_text(damaged_manifest(file.read_text(encoding="utf-8"), chance), encoding="utf-8")
        elif chance.random() < 0.1:
            file.unlink()
        else:
            file.write_bytes(damaged_bytes(file.read_bytes(), chance))
            if file.name != "model.toml" and chance.random() < 0.7:
                with_right_hashes(place)
        if chance.random() < 0.2:
            zipped = Path(shutil.make_archive(str(place), "zip", place))
            yield zipped, f"{original.name}: {file.name}, zipped"
            zipped.unlink()
        yield place, f"{original.name}: {file.name}"
        shutil.rmtree(place)


def said(place: Path, what: str, attempt: Callable[[], Any]) -> str | None:
    """The message of a refusal; None if there was none. Any other error fails the test with how to make it again."""
    try:
        attempt()
    except FlambeauError as error:
        message = str(error)
    except PySparkException as error:
        assert (error.getCondition() or "").startswith("FLAMBEAU_"), f"{place.name} ({what}): {str(error)[:2000]}"
        message = str(error)
    except Exception as error:
        raise AssertionError(f"{place.name} of seed {SEED} ({what}): {type(error).__name__}: {error}") from error
    else:
        return None
    assert len(message) > 20, f"{place.name} ({what}): says only {message!r}"
    return message


def read(place: Path) -> None:
    """All that `python -m flambeau.models list | show | check` reads."""
    package = models.open_package(place)
    package.problems()
    models.describe(package)


def test_reading_damaged_packages(originals: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused = 0
    for number, (place, what) in enumerate(damaged(originals, tmp_path, READS, SEED)):
        refused += said(place, what, partial(read, place)) is not None
        if number % 20 == 0:
            assert models.main(["list", "--path", str(tmp_path)]) == 0
            assert str(place) in capsys.readouterr().out or not (place / "model.toml").exists()
    assert 0.05 < refused / READS < 0.95


def plan(spark: SparkSession, query: str, planned: list[DataFrame]) -> None:
    """Adds the query as the driver plans it."""
    planned.append(spark.sql(query))


def test_queries_with_damaged_packages(spark: SparkSession, originals: list[Path], tmp_path: Path) -> None:
    """The driver fails with one of Flambeau's conditions, or the tasks do, or the query runs. The session continues."""
    arguments = {"tiny": "array(1, 2, 3, 4)", "image_tiny": "X'FFD8FF'", "words": "'w1 w2'", "zipped": "'w1 w2'"}
    ended = {"refused": 0, "failed": 0, "ran": 0}
    for place, what in damaged(originals, tmp_path, PLANNED, SEED + 1):
        argument = arguments[what.partition(":")[0] if ":" in what else "zipped"]
        query = f"SELECT try_infer('{place}', {argument}) AS found FROM range(1)"
        planned: list[DataFrame] = []
        if said(place, what, partial(plan, spark, query, planned)) is not None:
            ended["refused"] += 1
        elif said(place, what, planned[0].collect) is not None:
            ended["failed"] += 1
        else:
            ended["ran"] += 1
    assert min(ended.values()) > 0 and sum(ended.values()) >= PLANNED, ended
    assert spark.sql("SELECT featurize(array(1, 2, 3, 4), 'tiny')[0]").head(1)[0][0] == 2
