"""What a PySpark user does in `local[2]`: real photos, vectors, NULL, bad rows, views, pandas and Arrow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pyspark.sql.functions import col, expr, lit

import flambeau
from flambeau import functions as F
from support import FAILURES, MODEL, PHOTOS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


def test_real_photos_get_their_labels_and_features(photo_table: DataFrame, photos: dict[str, tuple[str, ...]]) -> None:
    described = photo_table.select(
        "file", F.classify("content", MODEL, 3).alias("labels"), F.featurize("content", MODEL).alias("features")
    )
    assert described.schema["features"].dataType.simpleString() == "array<float>"
    rows = {row.file: row for row in described.collect()}
    assert rows.keys() == photos.keys()
    right = [file for file, expected in photos.items() if rows[file].labels[0].label in expected]
    assert "chelsea.png" in right, "a cat is a cat"
    assert len(right) >= 0.9 * len(photos), sorted(set(photos) - set(right))
    for row in rows.values():
        assert len(row.features) == 1280 and np.isfinite(row.features).all()
        probabilities = [entry.probability for entry in row.labels]
        assert len(probabilities) == 3 and probabilities == sorted(probabilities, reverse=True)
        assert 0 < sum(probabilities) <= 1.0001
        assert all(0 <= entry["index"] < 1000 for entry in row.labels)


def test_photos_are_nearest_to_their_kind(photo_table: DataFrame) -> None:
    wanted = photo_table.where(col("file").isin("cheetah1.jpg", "cheetah2.jpg", "lion.jpg", "beetle.jpg"))
    features = {
        row.file: np.array(row.f) for row in wanted.select("file", F.featurize("content", MODEL).alias("f")).collect()
    }

    def cosine(a: str, b: str) -> float:
        return float(features[a] @ features[b] / np.linalg.norm(features[a]) / np.linalg.norm(features[b]))

    assert (
        cosine("cheetah1.jpg", "cheetah2.jpg")
        > cosine("cheetah1.jpg", "lion.jpg")
        > cosine("cheetah1.jpg", "beetle.jpg")
    )


def test_sql_columns_and_expr_give_the_same(spark: SparkSession, vectors: DataFrame) -> None:
    good = vectors.where("id < 4")
    good.createOrReplaceTempView("good")
    from_sql = spark.sql("SELECT id, classify(x, 'tiny', 2) AS labels FROM good ORDER BY id").collect()
    from_columns = good.select("id", F.classify(col("x"), "tiny", 2).alias("labels")).orderBy("id").collect()
    from_expr = (
        good.select("id", expr("classify(input => x, model => 'tiny', k => 2) AS labels")).orderBy("id").collect()
    )
    assert from_sql == from_columns == from_expr
    total = sum(math.exp(score) for score in (2, 3, 4))
    assert [(entry.label, entry["index"]) for entry in from_sql[0].labels] == [("c", 2), ("b", 1)]
    assert [entry.probability for entry in from_sql[0].labels] == pytest.approx(
        [math.exp(4) / total, math.exp(3) / total], rel=1e-5
    )
    assert from_sql[1].labels is None


def test_a_named_function_comes_from_the_configuration(spark: SparkSession) -> None:
    assert spark.sql("SELECT tiny_features(array(1, 2, 3, 4)) AS f").head(1)[0].f == [2, 4, 6]


def test_null_in_null_out(vectors: DataFrame) -> None:
    for function in (F.featurize, F.try_featurize, F.classify, F.try_classify):
        assert vectors.where("id = 2").select(function("x", "tiny")).head(1)[0][0] is None


def test_a_bad_row_fails_the_query_and_says_which_and_what_to_do(vectors: DataFrame) -> None:
    with pytest.raises(FAILURES) as failure:
        vectors.coalesce(1).select(F.featurize("x", "tiny")).collect()
    text = str(failure.value)
    assert "FLAMBEAU_BAD_INPUT" in text
    assert "model 'tiny'" in text and "row 3 of partition 0" in text
    assert "try_featurize" in text


@pytest.mark.parametrize(
    ("content", "cause"),
    [(b"this is a line of text\n", "image"), (b"", "empty"), (PHOTOS / "lion.jpg", "lion")],
    ids=["text", "empty", "truncated"],
)
def test_bytes_that_are_no_image(
    spark: SparkSession, photos: dict[str, tuple[str, ...]], content: bytes, cause: str
) -> None:
    blob = content if isinstance(content, bytes) else content.read_bytes()[:3000]
    rows = spark.createDataFrame([(1, blob)], "id int, content binary")
    with pytest.raises(FAILURES) as failure:
        rows.select(F.featurize("content", "image_tiny")).collect()
    assert "FLAMBEAU_BAD_INPUT" in str(failure.value) and "try_featurize" in str(failure.value)
    assert rows.select(F.try_featurize("content", "image_tiny")).head(1)[0][0] is None
    assert rows.select(F.try_classify("content", "image_tiny")).head(1)[0][0] is None


def test_analysis_errors_have_conditions(spark: SparkSession, vectors: DataFrame) -> None:
    mistakes: list[tuple[Callable[[], Column], str, str]] = [
        (lambda: F.featurize("x", "no_such_model"), "FLAMBEAU_UNKNOWN_MODEL", "no_such_model"),
        (lambda: F.featurize("x", "bad_toml"), "FLAMBEAU_BAD_MODEL", "bad_toml"),
        (lambda: expr("classify(x, 'tiny', 0)"), "FLAMBEAU_BAD_ARGUMENT", "k must be"),
        (lambda: expr("featurize(x, string(id))"), "FLAMBEAU_BAD_ARGUMENT", "literal"),
        (lambda: F.featurize(lit("text"), "tiny"), "DATATYPE_MISMATCH", "ARRAY"),
    ]
    for column, condition, part in mistakes:
        with pytest.raises(FAILURES) as failure:
            vectors.select(column())
        assert str(flambeau.condition_of(failure.value)).startswith(condition), failure.value
        assert part in str(failure.value)


def test_pandas_and_arrow(vectors: DataFrame) -> None:
    frame = vectors.where("id < 4").select("id", F.featurize("x", "tiny").alias("f")).orderBy("id")
    table = frame.toArrow()
    assert table.column("f").to_pylist() == [[2, 4, 6], None, [0, 0, 10]]
    frame.sparkSession.conf.set("spark.sql.execution.arrow.pyspark.enabled", "true")
    try:
        pandas = frame.toPandas()
    finally:
        frame.sparkSession.conf.unset("spark.sql.execution.arrow.pyspark.enabled")
    assert list(pandas.f[0]) == [2, 4, 6] and pandas.f[1] is None and list(pandas.f[2]) == [0, 0, 10]


def test_results_go_into_a_python_udf_and_come_from_one(vectors: DataFrame) -> None:
    from pyspark.sql.functions import udf

    twice = udf(lambda x: None if x is None else [2 * number for number in x], "array<float>")
    rows = vectors.where("id = 1").select(twice(F.featurize(twice("x"), "tiny")).alias("f")).collect()
    assert rows[0].f == [8, 16, 24]


def test_a_persistent_view_holds_a_call(spark: SparkSession) -> None:
    spark.sql("CREATE TABLE e2e_rows (id INT, x ARRAY<FLOAT>) USING parquet")
    spark.sql("CREATE VIEW e2e_features AS SELECT id, featurize(x, 'tiny') AS f FROM e2e_rows")
    try:
        spark.sql("INSERT INTO e2e_rows VALUES (1, array(1, 2, 3, 4)), (2, NULL)")
        rows = spark.sql("SELECT id, f FROM e2e_features WHERE f IS NOT NULL").collect()
        assert [(row.id, row.f) for row in rows] == [(1, [2, 4, 6])]
    finally:
        spark.sql("DROP VIEW e2e_features")
        spark.sql("DROP TABLE e2e_rows")
