"""Comparisons of vectors, nearest neighbors and near duplicates, against NumPy over all pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pyspark.errors import AnalysisException
from pyspark.sql.functions import lit

import flambeau
from flambeau import functions as F
from support import FAILURES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

METRICS = ("cosine", "dot", "l2")
SEED = 7
TYPE = "id long, vector array<float>"


def values(metric: str, left: Any, right: Any) -> Any:
    """All pairs, in f64."""
    x, y = np.asarray(left, np.float64), np.asarray(right, np.float64)
    if metric == "l2":
        return np.stack([np.sqrt(((row - y) ** 2).sum(1)) for row in x])
    products = x @ y.T
    if metric == "dot":
        return products
    return products / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)


def brute(metric: str, left: Any, right: Any, ids: list[Any], k: int) -> list[list[Any]]:
    """The ids of the `k` nearest of each row, equal ones by id."""
    pairs = values(metric, left, right)
    signed = pairs if metric == "l2" else -pairs
    by_id = np.argsort(np.argsort(ids))
    return [[ids[i] for i in np.lexsort((by_id, row.round(12)))[:k]] for row in signed]


def table(spark: SparkSession, vectors: Any, kind: str = TYPE, ids: list[Any] | None = None) -> DataFrame:
    rows = zip(ids or range(len(vectors)), (None if v is None else [float(x) for x in v] for v in vectors))
    return spark.createDataFrame(list(rows), kind)


def found(frame: DataFrame) -> dict[Any, list[Any]]:
    """Left id -> right ids by rank; ranks are 1, 2, and so on."""
    neighbors: dict[Any, list[Any]] = {}
    for row in frame.orderBy("left_id", "rank").collect():
        neighbors.setdefault(row.left_id, []).append(row.right_id)
        assert row["rank"] == len(neighbors[row.left_id])
    return neighbors


@pytest.fixture(scope="module")
def sides() -> tuple[Any, Any]:
    generator = np.random.default_rng(SEED)
    return (
        generator.standard_normal((300, 37)).astype(np.float32),
        generator.standard_normal((5000, 37)).astype(np.float32),
    )


def test_functions_give_what_numpy_gives(spark: SparkSession, sides: tuple[Any, Any]) -> None:
    left, right = sides[0], sides[1][:300]
    frame = spark.createDataFrame(
        [([float(x) for x in a], [float(x) for x in b]) for a, b in zip(left, right)],
        "a array<float>, b array<double>",
    )
    rows = frame.select(F.cosine_similarity("a", "b"), F.dot("a", "b"), F.l2_distance("a", "b")).collect()
    for column, metric in enumerate(METRICS):
        assert [row[column] for row in rows] == pytest.approx(np.diagonal(values(metric, left, right)), rel=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("questions", [300, 3])
def test_neighbors_are_those_of_all_pairs(
    spark: SparkSession, sides: tuple[Any, Any], metric: str, questions: int
) -> None:
    left, right = sides[0][:questions], sides[1]
    frame = flambeau.nearest(table(spark, left), table(spark, right), 7, metric)
    value = "distance" if metric == "l2" else "similarity"
    assert frame.dtypes == [("left_id", "bigint"), ("right_id", "bigint"), ("rank", "int"), (value, "double")]
    assert found(frame) == dict(enumerate(brute(metric, left, right, list(range(len(right))), 7)))
    pairs = values(metric, left, right)
    for row in frame.collect():
        assert row[value] == pytest.approx(pairs[row.left_id, row.right_id], rel=1e-9, abs=1e-12)


def test_many_left_rows_and_few_right_ones(spark: SparkSession, sides: tuple[Any, Any]) -> None:
    """Each task then has some left rows and all right rows."""
    left, right = sides[1], sides[0][:5]
    assert found(flambeau.nearest(table(spark, left), table(spark, right), 10)) == dict(
        enumerate(brute("cosine", left, right, list(range(5)), 5))
    )


def test_ties_go_by_id_wherever_the_rows_are(spark: SparkSession) -> None:
    vector, other = [0.1, 0.7, -0.3], [1.0, 0.0, 0.0]
    ids = [f"row {number:03}" for number in range(200)]
    right = table(spark, [vector] * 100 + [other] * 100, "id string, vector array<float>", ids[::-1])
    for metric in METRICS:
        neighbors = found(flambeau.nearest(table(spark, [vector, other]), right.repartition(7), 5, metric))
        assert neighbors[0] == ids[100:105], metric
        assert neighbors[1] == ids[:5], metric


def test_skewed_tables(spark: SparkSession, sides: tuple[Any, Any]) -> None:
    """All rows of a side in one partition among empty ones."""
    left, right = sides[0], sides[1][:900]
    asked, offered = (table(spark, side).repartition(16, lit(0)) for side in (left, right))
    assert found(flambeau.nearest(asked, offered, 4)) == dict(
        enumerate(brute("cosine", left, right, list(range(900)), 4))
    )


def test_what_cannot_be_compared_has_no_neighbors(spark: SparkSession) -> None:
    vectors: list[Any] = [None, [1.0, float("nan")], [float("inf"), 1.0], [0.0, 0.0], [3.0, 4.0], [4.0, 3.0]]
    rows = table(spark, vectors).unionByName(
        spark.sql("SELECT 6L AS id, array(1F, NULL) AS vector UNION ALL SELECT NULL, array(1F, 1F)")
    )
    assert found(flambeau.nearest(rows, rows, 10)) == {4: [4, 5], 5: [5, 4]}
    assert found(flambeau.nearest(rows, rows, 10, "l2")) == {3: [3, 4, 5], 4: [4, 5, 3], 5: [5, 4, 3]}
    empty = rows.where("id > 100")
    assert flambeau.nearest(rows, empty).count() == flambeau.nearest(empty, rows).count() == 0


def test_other_types_of_ids_and_vectors(spark: SparkSession) -> None:
    from pyspark.ml.linalg import Vectors

    left = spark.createDataFrame([(True, Vectors.dense(1.0, 2.0)), (False, Vectors.sparse(2, {1: 3.0}))], ["sure", "v"])
    right = spark.sql("SELECT CAST(id AS smallint) AS id, array(id, 2) AS vector FROM range(1, 4)")
    frame = flambeau.nearest(left, right, 2, "dot")
    assert frame.dtypes[:2] == [("left_id", "boolean"), ("right_id", "smallint")]
    assert found(frame) == {True: [3, 2], False: [1, 2]}


def test_near_duplicates_are_pairs_with_a_smaller_id(spark: SparkSession) -> None:
    generator = np.random.default_rng(SEED)
    originals = generator.standard_normal((400, 24))
    copies = originals[:50] + 0.01 * generator.standard_normal((50, 24))
    rows = np.vstack([originals, copies, originals[:10]]).astype(np.float32)
    pairs = values("cosine", rows, rows)
    wanted = {(i, j) for i in range(len(rows)) for j in range(i) if pairs[i, j] >= 0.95}
    frame = flambeau.near_duplicates(table(spark, rows), 0.95)
    assert {(row.left_id, row.right_id) for row in frame.collect()} == wanted
    assert len(wanted) == 50 + 20
    everything = table(spark, rows)
    assert everything.join(frame, everything.id == frame.left_id, "left_anti").count() == 400
    first = flambeau.near_duplicates(table(spark, rows), 0.95, k=1)
    assert {row.left_id for row in first.collect()} == {i for i, _ in wanted} and first.count() == 60
    close = flambeau.near_duplicates(table(spark, rows), 1e-6, metric="l2")
    assert {(row.left_id, row.right_id) for row in close.collect()} == {(450 + i, i) for i in range(10)}


def test_sql_and_its_mistakes(spark: SparkSession, sides: tuple[Any, Any]) -> None:
    table(spark, sides[0]).createOrReplaceTempView("asked")
    table(spark, sides[1]).createOrReplaceTempView("offered")
    query = "SELECT * FROM flambeau_nearest(TABLE(SELECT id, vector FROM asked WHERE id < 20), right => TABLE(offered), metric => 'L2', k => 2)"
    assert found(spark.sql(query)) == dict(enumerate(brute("l2", sides[0][:20], sides[1], list(range(5000)), 2)))
    joined = f"SELECT count(*) AS n FROM ({query}) a JOIN ({query}) b ON a.left_id = b.left_id AND a.rank = b.rank"
    assert spark.sql(joined).collect()[0][0] == 40
    for arguments, message in {
        "TABLE(asked), 3": "right must be a table",
        "TABLE(asked), TABLE(SELECT id FROM offered)": "right must have two columns, an id and a vector, but has: id",
        "TABLE(asked), TABLE(SELECT vector, id FROM offered)": "must be an array of numbers or an ML vector, not BIGINT",
        "TABLE(asked), TABLE(SELECT double(id), vector FROM offered)": "a whole number or a string, not DOUBLE",
        "TABLE(asked), TABLE(offered), 0": "k must be at least 1",
        "TABLE(asked), TABLE(offered), metric => 'hamming'": "metric must be one of cosine, dot, l2, not 'hamming'",
    }.items():
        with pytest.raises(AnalysisException, match="FLAMBEAU_BAD_ARGUMENT") as failure:
            spark.sql(f"SELECT * FROM flambeau_nearest({arguments})")
        assert message in str(failure.value)
    with pytest.raises(AnalysisException, match="threshold must be a number"):
        spark.sql("SELECT * FROM flambeau_near_duplicates(TABLE(asked), 'x')")


def test_vectors_of_different_length_are_an_error(spark: SparkSession) -> None:
    left, right = table(spark, [[1.0, 2.0]]), table(spark, [[1.0, 2.0], [1.0, 2.0, 3.0]])
    with pytest.raises(FAILURES, match="a vector has 3 elements, and others have 2") as failure:
        flambeau.nearest(left, right).collect()
    assert flambeau.condition_of(failure.value) == "FLAMBEAU_BAD_INPUT"
