"""A program that uses Flambeau although something is missing, and prints the error of each use. Run by `test_setup.py`.

python setup_job.py no-jars | no-extension | connect      a session without Flambeau
python setup_job.py run PACKAGE KEY=VALUE...              a session with Flambeau and these settings
python setup_job.py correct PACKAGE KEY=VALUE...          the same, which then removes them

`python setup_job.py device PACKAGE KEY=VALUE... -- KEY=VALUE...` runs a model in such a session, then with each further group of settings
instead of spark.flambeau.device, at last with spark.flambeau.device=cpu.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.functions import col

import flambeau
from flambeau import functions as F
from flambeau.ml import DeepImageFeaturizer, TorchClassifier


def failure(use: Callable[[], Any]) -> list[str]:
    """The error's condition (or its type if it has none) and its message; without an error, the result."""
    try:
        return ["", str(use())]
    except Exception as error:
        return [flambeau.condition_of(error) or type(error).__name__, str(error)]


def without(kind: str) -> dict[str, list[str]]:
    """Uses of a session that has no Flambeau."""
    builder = SparkSession.builder.remote("local[1]") if kind == "connect" else SparkSession.builder.master("local[1]")
    if kind == "no-extension":
        builder = builder.config("spark.jars", ",".join(flambeau.find_jars()))
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    given = {
        "functions": failure(lambda: F.featurize("id", "tiny")),
        "register": failure(lambda: flambeau.register(spark, "f", "tiny")),
        "stage": failure(DeepImageFeaturizer),
        "estimator": failure(TorchClassifier),
    }
    if kind == "no-extension":
        given |= scala(spark)
    spark.stop()
    return given


def scala(spark: SparkSession) -> dict[str, list[str]]:
    """The same in Scala; and in SQL, where an earlier session of the process has left the functions' names behind."""
    assert spark._jvm is not None, "a classic session"
    flambeau_in_scala = spark._jvm.io.flambeau
    given = {
        "functions of Scala": failure(lambda: flambeau_in_scala.functions.featurize(col("id")._jc, "tiny")),
        "register of Scala": failure(lambda: flambeau_in_scala.Flambeau.register(spark._jsparkSession, "f", "tiny")),
    }
    spark.stop()
    flambeau.configure(SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")).getOrCreate().stop()
    bare = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    given["left behind"] = failure(lambda: bare.sql("SELECT featurize(array(1, 2, 3, 4), 'efficientnet_lite0')"))
    bare.stop()
    return given


def with_flambeau(settings: list[str]) -> SparkSession:
    """A session with Flambeau and these settings."""
    builder = flambeau.configure(SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false"))
    for setting in settings:
        builder = builder.config(*setting.split("=", 1))
    return builder.getOrCreate()


def with_settings(folder: str, settings: list[str]) -> dict[str, list[str]]:
    """Uses of such a session."""
    spark = with_flambeau(settings)
    query = "SELECT featurize(CAST('x' AS BINARY), '{}')"
    given = {
        "embedded": failure(lambda: spark.sql(query.format("efficientnet_lite0")).collect()),
        "folder": failure(lambda: spark.sql(f"SELECT featurize(array(1, 2, 3, 4), '{folder}')").collect()),
        "again": failure(lambda: spark.sql(query.format("efficientnet_lite0")).collect()),
    }
    spark.stop()
    return given


def corrected(folder: str, settings: list[str]) -> dict[str, list[str]]:
    """The same use before and after the session has removed these settings."""
    spark = with_flambeau(settings)

    def use() -> list[float]:
        return spark.sql(f"SELECT featurize(array(1, 2, 3, 4), '{folder}') AS f").head(1)[0].f

    before = failure(use)
    for setting in settings:
        spark.conf.unset(setting.split("=")[0])
    given = {"as started": before, "corrected": failure(use)}
    spark.stop()
    return given


def on_device(folder: str, settings: list[str]) -> dict[str, list[str]]:
    """The same use with these settings, with each group of them after a `--`, and with the device cpu."""
    groups: list[list[str]] = [[]]
    for setting in settings:
        if setting == "--":
            groups.append([])
        else:
            groups[-1].append(setting)
    first, *more = groups
    spark = with_flambeau(first)

    def use(*changes: str) -> list[str]:
        query = f"SELECT featurize(array(1, 2, 3, 4), '{folder}') AS f FROM range(1)"
        for change in changes:
            spark.conf.set(*change.split("=", 1))
        result = failure(lambda: spark.sql(query).head(1)[0].f)
        for change in changes:
            spark.conf.unset(change.split("=")[0])
        return result

    given = {"as started": use(), **{" ".join(group): use(*group) for group in more}}
    given["on the CPU"] = use("spark.flambeau.device=cpu")
    spark.stop()
    return given


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    with_arguments = {"run": with_settings, "correct": corrected, "device": on_device}
    print(json.dumps(with_arguments[kind](rest[0], rest[1:]) if kind in with_arguments else without(kind)))
