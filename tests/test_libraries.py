"""Models of other libraries in one line: SQL's numbers are those of the library's own pipeline, preprocessing included."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
import torch
import transformers as hf

import library_models
import library_sounds
import support
from flambeau import export
from flambeau.export import libraries

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SOUNDS = support.ROOT / "build" / "audio-reference"
TURNS = [SOUNDS / "turns" / f"{index:03}.wav" for index in (4, 7, 8, 10, 28, 33)]
"""Turns of speakers in meetings, of 2 to 4.8 s, so that a batch has padded rows."""
TEXTS = ["the quick brown fox jumps over the lazy dog", "a cat sleeps", "", "not happy", "very " * 40]


def numbers(row: Any) -> torch.Tensor:
    """The logits, otherwise the features, of one result of `infer`."""
    found = row.asDict()
    return torch.tensor(found.get("logits", found.get("features")))


def agree(given: list[torch.Tensor], expected: list[torch.Tensor], cosine: float) -> None:
    assert len(given) == len(expected)
    for row, right in zip(given, expected):
        assert row.shape == right.shape
        one, other = row.double().flatten(), right.detach().double().flatten()
        assert torch.nn.functional.cosine_similarity(one, other, dim=0) > cosine
        assert (one - other).abs().max() <= 30 * (1 - cosine) ** 0.5 * max(1.0, float(other.abs().max()))


@pytest.mark.parametrize("name", library_models.texts())
def test_texts(spark: SparkSession, tmp_path: Path, name: str) -> None:
    model = library_models.texts()[name]()
    model.write(tmp_path / name)
    rows = spark.createDataFrame(list(enumerate(TEXTS)), "id int, text string")
    found = rows.selectExpr("id", f"infer('{tmp_path / name}', text) AS r").orderBy("id").collect()
    with torch.no_grad():
        agree([numbers(row["r"]) for row in found], model.expected(TEXTS), 0.999999)


@pytest.mark.parametrize("name", library_models.images())
def test_images(spark: SparkSession, tmp_path: Path, photos: dict[str, Any], name: str) -> None:
    model = library_models.images()[name]()
    model.write(tmp_path / name)
    files = sorted(photos)[:6]
    table = spark.read.format("binaryFile").load([(support.PHOTOS / file).as_uri() for file in files])
    found = table.selectExpr("path", f"infer('{tmp_path / name}', content) AS r").orderBy("path").collect()
    with torch.no_grad():
        agree([numbers(row["r"]) for row in found], model.expected([support.PHOTOS / file for file in files]), 0.9999)


@pytest.mark.parametrize("name", library_sounds.sounds())
def test_sounds(spark: SparkSession, tmp_path: Path, name: str) -> None:
    model = library_sounds.sounds()[name]()
    model.write(tmp_path / name)
    table = spark.read.format("binaryFile").load([file.as_uri() for file in TURNS])
    found = table.selectExpr("path", f"infer('{tmp_path / name}', content) AS r").orderBy("path").collect()
    with torch.no_grad():
        expected = model.expected(TURNS)
    agree([numbers(row["r"]) for row in found], expected, 0.999999)
    # Random heads give small numbers, and clips differ in a part of them: that part must be right too.
    allowed = 1e-4 * float(torch.stack([row.abs().max() for row in expected]).max())
    assert all(float((numbers(row["r"]) - right).abs().max()) <= allowed for row, right in zip(found, expected))
    first = expected[0].flatten()[:3]
    assert all(float((row.flatten()[:3] - first).abs().max()) > 3 * allowed for row in expected[1:])


def test_a_short_clip_is_one_frame(spark: SparkSession, tmp_path: Path) -> None:
    library_sounds.sounds()["wav2vec2_ctc"]().write(tmp_path / "short")
    table = spark.read.format("binaryFile").load([(SOUNDS / "meetings" / "one_sample.wav").as_uri(), TURNS[0].as_uri()])
    rows = table.selectExpr("length", f"infer('{tmp_path / 'short'}', content) AS r").orderBy("length").collect()
    samples = soundfile.info(TURNS[0]).frames
    assert [len(row["r"]["logits"]) for row in rows] == [1, (samples - 325) // 320 + 1]


@pytest.mark.parametrize("pooling", library_models.POOLINGS)
def test_sentence_embeddings(spark: SparkSession, tmp_path: Path, pooling: str) -> None:
    model = library_models.sentences(tmp_path / "source", pooling)
    libraries.from_sentence_transformers(str(tmp_path / "source"), tmp_path / "out", quiet=True)
    rows = spark.createDataFrame(list(enumerate(TEXTS)), "id int, text string")
    found = rows.selectExpr("id", f"featurize(text, '{tmp_path / 'out'}') AS r").orderBy("id").collect()
    agree([torch.tensor(row["r"]) for row in found], list(model.encode(TEXTS, convert_to_tensor=True)), 0.999999)
    manifest = (tmp_path / "out" / "model.toml").read_text(encoding="utf-8")
    assert 'license = "MIT"' in manifest and 'name = "source"' in manifest


def test_a_folder_says_labels_activation_and_license(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "moods"
    library_models.moods().save_pretrained(folder)
    library_models.tokenizer(types=True).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n", encoding="utf-8")
    libraries.from_transformers(str(folder), tmp_path / "out", quiet=True)
    (row,) = spark.sql(f"SELECT classify('a happy dog', '{tmp_path / 'out'}', 3) AS labels").collect()
    assert {label["label"] for label in row["labels"]} == {"happy", "sad", "lazy"}
    manifest = (tmp_path / "out" / "model.toml").read_text(encoding="utf-8")
    assert 'license = "Apache-2.0"' in manifest and 'activation = "sigmoid"' in manifest


def refused(says: str, **arguments: Any) -> None:
    with pytest.raises(export.ExportError, match=says):
        libraries.from_transformers(arguments.pop("model"), arguments.pop("path"), **arguments)


def test_what_the_files_do_not_say_is_asked_for(tmp_path: Path) -> None:
    bert, clip = library_models.plain("BertModel", "BertConfig"), library_models.clip()
    words = library_models.tokenizer(types=True)
    common: dict[str, Any] = {"path": tmp_path / "p", "quiet": True}
    refused(
        "BertModel gives hidden states: say how they become features, with pooling=",
        model=bert,
        tokenizer=words,
        **common,
    )
    refused(
        "do not say the license of its weights: give license=", model=bert, tokenizer=words, pooling="mean", **common
    )
    refused("a model without its folder: give tokenizer=", model=bert, pooling="mean", **common)
    refused("CLIPModel has two towers: give tower='text' or tower='image'", model=clip, tokenizer=words, **common)
    with pytest.raises(export.ExportError, match="no weights that say how images are prepared: give image="):
        libraries.from_torchvision("resnet18", tmp_path / "p", None, license="MIT")
    sounds = hf.Wav2Vec2Model(hf.Wav2Vec2Config(**library_sounds.WAVES))
    slow = hf.Wav2Vec2FeatureExtractor(sampling_rate=8000)
    refused("a model without its folder: give processor=", model=sounds, pooling="mean", **common)
    refused("hidden states: say how .* with pooling= one of mean", model=sounds, processor=slow, **common)
    refused(
        "takes 8000 samples per second, not 16000: give sample_rate=8000",
        model=sounds,
        processor=slow,
        pooling="mean",
        audio=export.AudioInput(16_000),
        **common,
    )
    refused("BertModel has no towers: leave out tower=", model=bert, tokenizer=words, tower="text", **common)
    assert not (tmp_path / "p").exists()


def test_what_cannot_be_packaged_is_refused_by_name(tmp_path: Path) -> None:
    common: dict[str, Any] = {"path": tmp_path / "p", "quiet": True}
    whisper = hf.WhisperForConditionalGeneration(hf.WhisperConfig(**library_sounds.WHISPER))
    other = hf.SpeechT5FeatureExtractor()
    vectors = hf.Wav2Vec2ForXVector(
        hf.Wav2Vec2Config(**library_sounds.WAVES, tdnn_dim=[8], tdnn_kernel=[1], tdnn_dilation=[1])
    )
    refused(
        "the encoder of WhisperForConditionalGeneration gives hidden states: say how",
        model=whisper,
        processor=hf.WhisperFeatureExtractor(),
        **common,
    )
    refused("takes sounds as SpeechT5FeatureExtractor prepares them", model=whisper, processor=other, **common)
    refused("with dither=0.1", model=whisper, processor=hf.WhisperFeatureExtractor(dither=0.1), **common)
    refused(
        "Wav2Vec2ForXVector cannot be packaged in one line",
        model=vectors,
        processor=hf.Wav2Vec2FeatureExtractor(),
        **common,
    )
    assert not (tmp_path / "p").exists()
