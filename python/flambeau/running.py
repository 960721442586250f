"""A model over files, without Spark: what `python -m flambeau.models run` does.

What lives here: `run`, which starts one JVM with the jars of PySpark and Flambeau (`io.flambeau.tools.RunModel`, no
SparkSession in it) and reads its lines, and `page`, which prints one result. The numbers are the same as in a query: the
same engine evaluates a batch of one row. It owns one child process, which ends with the iterator.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .session import FlambeauError, default_path, find_jars

MAIN = "io.flambeau.tools.RunModel"
OPENED = ("java.lang", "java.nio", "java.util", "sun.nio.ch")
"""Packages of java.base that Spark and Arrow reach into."""
SHOWN_VALUES = 4


def run(
    model: str | os.PathLike[str],
    files: Sequence[str | os.PathLike[str]],
    path: Sequence[str | os.PathLike[str]] | None = None,
    k: int = 5,
) -> Iterator[dict[str, Any]]:
    """One result for each file, in order.

    Args:
        model: a path, a URI or a name, as for the SQL functions.
        files: each is one row: the bytes of an image or a sound, a UTF-8 text, or, for tensor models, JSON: an array, or an
            object by the input's name.
        path: folders for names; default: `FLAMBEAU_MODELS_PATH`.
        k: maximum number of labels.

    Yields:
        `{"file", "outputs": {name: values}, "labels": [{"label", "index", "probability"}]}`, without `labels` if the
        model has no scores, or `{"file", "error"}`.

    Raises:
        FlambeauError: there is no Java, no jar or no such model.
    """
    named = os.fspath(model)
    located = str(Path(named).resolve()) if Path(named).exists() else named
    folders = [
        str(Path(part).resolve()) if "://" not in str(part) else str(part)
        for part in (default_path() if path is None else path)
    ]
    with tempfile.TemporaryFile("w+") as log:
        command = [
            *_java(),
            MAIN,
            "--path",
            ",".join(folders),
            "--k",
            str(k),
            located,
            *(os.fspath(file) for file in files),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8") as java:
            assert java.stdout is not None
            for line in java.stdout:
                result = json.loads(line)
                if "failed" in result:
                    raise FlambeauError(result["failed"])
                yield result
        if java.returncode not in (0, 1):
            log.seek(0)
            raise FlambeauError(f"{MAIN} ended with {java.returncode}:\n{log.read()[-2000:]}")


def page(result: dict[str, Any]) -> str:
    """One result as text: the labels, then the shape of each output and its first values."""
    lines = [f"{result['file']}"]
    if "error" in result:
        return f"{lines[0]}\n  bad input: {result['error']}"
    lines += [f"  {entry['probability']:8.4f}  {entry['label']}" for entry in result.get("labels", [])]
    for name, values in result["outputs"].items():
        shape, first = _shape(values)
        shown = ", ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in first[:SHOWN_VALUES])
        lines.append(f"  {name} {shape}: {shown}{', ...' if len(first) > SHOWN_VALUES else ''}")
    return "\n".join(lines)


def _shape(values: Any) -> tuple[list[int], list[Any]]:
    """The shape of nested lists, and the innermost first list (of a scalar: itself)."""
    shape = []
    while isinstance(values, list):
        shape.append(len(values))
        if not values or not isinstance(values[0], list):
            return shape, values
        values = values[0]
    return shape, [values]


def java_program() -> str | None:
    """The Java that Spark starts: that of JAVA_HOME, otherwise the first on the PATH; None: there is neither."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else shutil.which("java")


def _java() -> list[str]:
    java = java_program()
    if not java:
        raise FlambeauError("no Java: set JAVA_HOME, or put java on the PATH")
    import pyspark

    spark = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    opened = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in OPENED]
    return [java, *opened, "-cp", os.pathsep.join([*find_jars(), str(spark / "jars" / "*")])]
