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
    """Makes a model a SQL function of this session, until the session ends or `DROP TEMPORARY FUNCTION name`.

    Its arguments are the model's inputs; its result is what the package declares first: features give `array<float>`,
    scores the most probable labels, anything else a struct of every output. `DESCRIBE FUNCTION EXTENDED name` tells them.

        flambeau.register(spark, "nsfw", "/models/nsfw")
        spark.sql("SELECT nsfw(content) FROM photos")

    Args:
        spark: a session with Flambeau's extension, classic or Connect.
        name: letters, digits and underscores. A function that was registered under this name is replaced.
        model: a path or URI where the driver (over Connect: the server) sees it, or a name.

    Returns:
        The type of the result, as SQL writes it.

    Raises:
        FlambeauError: the session has no Flambeau.
        pyspark.errors.AnalysisException: there is no such model, it cannot be used, or the name cannot.
    """
    _setup.require(spark, "register")
    statement = "SELECT result FROM flambeau_register(:name, :model)"
    row = spark.sql(statement, args={"name": name, "model": os.fspath(model)}).first()
    assert row is not None
    return str(row[0])
