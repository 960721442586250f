"""Sets up a Spark session for Flambeau.

What lives here: `configure`, which adds the jars and the session extension to a builder, and `find_jars`, which finds
the jars. Both only add to the user's settings. Nothing here starts a JVM. If one is already running (`spark-submit` started it),
its settings are read.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    Builder = TypeVar("Builder", bound=SparkSession.Builder)

EXTENSION = "io.flambeau.FlambeauExtensions"
"""The session extension that registers the functions."""

PATH_VARIABLE = "FLAMBEAU_MODELS_PATH"
"""Folders of packages, for what runs without a session."""
JARS_VARIABLE = "FLAMBEAU_JARS"
JARS_FOLDER = Path(__file__).resolve().parent / "jars"
MAIN_JAR = "flambeau-spark"
"""How the name of the jar with the extension begins; the line of Spark that it is made for follows."""
LIBTORCH_JAR = "flambeau-libtorch"
LIBTORCH_PACKAGE = "flambeau_libtorch_cpu"
"""The package that brings libtorch's jar where this one does not have it."""
COORDINATE = "io.flambeau:flambeau-spark"
"""How the Maven coordinate of that jar begins, in `spark.jars.packages`."""


SPARK_LINES = ("3.5", "4.0", "4.1", "4.2", "4.3")
"""The lines of Spark that there is a jar for."""


class FlambeauError(RuntimeError):
    """Flambeau is not set up correctly; the message tells what to do."""


def default_path() -> list[Path]:
    """The folders in `FLAMBEAU_MODELS_PATH` (comma-separated)."""
    return [Path(part.strip()) for part in os.environ.get(PATH_VARIABLE, "").split(",") if part.strip()]


def check_spark_version(version: str) -> None:
    """Checks that there is a jar for this version of Spark.

    Raises:
        FlambeauError: it is not.
    """
    if _line(version) not in SPARK_LINES:
        raise FlambeauError(
            f"this version of Flambeau is made for Spark {SPARK_LINES[0]} to {SPARK_LINES[-1]}, and this is Spark {version}: "
            f"install pyspark=={SPARK_LINES[-1]}.*"
        )


def _line(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _installed_line() -> str:
    """The line of the installed PySpark; without PySpark, the line that is tested most."""
    try:
        import pyspark
    except ImportError:
        return "4.1"
    return _line(pyspark.__version__)


def _jars_of(package: str) -> list[Path]:
    """The jars in a package's folder `jars`; none if the package is not installed."""
    spec = importlib.util.find_spec(package)
    folders = (spec and spec.submodule_search_locations) or []
    return sorted(jar for folder in folders for jar in (Path(folder) / "jars").glob("*.jar"))


def find_jars() -> list[str]:
    """The jars that a session needs: those in `FLAMBEAU_JARS` (comma-separated), otherwise those of this package, for the Spark
    that Python has, and of `flambeau-libtorch-cpu`.

    Raises:
        FlambeauError: there are no jars.
    """
    named = [part.strip() for part in os.environ.get(JARS_VARIABLE, "").split(",") if part.strip()]
    if named:
        missing = [jar for jar in named if "://" not in jar and not Path(jar.removeprefix("file:")).is_file()]
        if missing:
            raise FlambeauError(f"{JARS_VARIABLE} names jars that do not exist: {', '.join(missing)}")
        return named
    line = _installed_line()
    main = f"{MAIN_JAR}{line}_"
    jars = sorted(JARS_FOLDER.glob("*.jar"))
    if not any(jar.name.startswith(LIBTORCH_JAR) for jar in jars):
        jars += _jars_of(LIBTORCH_PACKAGE)
    found = [str(jar) for jar in jars if jar.name.startswith(main) or not jar.name.startswith(MAIN_JAR)]
    if not any(Path(jar).name.startswith(main) for jar in found):
        raise FlambeauError(
            f"no Flambeau jar for Spark {line} in {JARS_FOLDER}. In a checkout, build it with `./gradlew pythonJars`, with -Plines=4.3 "
            f"for another line than 4.1; or name the jars in {JARS_VARIABLE}, separated by a comma: the main jar ({main}SCALA-VERSION.jar) and, unless "
            "spark.flambeau.libtorch or LIBTORCH points to a libtorch, flambeau-libtorch-cpu-PLATFORM-VERSION.jar"
        )
    return found


def configure(builder: Builder, jars: Sequence[str | os.PathLike[str]] | None = None) -> Builder:
    """Sets what a session needs for Flambeau's functions, and returns the builder.

    Adds to `spark.jars` and `spark.sql.extensions`, and keeps existing values. Use it before `getOrCreate()`, with a classic
    builder or with one that starts a local Connect server (`builder.remote("local[2]")`). A Connect server elsewhere
    must have been started with the jars and the extension; then `configure` is not needed here.

    If `spark.jars.packages` names Flambeau, Spark fetches the jars, and none are added here.

    If the JVM is already running (`spark-submit`, a second session), it must have the jars already: from `--jars`, or from `configure`
    before the first session. They are not added twice.

    Args:
        builder: a `SparkSession.builder`.
        jars: paths or URIs; default: `find_jars()`.

    Raises:
        FlambeauError: the jars are missing, the builder points to a Connect server that is already running, or the jars are made
            for another version of Spark.
    """
    import pyspark

    check_spark_version(pyspark.__version__)
    options: dict[str, Any] = dict(getattr(builder, "_options", {}))
    remote = str(options.get("spark.remote") or os.environ.get("SPARK_REMOTE", ""))
    if remote.startswith("sc://"):
        raise FlambeauError(
            f"{remote} is a Connect server that is already running: start it with --jars and "
            f"--conf spark.sql.extensions={EXTENSION}; a client needs no configuration"
        )
    running = _settings_of_running_jvm()
    fetched = any(package.startswith(COORDINATE) for package in _entries(options.get("spark.jars.packages")))
    if running is None and not fetched:
        present = _entries(options.get("spark.jars"))
        if not any(Path(jar).name.startswith(MAIN_JAR) for jar in present):
            present = _joined(present, [os.fspath(jar) for jar in jars] if jars is not None else find_jars())
        builder.config("spark.jars", ",".join(present))
    extensions = _entries(options.get("spark.sql.extensions", (running or {}).get("spark.sql.extensions")))
    builder.config("spark.sql.extensions", ",".join(_joined(extensions, [EXTENSION])))
    return builder


def _entries(setting: object) -> list[str]:
    return [part.strip() for part in str(setting or "").split(",") if part.strip()]


def _joined(first: Iterable[str], second: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))


def _settings_of_running_jvm() -> dict[str, str] | None:
    """The settings of this program's JVM, from `spark-submit` or an earlier session; None: there is no JVM.

    Raises:
        FlambeauError: there is one, and it cannot see the Flambeau jar.
    """
    from pyspark import SparkConf, SparkContext

    if "PYSPARK_GATEWAY_PORT" not in os.environ and SparkContext._gateway is None:
        return None
    SparkContext._ensure_initialized()
    jvm = SparkContext._jvm
    assert jvm is not None, "initialized"
    if not jvm.org.apache.spark.util.Utils.classIsLoadable(EXTENSION):
        raise FlambeauError(
            "this program's JVM is already running without the Flambeau jars, and cannot load new ones: under spark-submit pass them "
            "with --jars; in a notebook restart the kernel and call configure before the first session"
        )
    return dict(SparkConf().getAll())
