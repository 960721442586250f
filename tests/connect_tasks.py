"""A user's program on Spark Connect that calls the functions of tasks, each as a Column and in SQL; prints JSON.

connect_tasks.py sc://HOST:PORT PACKAGES PHOTOS SOUNDS: `PACKAGES` has a package for each function, by its name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.functions import expr

from flambeau import functions as F

TEXTS = [
    (1, "a happy dog", "The dog sat on the mat."),
    (2, "fox", "A quick fox ran to London."),
    (3, None, "and"),
    (4, "b", None),
]
LABELS = ["travel", "food"]


def texts(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(TEXTS, "id int, a string, b string")


def files(spark: SparkSession, folder: str) -> DataFrame:
    return spark.read.format("binaryFile").load(folder).selectExpr("path AS id", "content")


def calls(packages: Path) -> dict[str, tuple[str, Column, str]]:
    """Function -> its rows (`texts`, `photos` or `sounds`), the call as a Column, the call in SQL."""
    model = {
        name: f"{packages / name}" for name in ("rerank", "entities", "answer", "zero_shot", "detect", "transcribe")
    }
    named = ", ".join(f"'{label}'" for label in LABELS)
    return {
        "rerank": ("texts", F.rerank("a", "b", model["rerank"]), f"rerank(a, b, '{model['rerank']}')"),
        "entities": ("texts", F.entities("b", model["entities"]), f"entities(b, '{model['entities']}')"),
        "answer": ("texts", F.answer("a", "b", model["answer"]), f"answer(a, b, '{model['answer']}')"),
        "zero_shot": (
            "texts",
            F.zero_shot("b", LABELS, model["zero_shot"]),
            f"zero_shot(b, array({named}), '{model['zero_shot']}')",
        ),
        "detect": ("photos", F.detect("content", model["detect"], 0.3), f"detect(content, '{model['detect']}', 0.3)"),
        "transcribe": (
            "sounds",
            F.transcribe("content", model["transcribe"]),
            f"transcribe(content, '{model['transcribe']}')",
        ),
    }


def results(spark: SparkSession, packages: Path, photos: str, sounds: str) -> dict[str, list[list[Any]]]:
    """Function -> for each row in the order of ids, what its Column and its SQL give."""
    tables = {"texts": texts(spark), "photos": files(spark, photos), "sounds": files(spark, sounds)}
    found = {}
    for name, (table, call, statement) in calls(packages).items():
        rows = tables[table].select("id", call.alias("column"), expr(statement).alias("sql")).orderBy("id").collect()
        found[name] = [[row.asDict(recursive=True)[key] for key in ("column", "sql")] for row in rows]
    return found


if __name__ == "__main__":
    address, packages, photos, sounds = sys.argv[1:]
    print(json.dumps(results(SparkSession.builder.remote(address).getOrCreate(), Path(packages), photos, sounds)))
