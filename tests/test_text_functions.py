"""Functions of texts: `rerank`, `entities`, `answer`, `zero_shot` give what the pipelines of transformers and sentence-transformers give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import pytest
import torch
import transformers as hf
from transformers.pipelines.document_question_answering import select_starts_ends

import library_models
import library_pairs
from flambeau import export
from flambeau import functions as F
from flambeau.export import libraries
from library_pairs import NAMES, NLI, SENTENCES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

QUERIES = ["a happy dog", "Where did Ada live?", "\U0001f600 e\u0301", "", "very " * 20, "fox", "London"]
LABELS = ["travel", "cooking and food", "danc\u0327ing"]


def pairs(spark: SparkSession) -> DataFrame:
    rows = [(index, a, b) for index, (a, b) in enumerate(zip(QUERIES, SENTENCES))]
    return spark.createDataFrame([*rows, (98, None, "b"), (99, "a", None)], "id int, a string, b string")


def texts(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([*enumerate(SENTENCES), (99, None)], "id int, b string")


def column(rows: DataFrame, expression: Any) -> list[Any]:
    """The values of an expression in the order of ids."""
    named = (
        rows.selectExpr("id", f"{expression} AS r")
        if isinstance(expression, str)
        else rows.select("id", expression.alias("r"))
    )
    return [row["r"] for row in named.orderBy("id").collect()]


@pytest.mark.parametrize("family", ["DistilBert", "Electra"])
def test_rerank(spark: SparkSession, tmp_path: Path, family: str) -> None:
    network, words = library_pairs.saved(tmp_path / "source", family, "SequenceClassification", num_labels=1)
    libraries.from_transformers(str(tmp_path / "source"), tmp_path / "m", pair=True, quiet=True)
    given = words(QUERIES, SENTENCES, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        expected = torch.sigmoid(network(**given).logits[:, 0]).tolist()
    found = column(pairs(spark), F.rerank("a", "b", str(tmp_path / "m")))
    assert found[:-2] == pytest.approx(expected, abs=1e-5) and found[-2:] == [None, None]
    assert max(expected) - min(expected) > 1e-3
    raw = column(pairs(spark), f"infer('{tmp_path / 'm'}', a, b).logits[0]")
    assert torch.sigmoid(torch.tensor(raw[:-2])).tolist() == pytest.approx(expected, abs=1e-5)


def test_a_cross_encoder_is_packaged_in_one_line(spark: SparkSession, tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    library_pairs.saved(tmp_path / "plain", "Bert", "SequenceClassification", num_labels=1)
    for name, activation in (("sigmoid", torch.nn.Sigmoid()), ("plain_scores", torch.nn.Identity())):
        encoder = CrossEncoder(str(tmp_path / "plain"), device="cpu", activation_fn=activation)
        encoder.save(str(tmp_path / f"{name}_source"))
        source: Any = str(tmp_path / f"{name}_source") if name == "sigmoid" else encoder
        libraries.from_sentence_transformers(source, tmp_path / name, license="MIT", quiet=True)
        expected = encoder.predict(list(zip(QUERIES, SENTENCES))).tolist()
        found = column(pairs(spark), f"rerank(a, b, '{tmp_path / name}')")
        assert found[:-2] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", ["Bert", "Roberta"])
def test_entities(spark: SparkSession, tmp_path: Path, family: str) -> None:
    network, words = library_pairs.saved(tmp_path / "source", family, "TokenClassification", id2label=NAMES)
    libraries.from_transformers(str(tmp_path / "source"), tmp_path / "m", quiet=True)
    pipeline = hf.pipeline(
        "token-classification", model=network, tokenizer=words, aggregation_strategy="simple", device="cpu"
    )
    found = column(texts(spark), F.entities("b", str(tmp_path / "m")))
    assert found.pop() is None and len(found) == len(SENTENCES)
    for text, own in zip(SENTENCES, found):
        expected = pipeline(text)
        assert [(one["label"], one["start"], one["end"]) for one in own] == [
            (one["entity_group"], one["start"], one["end"]) for one in expected
        ]
        assert [one["score"] for one in own] == pytest.approx([float(one["score"]) for one in expected], abs=1e-4)
        assert all(one["text"] == text[one["start"] : one["end"]] for one in own)
    assert sum(map(len, found)) > 10
    assert column(texts(spark), f"infer('{tmp_path / 'm'}', b).tokens")[3] == len(words("")["input_ids"])


def best_answer(network: Any, words: Any, question: str, context: str) -> dict[str, Any]:
    """The answer that the pipeline of transformers 4 chose: the best spans, widened to words, equal ones added up."""
    given = words(question, context, truncation="only_second", return_tensors="pt")
    encoding = given.encodings[0]
    with torch.no_grad():
        result = network(**given)
    outside = numpy.array([[text != 1 for text in encoding.sequence_ids]]).astype(int)
    outside[0, given["input_ids"][0].numpy() == words.cls_token_id] = 0
    starts, ends, scores, _ = select_starts_ends(
        result.start_logits.numpy(), result.end_logits.numpy(), outside, given["attention_mask"].numpy(), top_k=12
    )
    answers: dict[str, dict[str, Any]] = {}
    for first, last, score in zip(starts.tolist(), ends.tolist(), scores.tolist()):
        if encoding.token_to_word(first) is None or encoding.token_to_word(last) is None:
            start, end = encoding.offsets[first][0], encoding.offsets[last][1]
        else:
            start = encoding.word_to_chars(encoding.token_to_word(first), 1)[0]
            end = encoding.word_to_chars(encoding.token_to_word(last), 1)[1]
        text = context[start:end]
        same = answers.setdefault(text.lower(), {"answer": text, "score": 0.0, "start": start, "end": end})
        same["score"] += score
    return max(answers.values(), key=lambda one: float(one["score"]))


@pytest.mark.parametrize("family", ["Bert", "Roberta"])
def test_answer(spark: SparkSession, tmp_path: Path, family: str) -> None:
    network, words = library_pairs.saved(tmp_path / "source", family, "QuestionAnswering")
    libraries.from_transformers(str(tmp_path / "source"), tmp_path / "m", quiet=True)
    short = pairs(spark).where("length(a) < 40")
    found = column(short, F.answer("a", "b", str(tmp_path / "m")))
    kept = [(a, b) for a, b in zip(QUERIES, SENTENCES) if len(a) < 40]
    assert found[-1] is None and len(found) == len(kept) + 1
    for (question, context), own in zip(kept, found):
        expected = best_answer(network, words, question, context)
        assert own["score"] == pytest.approx(expected["score"], abs=1e-5)
        if expected["score"] > 0:
            assert {**own.asDict(), "score": 0} == {**expected, "score": 0}
        else:
            assert own["answer"] == "" and (own["start"], own["end"]) == (0, 0)


@pytest.mark.parametrize("family", ["Bert", "Roberta"])
def test_zero_shot(spark: SparkSession, tmp_path: Path, family: str) -> None:
    network, words = library_pairs.saved(tmp_path / "source", family, "SequenceClassification", id2label=NLI)
    libraries.from_transformers(str(tmp_path / "source"), tmp_path / "m", pair=True, quiet=True)
    pipeline = hf.pipeline("zero-shot-classification", model=network, tokenizer=words, device="cpu")
    model = str(tmp_path / "m")
    kept = [text for text in SENTENCES if text]  # the pipeline takes no empty text
    rows = texts(spark).where("b != '' OR b IS NULL")
    several: dict[str, Any] = {"multi_label": True, "hypothesis_template": "It is of {}, I say."}
    plain: dict[str, Any] = {}
    for labels, options in ((LABELS, plain), (LABELS, several), (LABELS[:1], plain)):
        found = column(rows, F.zero_shot("b", labels, model, **options))
        assert found.pop() is None and len(found) == len(kept)
        for text, own in zip(kept, found):
            expected = pipeline(text, labels, **options)
            assert [one["label"] for one in own] == expected["labels"]
            assert [one["probability"] for one in own] == pytest.approx(expected["scores"], abs=1e-5)
            assert [labels[one["index"]] for one in own] == expected["labels"]
    (empty,) = column(texts(spark).where("b = ''"), f"zero_shot(b, array('x', 'y'), '{model}')")
    assert sum(one["probability"] for one in empty) == pytest.approx(1, abs=1e-5)


def test_bad_rows(spark: SparkSession, tmp_path: Path) -> None:
    _, words = library_pairs.saved(tmp_path / "source", "Bert", "QuestionAnswering")
    libraries.from_transformers(str(tmp_path / "source"), tmp_path / "m", quiet=True)
    question = "very " * 60  # leaves no room for a context
    model = str(tmp_path / "m")
    rows = spark.createDataFrame([(0, question, "a cat"), (1, "a", "a cat")], "id int, a string, b string")
    found = column(rows, F.try_answer("a", "b", model))
    assert found[0] is None and found[1]["answer"]
    with pytest.raises(Exception, match="FLAMBEAU_BAD_INPUT"):
        column(rows, F.answer("a", "b", model))
    broken = "CAST(unhex('ff') AS STRING)"
    found = column(rows.where("id = 1"), f"try_answer(a, {broken}, '{model}')")
    assert found == [None]
    with pytest.raises(Exception, match=r"context.*not UTF-8"):
        column(rows.where("id = 1"), f"answer(a, {broken}, '{model}')")
    assert len(words(question)["input_ids"]) > 48


def test_models_that_do_not_fit_are_refused_with_advice(spark: SparkSession, tmp_path: Path) -> None:
    library_pairs.saved(tmp_path / "source", "Bert", "SequenceClassification", id2label=NLI)
    pair, single = tmp_path / "pair", tmp_path / "single"
    libraries.from_transformers(str(tmp_path / "source"), pair, pair=True, quiet=True)
    libraries.from_transformers(str(tmp_path / "source"), single, quiet=True)
    wrong = {
        f"classify('a', '{pair}')": r"takes 2 inputs \(text, text_pair\), the call has 1; infer\('.*', text, text_pair\) takes them all",
        f"rerank('a', 'b', '{pair}')": "gives 3 scores for a pair, not one",
        f"rerank('a', 'b', '{single}')": r"takes text \(text\), not a pair of texts",
        f"entities('a', '{single}')": "no output of role token_scores",
        f"answer('a', 'b', '{pair}')": "no output of role start_scores",
        f"zero_shot('a', array('x'), '{single}')": "must take pairs of texts and give scores",
        f"zero_shot('a', array(), '{pair}')": "labels must be an array of strings",
        f"zero_shot('a', array('x', CAST(NULL AS STRING)), '{pair}')": "one of them is NULL",
        f"zero_shot('a', array('x'), '{pair}', hypothesis_template => 'no')": "must have {} in the place of the label",
    }
    for call, says in wrong.items():
        with pytest.raises(Exception, match=says):
            spark.sql(f"SELECT {call}").collect()
    with pytest.raises(ValueError, match="labels must be a list of strings"):
        F.zero_shot("a", "x", str(pair))


def test_a_function_of_its_own_does_what_its_model_is_for(spark: SparkSession, tmp_path: Path) -> None:
    import flambeau

    library_pairs.saved(tmp_path / "names", "Bert", "TokenClassification", id2label=NAMES)
    library_pairs.saved(tmp_path / "scores", "Bert", "SequenceClassification", num_labels=1)
    for name in ("names", "scores"):
        libraries.from_transformers(str(tmp_path / name), tmp_path / f"{name}_m", pair=name == "scores", quiet=True)
        flambeau.register(spark, f"text_{name}", str(tmp_path / f"{name}_m"))
    both = pairs(spark).selectExpr(
        "text_names(b) AS n", "text_scores(a, b) AS s", f"entities(b, '{tmp_path / 'names_m'}') AS e"
    )
    assert both.schema["s"].dataType.simpleString() == "float"
    assert all(row["n"] == row["e"] for row in both.collect())
    usage = spark.sql("DESCRIBE FUNCTION EXTENDED rerank").collect()
    assert any("How well the text fits the query" in row[0] for row in usage)


def test_exports_say_what_they_need(tmp_path: Path) -> None:
    words = library_pairs.word_pieces(types=True)
    names = library_models.made(
        "BertForTokenClassification", "BertConfig", {**library_models.TEXT, "vocab_size": len(words)}
    )
    common: dict[str, Any] = {"tokenizer": words, "license": "MIT", "quiet": True}
    with pytest.raises(export.ExportError, match="pairs are for classifiers of texts"):
        libraries.from_transformers(names, tmp_path / "p", pair=True, **common)
    words.padding_side = "left"
    left = words.backend_tokenizer
    left.enable_padding(direction="left")
    with pytest.raises(export.ExportError, match="pads at the end"):
        libraries.from_transformers(names, tmp_path / "p", **{**common, "tokenizer": words})
    with pytest.raises(export.ExportError, match="token_scores need lengths="):
        export.Output("x", "token_scores")
    with pytest.raises(export.ExportError, match="truncation is for pairs"):
        export.TextInput(words, truncation="only_first")
    assert not (tmp_path / "p").exists()
