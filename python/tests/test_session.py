"""`flambeau.configure` and the search for jars. Builders are real; no session is started."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark import SparkContext
from pyspark.sql import SparkSession

import flambeau
from flambeau import session


@pytest.fixture(autouse=True)
def no_jvm(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a fresh process: other tests may have left a JVM behind."""
    monkeypatch.setattr(SparkContext, "_gateway", None)


@pytest.fixture
def jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two jars in the package's own folder."""
    monkeypatch.setattr(session, "JARS_FOLDER", tmp_path)
    paths = [tmp_path / "flambeau-libtorch-cpu-linux-x86_64-0.1.0.jar", tmp_path / "flambeau-spark4.1_2.13-0.1.0.jar"]
    for path in paths:
        path.touch()
    return [str(path) for path in paths]


def options(builder: SparkSession.Builder) -> dict[str, str]:
    """The options of a builder."""
    return dict(builder._options)


def test_jars_and_extension_are_set(jars: list[str]) -> None:
    builder = SparkSession.builder.master("local[2]")
    assert flambeau.configure(builder) is builder
    assert options(builder)["spark.jars"] == ",".join(jars)
    assert options(builder)["spark.sql.extensions"] == "io.flambeau.FlambeauExtensions"
    assert options(builder)["spark.master"] == "local[2]"


def test_what_is_there_stays_and_nothing_comes_twice(jars: list[str]) -> None:
    builder = SparkSession.builder.config("spark.jars", "/x/delta.jar").config("spark.sql.extensions", "a.B, c.D")
    for _ in range(2):
        flambeau.configure(builder)
    assert options(builder)["spark.jars"] == ",".join(["/x/delta.jar", *jars])
    assert options(builder)["spark.sql.extensions"] == "a.B,c.D,io.flambeau.FlambeauExtensions"


def test_a_local_connect_server_is_configured_too(jars: list[str]) -> None:
    builder = flambeau.configure(SparkSession.builder.remote("local[2]"))
    assert options(builder)["spark.remote"] == "local[2]"
    assert options(builder)["spark.jars"] == ",".join(jars)


def test_a_running_connect_server_cannot_be_configured(jars: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(flambeau.FlambeauError, match="is already running: start it with --jars"):
        flambeau.configure(SparkSession.builder.remote("sc://host:15002"))
    monkeypatch.setenv("SPARK_REMOTE", "sc://host")
    with pytest.raises(flambeau.FlambeauError, match="sc://host is a Connect server"):
        flambeau.configure(SparkSession.builder)


def test_jars_can_be_named(jars: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    builder = flambeau.configure(SparkSession.builder, jars=["hdfs://n/flambeau-spark4.1_2.13-9.jar"])
    assert options(builder)["spark.jars"] == "hdfs://n/flambeau-spark4.1_2.13-9.jar"
    monkeypatch.setenv("FLAMBEAU_JARS", f"{jars[0]}, s3a://b/x.jar")
    assert flambeau.find_jars() == [jars[0], "s3a://b/x.jar"]
    monkeypatch.setenv("FLAMBEAU_JARS", "/nowhere/flambeau-spark4.1_2.13-1.jar")
    with pytest.raises(flambeau.FlambeauError, match="do not exist: /nowhere/flambeau"):
        flambeau.find_jars()


def test_jars_that_spark_fetches_are_not_added_again(jars: list[str]) -> None:
    coordinate = "io.flambeau:flambeau-spark4.1_2.13:0.1.0"
    builder = SparkSession.builder.config("spark.jars.packages", f"org.example:other:1,{coordinate}")
    assert "spark.jars" not in options(flambeau.configure(builder))
    assert options(builder)["spark.sql.extensions"] == "io.flambeau.FlambeauExtensions"


def test_without_jars_the_error_says_how_to_build_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "JARS_FOLDER", tmp_path)
    with pytest.raises(flambeau.FlambeauError, match=r"\./gradlew pythonJars.*FLAMBEAU_JARS"):
        flambeau.configure(SparkSession.builder)


def test_another_spark_is_refused() -> None:
    session.check_spark_version("3.5.9")
    session.check_spark_version("4.1.0")
    session.check_spark_version("4.3.0.dev0")
    for version in ("3.4.4", "4.10.0", "5.0.0.dev1"):
        with pytest.raises(flambeau.FlambeauError, match=f"made for Spark 3.5 to 4.3, and this is Spark {version}"):
            session.check_spark_version(version)


def test_the_version_is_one() -> None:
    assert flambeau.__version__.count(".") == 2
