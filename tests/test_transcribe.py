"""`transcribe`: SQL's texts, words and times are those of transformers' own decoding. Random weights, real speech."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
import torch
import transformers as hf
from pyspark.errors import AnalysisException

import library_sounds
import support
from flambeau import export
from flambeau import functions as F
from flambeau.export import libraries
from library_models import LICENSE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPEECH = support.ROOT / "build" / "audio-reference" / "turns"
TURNS = [SPEECH / f"{index:03}.wav" for index in (4, 7, 8, 10, 28, 33)]
"""Of 2 to 4.8 s, so that a batch has padded rows."""
NETWORKS = {"Wav2Vec2ForCTC": {}, "HubertForCTC": {"feat_extract_norm": "layer"}, "WavLMForCTC": {}}


def processor(folder: Path, **changes: Any) -> Any:
    """A processor of this library with eleven tokens."""
    words = library_sounds.tokens(folder, **changes)
    return hf.Wav2Vec2Processor(hf.Wav2Vec2FeatureExtractor(return_attention_mask=True), words)


def saved(kind: str, folder: Path, **changes: Any) -> tuple[Any, Any]:
    """A network and its processor, saved as a folder."""
    torch.manual_seed(5)
    config = getattr(hf, kind.replace("ForCTC", "Config"))
    network = getattr(hf, kind)(config(**{**library_sounds.WAVES, **changes})).eval()
    with torch.no_grad():
        network.lm_head.weight.mul_(20)
    words = processor(folder.parent)
    network.save_pretrained(folder)
    words.save_pretrained(folder)
    return network, words


def decoded(network: Any, words: Any, clips: Sequence[Any]) -> list[dict[str, Any]]:
    """What transformers says of each clip alone."""
    found = []
    for samples, rate in clips:
        given = words(samples, sampling_rate=rate, return_tensors="pt")
        with torch.no_grad():
            best = network(**given).logits.argmax(-1)[0]
        result = words.decode(best, output_word_offsets=True)
        frame = network.config.inputs_to_logits_ratio / rate
        times = [
            {"word": word["word"], "start": word["start_offset"] * frame, "end": word["end_offset"] * frame}
            for word in result.word_offsets
        ]
        found.append({"text": result.text, "words": times})
    return found


@pytest.mark.parametrize("kind", NETWORKS)
def test_texts_words_and_times(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    network, words = saved(kind, tmp_path / "source", **NETWORKS[kind])
    libraries.from_transformers(str(tmp_path / "source"), tmp_path / "out", **LICENSE)
    table = spark.read.format("binaryFile").load([file.as_uri() for file in TURNS])
    found = table.select("path", F.transcribe("content", tmp_path / "out").alias("t")).orderBy("path").collect()
    expected = decoded(network, words, [soundfile.read(file, dtype="float32") for file in TURNS])
    assert [row["t"].asDict(recursive=True) for row in found] == expected
    assert len({row["text"] for row in expected}) == len(TURNS)
    assert all(len(row["words"]) > 1 for row in expected)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("transcribe")
    network, _ = saved("Wav2Vec2ForCTC", folder / "source")
    with torch.no_grad():
        network.lm_head.bias[0] += 1000
    network.save_pretrained(folder / "source")
    libraries.from_transformers(str(folder / "source"), folder / "blank", **LICENSE)
    return folder / "blank"


def test_nothing_is_said(spark: SparkSession, package: Path) -> None:
    """Every frame is blank. A clip that cannot be read fails the query, or is NULL; NULL is NULL."""
    clip, broken = bytearray(TURNS[0].read_bytes()), bytearray(b"RIFF and nothing more")
    rows = spark.createDataFrame([(0, clip), (1, None), (2, broken)], "id int, sound binary")
    found = rows.select("id", F.try_transcribe("sound", package).alias("t")).orderBy("id").collect()
    assert found[0]["t"].asDict() == {"text": "", "words": []}
    assert [row["t"] for row in found[1:]] == [None, None]
    good = rows.where("id < 2").selectExpr("id", f"transcribe(sound, '{package}') t").orderBy("id").collect()
    assert [row["t"] for row in good] == [row["t"] for row in found[:2]]
    with pytest.raises(Exception, match="FLAMBEAU_BAD_INPUT"):
        rows.select(F.transcribe("sound", package)).collect()


def test_the_functions_describe_themselves(spark: SparkSession, package: Path) -> None:
    text = "\n".join(row[0] for row in spark.sql("DESCRIBE FUNCTION EXTENDED try_transcribe").collect())
    assert "try_transcribe(audio, model)" in text and "Bad input gives NULL" in text
    kind = spark.sql(f"SELECT transcribe(X'00', '{package}') AS t").schema["t"].dataType.simpleString()
    assert kind == "struct<text:string,words:array<struct<word:string,start:double,end:double>>>"
    with pytest.raises(AnalysisException, match=r"'tiny' has no output of role ctc, so it cannot transcribe"):
        spark.sql("SELECT transcribe(array(1, 2, 3, 4), 'tiny')")
    with pytest.raises(AnalysisException, match="has no output of role scores"):
        spark.sql(f"SELECT classify(X'00', '{package}')")


MISTAKES: dict[str, Callable[[Any], None]] = {
    "puts '_' between words": lambda words: setattr(words, "replace_word_delimiter_char", "_"),
    "removes spaces before punctuation": lambda words: setattr(words, "clean_up_tokenization_spaces", True),
}


@pytest.mark.parametrize("says", MISTAKES)
def test_other_ways_to_decode_are_refused(tmp_path: Path, says: str) -> None:
    network, words = saved("Wav2Vec2ForCTC", tmp_path / "source")
    MISTAKES[says](words.tokenizer)
    with pytest.raises(export.ExportError, match=says):
        libraries.from_transformers(network, tmp_path / "out", processor=words, **LICENSE)


def test_small_letters_if_the_tokenizer_makes_them(tmp_path: Path) -> None:
    network, _ = saved("Wav2Vec2ForCTC", tmp_path / "source")
    small = processor(tmp_path, do_lower_case=True)
    libraries.from_transformers(network, tmp_path / "out", processor=small, **LICENSE)
    assert (tmp_path / "out" / "labels.txt").read_text(encoding="utf-8").split()[4:] == list("|etaoni")


def test_a_tokenizer_is_asked_for(tmp_path: Path) -> None:
    network, words = saved("Wav2Vec2ForCTC", tmp_path / "source")
    with pytest.raises(export.ExportError, match="a model without its folder: give tokenizer="):
        libraries.from_transformers(network, tmp_path / "out", processor=words.feature_extractor, **LICENSE)
