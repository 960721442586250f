"""Exact nearest neighbors and near duplicates, as joins.

What lives here: `nearest` and `near_duplicates`. The work is one SQL statement over a table function, which runs where the session
is: so the same call works in classic PySpark and over Spark Connect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _setup

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def nearest(left: DataFrame, right: DataFrame, k: int = 10, metric: str = "cosine") -> DataFrame:
    """The `k` nearest rows of `right` for each row of `left`, exactly: all pairs are compared.

        flambeau.nearest(questions.select("id", "features"), photos.select("id", "features"), k=3)

    Both sides are shuffled once, and each task compares blocks of rows by products of matrices. Neither side has to fit in memory.

    Args:
        left: two columns: an id of any type, and a vector (an array of numbers, or an ML vector).
        right: two columns: an id, a whole number or a string, and a vector.
        k: neighbors of each row of `left`; fewer if `right` has fewer.
        metric: `cosine`, `dot` or `l2`.

    Returns:
        `left_id`, `right_id`, `rank` (int, from 1), and `similarity` or, for `l2`, `distance` (double). Equal ones are ranked by
        `right_id`. A row is left out, on both sides, if its id or vector is NULL, or if the vector has NULL, NaN or infinity inside
        or, for the cosine, length 0.

    Raises:
        FlambeauError: the session does not have Flambeau.
        pyspark.errors.AnalysisException: other columns or another metric (FLAMBEAU_BAD_ARGUMENT).
    """
    statement = "SELECT * FROM flambeau_nearest(TABLE({left}), TABLE({right}), k => :k, metric => :metric)"
    return _query("nearest", statement, {"k": k, "metric": metric}, left=left, right=right)


def near_duplicates(rows: DataFrame, threshold: float, k: int = 10, metric: str = "cosine") -> DataFrame:
    """The near duplicates of each row among the rows with a smaller id: at most `k`, the nearest first.

    Rows that are in the result have a near duplicate with a smaller id, so this keeps one of each pair:

        found = flambeau.near_duplicates(photos.select("id", "features"), 0.98)
        photos.join(found, photos.id == found.left_id, "left_anti")

    Args:
        rows: two columns: an id, a whole number or a string, and a vector (an array of numbers, or an ML vector).
        threshold: the smallest similarity of a near duplicate; for `l2`, the largest distance.
        k: near duplicates of each row.
        metric: `cosine`, `dot` or `l2`.

    Returns:
        As `nearest`; `right_id` is the smaller of the two. A row without near duplicates is not in it.

    Raises:
        FlambeauError: the session does not have Flambeau.
        pyspark.errors.AnalysisException: other columns or another metric (FLAMBEAU_BAD_ARGUMENT).
    """
    statement = "SELECT * FROM flambeau_near_duplicates(TABLE({rows}), :threshold, k => :k, metric => :metric)"
    return _query("near_duplicates", statement, {"threshold": float(threshold), "k": k, "metric": metric}, rows=rows)


def _query(who: str, statement: str, arguments: dict[str, Any], **frames: DataFrame) -> DataFrame:
    spark = next(iter(frames.values())).sparkSession
    _setup.require(spark, who)
    return spark.sql(statement, args=arguments, **frames)
