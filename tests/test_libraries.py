"""Models of other libraries in one line: SQL's numbers are those of the library's own pipeline, preprocessing included."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import library_models
import support
from flambeau import export
from flambeau.export import libraries

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

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


def test_sentence_embeddings(spark: SparkSession, tmp_path: Path) -> None:
    model = library_models.sentences(tmp_path / "source")
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
    assert not (tmp_path / "p").exists()
