"""The Spark session of the examples: local, quiet, with Flambeau, and the models of build/models on its path."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "models")]

import flambeau

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MODELS = ROOT / "build" / "models"
"""Where `./gradlew models` puts every package that has a recipe."""


def open_session(name: str, **settings: str) -> SparkSession:
    """A session on all cores of this machine, with further settings."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = flambeau.configure(SparkSession.builder.master("local[*]").appName(name))
    quiet = {
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "4",
        "spark.flambeau.models.path": str(MODELS),
        "spark.sql.warehouse.dir": str(ROOT / "build" / "spark-warehouse"),
    }
    for key, value in {**quiet, **settings}.items():
        builder.config(key, value)
    return builder.getOrCreate()


def print_figures(name: str, train: Callable[[SparkSession], dict[str, Any]], least_accuracy: float) -> int:
    """Runs a training example on two cores and prints its figures as JSON; the exit code, 0 from `least_accuracy` on."""
    from pyspark.sql import SparkSession

    spark = flambeau.configure(SparkSession.builder.master("local[2]").appName(name)).getOrCreate()
    try:
        figures = train(spark)
    finally:
        spark.stop()
    print(json.dumps(figures))
    return 0 if figures["accuracy"] >= least_accuracy else 1


def model(name: str) -> str:
    """The name, when its package is in `MODELS`: its recipe makes it if it is not."""
    if not (MODELS / name / "model.toml").is_file():
        importlib.import_module(name).make(MODELS / name)
    return name
