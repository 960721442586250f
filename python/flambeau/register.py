"""Models as SQL functions of a session.

What lives here: `register`. The work is one SQL statement, `SELECT * FROM flambeau_register(name, model)`, which runs where
the session is: so the same call works in classic PySpark and over Spark Connect.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import _setup

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def register(spark: SparkSession, name: str, model: str | os.PathLike[str]) -> str:
    """Turns a model into a SQL function of this session, until the session ends or `DROP TEMPORARY FUNCTION name`.

    Its arguments are the model's inputs. Its result depends on the first output of the package: `array<float>` for features,
    the most probable labels for scores, a struct of every output otherwise. `DESCRIBE FUNCTION EXTENDED name` shows both.

        flambeau.register(spark, "nsfw", "/models/nsfw")
        spark.sql("SELECT nsfw(content) FROM photos")

    Args:
        spark: a session with Flambeau's extension, classic or Connect.
        name: letters, digits and underscores. An earlier function of this name is replaced.
        model: a path or URI as the driver (over Connect: the server) sees it, or a name.

    Returns:
        The type of the result, as SQL writes it.

    Raises:
        FlambeauError: the session does not have Flambeau.
        pyspark.errors.AnalysisException: there is no such model, or the model or the name cannot be used.
    """
    _setup.require(spark, "register")
    statement = "SELECT result FROM flambeau_register(:name, :model)"
    row = spark.sql(statement, args={"name": name, "model": os.fspath(model)}).first()
    assert row is not None
    return str(row[0])
