"""One input of each modality gives the same bits from every place where Spark users write code.

The others are compared with SQL; the parity tests compare SQL with Python torch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import flambeau
import modalities
import support
from flambeau import functions as F
from support import PROGRAMS, ROOT, connect_server, environment, run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Bits = dict[str, str]


@pytest.fixture(scope="module")
def table(spark: SparkSession, photos: dict[str, tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The one row as Parquet."""
    folder = tmp_path_factory.mktemp("same")
    row = modalities.inputs(folder / "meetings")
    schema = "image binary, text string, audio binary, numbers array<float>"
    path = str(folder / "inputs")
    spark.createDataFrame([tuple(row.values())], schema).coalesce(1).write.parquet(path)
    return path


@pytest.fixture(scope="module")
def expected(spark: SparkSession, table: str) -> Bits:
    """What SQL gives."""
    spark.read.parquet(table).createOrReplaceTempView("same_inputs")
    calls = {
        name: f"featurize({column}, '{modalities.packages()[model]}') AS {name}"
        for name, (column, model) in modalities.CALLS.items()
    }
    row = spark.sql(f"SELECT {', '.join(calls.values())} FROM same_inputs").head(1)[0]
    bits = {name: modalities.as_bytes(row[name]) for name in calls}
    assert [len(bits[name]) // 8 for name in bits] == [1280, 384, 256, 3]
    return bits


def each(frame: DataFrame, call: Callable[[str, str, str], DataFrame]) -> Bits:
    """The bits of `call(name, column, package)`, a frame with one row and one column, for every modality."""
    found = {}
    for name, (column, model) in modalities.CALLS.items():
        found[name] = modalities.as_bytes(call(name, column, modalities.packages()[model]).head(1)[0][0])
    return found


def test_pyspark(spark: SparkSession, table: str, expected: Bits) -> None:
    rows = spark.read.parquet(table)
    assert each(rows, lambda name, column, package: rows.select(F.featurize(column, package))) == expected


def test_scala(spark: SparkSession, table: str, expected: Bits) -> None:
    """The Scala functions themselves, called through the gateway."""
    from pyspark.sql import DataFrame

    rows = spark.read.parquet(table)
    functions = support.jvm(spark).io.flambeau.functions

    def call(name: str, column: str, package: str) -> DataFrame:
        result = functions.featurize(rows._jdf.col(column), package)
        return DataFrame(rows._jdf.select(support.jvm(spark).PythonUtils.toSeq([result])), spark)

    assert each(rows, call) == expected


def test_ml_stages(spark: SparkSession, table: str, expected: Bits) -> None:
    rows = spark.read.parquet(table)

    def call(name: str, column: str, package: str) -> DataFrame:
        return modalities.stage(name, column, package).transform(rows).select("out")

    assert each(rows, call) == expected


def test_named_functions(spark: SparkSession, table: str, expected: Bits) -> None:
    rows = spark.read.parquet(table)

    def call(name: str, column: str, package: str) -> DataFrame:
        flambeau.register(spark, f"own_{name}", package)
        return rows.selectExpr(f"own_{name}({column})")

    assert each(rows, call) == expected


def test_streaming(spark: SparkSession, table: str, expected: Bits, tmp_path: Path) -> None:
    stream = spark.readStream.schema(spark.read.parquet(table).schema).parquet(table)

    def call(name: str, column: str, package: str) -> DataFrame:
        query = stream.select(F.featurize(column, package).alias("out")).writeStream.format("parquet")
        query = query.option("checkpointLocation", str(tmp_path / f"{name}-checkpoint")).trigger(availableNow=True)
        query.start(str(tmp_path / name)).awaitTermination()
        return spark.read.parquet(str(tmp_path / name))

    assert each(stream, call) == expected


def test_connect(table: str, expected: Bits, tmp_path: Path) -> None:
    with connect_server(tmp_path, {}) as address:
        client = environment(PYTHONPATH=str(ROOT / "python"), SPARK_REMOTE=address)
        done = run([sys.executable, PROGRAMS / "same_numbers_client.py", table], tmp_path, client)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"functions": expected, "sql": expected, "named": expected, "stages": expected}
