"""Models as SQL functions by name: registered from Python (classic, Connect), or made by configuration alone (shell, Thrift)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyspark.errors import AnalysisException

import flambeau
from support import (
    EXTENSION,
    PACKAGES,
    PROGRAMS,
    ROOT,
    SPARK,
    connect_server,
    environment,
    free_port,
    jars,
    run,
    spark_server,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUERY = "SELECT named(array(1, 2, 3, 4)) AS f, named(CAST(NULL AS ARRAY<INT>)) AS n"
SETTINGS = {
    "spark.sql.extensions": EXTENSION,
    "spark.flambeau.udf.named": f"{PACKAGES}/tiny",
    "spark.flambeau.models.path": str(PACKAGES),
    "spark.ui.enabled": "false",
}
FACTS = (
    "The features of the model tiny, as array<float>",
    "license: Apache-2.0",
    "x (tensor f32 [4])",
    f"{PACKAGES}/tiny",
)


def with_settings(command: list[str | Path], more: dict[str, str]) -> list[str | Path]:
    """The command with jars and settings as a user gives them."""
    command = [*command, "--master", "local[2]", "--jars", ",".join(jars())]
    for key, value in {**SETTINGS, **more}.items():
        command += ["--conf", f"{key}={value}"]
    return command


def test_register_in_a_classic_session(spark: SparkSession) -> None:
    assert flambeau.register(spark, "doubled", PACKAGES / "tiny") == "ARRAY<FLOAT>"
    row = spark.sql("SELECT doubled(array(1, 2, 3, 4)) AS f").head(1)[0]
    assert row.f == [2.0, 4.0, 6.0]
    text = "\n".join(r[0] for r in spark.sql("DESCRIBE FUNCTION EXTENDED doubled").collect())
    assert all(fact in text for fact in FACTS), text
    assert [r[0] for r in spark.sql("SHOW FUNCTIONS LIKE 'doubled'").collect()] == ["doubled"]
    assert not spark.newSession().sql("SHOW FUNCTIONS LIKE 'doubled'").collect()
    flambeau.register(spark, "doubled", "image_tiny")
    assert (
        spark.sql("DESCRIBE FUNCTION doubled")
        .collect()[-1][0]
        .startswith("Usage: doubled(image) - The features of the model image_tiny")
    )
    spark.sql("DROP TEMPORARY FUNCTION doubled")
    assert not spark.sql("SHOW FUNCTIONS LIKE 'doubled'").collect()


@pytest.mark.parametrize(
    ("name", "model", "says"),
    [
        ("f", 'it\'s no "model"', "there is no model 'it's no \"model\"'"),
        ("sum", "tiny", "all sessions already have a function of this name"),
        ("a; DROP TABLE t", "tiny", "it must have letters, digits and underscores only"),
        ("f", str(PACKAGES / "bad_toml"), "FLAMBEAU_BAD_MODEL"),
    ],
)
def test_what_cannot_be_registered_is_said(spark: SparkSession, name: str, model: str, says: str) -> None:
    with pytest.raises(AnalysisException) as error:
        flambeau.register(spark, name, model)
    assert says in str(error.value)


def test_register_over_connect(tmp_path: Path) -> None:
    with connect_server(tmp_path, SETTINGS) as address:
        client = environment(PYTHONPATH=str(ROOT / "python"), SPARK_REMOTE=address)
        done = run([sys.executable, PROGRAMS / "register_client.py", str(PACKAGES)], tmp_path, client)
    answers = json.loads(done.stdout.splitlines()[-1])
    assert answers["type"] == "ARRAY<FLOAT>"
    assert answers["sql"] == answers["call_function"] == answers["configured"] == [2.0, 4.0, 6.0]
    assert answers["shown"] == ["mine"] and answers["shown in another session"] == []
    assert all(fact in answers["described"] for fact in FACTS)
    assert "FLAMBEAU_UNKNOWN_MODEL" in answers["unknown"]


def test_the_sql_shell_with_configuration_alone(tmp_path: Path) -> None:
    statements = f"{QUERY}; DESCRIBE FUNCTION EXTENDED named; SHOW FUNCTIONS LIKE 'named'; SELECT * FROM flambeau_register('own', 'tiny'); SELECT own(array(0, 0, 1, 0))"
    command = with_settings([SPARK / "bin" / "spark-sql"], {"spark.sql.catalogImplementation": "in-memory"})
    lines = run([*command, "-e", statements], tmp_path, environment(SPARK_HOME=str(SPARK))).stdout.splitlines()
    assert "[2.0,4.0,6.0]\tNULL" in lines
    assert all(any(fact in line for line in lines) for fact in FACTS)
    assert "named" in lines and "[0.0,0.0,2.0]" in lines


def beeline(port: int, folder: Path, statements: str) -> subprocess.CompletedProcess[str]:
    """What a JDBC client prints for these statements."""
    url = f"jdbc:hive2://127.0.0.1:{port}"
    return run(
        [SPARK / "bin" / "beeline", "-u", url, "-n", "user", "--outputformat=tsv2", "-e", statements],
        folder,
        environment(SPARK_HOME=str(SPARK)),
    )


def test_the_thrift_server_with_configuration_alone(tmp_path: Path) -> None:
    port = free_port()
    more = {
        **SETTINGS,
        "spark.hadoop.hive.server2.thrift.port": str(port),
        "spark.hadoop.hive.server2.thrift.bind.host": "127.0.0.1",
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={tmp_path}/metastore;create=true",
    }
    main_class = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"
    with spark_server(main_class, "HiveThriftServer2 started", tmp_path, more):
        first = beeline(
            port,
            tmp_path,
            f"{QUERY}; DESCRIBE FUNCTION EXTENDED named; SELECT * FROM flambeau_register('own', 'tiny'); SELECT own(array(0, 0, 1, 0))",
        ).stdout
        second = beeline(port, tmp_path, "SHOW FUNCTIONS LIKE 'named|own'").stdout
    assert "[2.0,4.0,6.0]\tNULL" in first, first
    assert all(fact in first for fact in FACTS)
    assert "[0.0,0.0,2.0]" in first
    assert "named" in second.splitlines() and "own" not in second.splitlines(), "what a session registers is its own"
