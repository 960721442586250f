"""Looks for what is wrong with a setup: `flambeau.doctor(spark)`, or `python -m flambeau doctor`, which starts a session itself.

What lives here: `doctor` and its result, a `Report` of `Check`s. Each check says what was found, and, if it is a problem, what to
do. The checks go from the outside to the inside: Python, PySpark, Java, jars, session, then one forward pass of an
image model on every executor. A check that fails makes those behind it impossible, so they are not made.
"""

from __future__ import annotations

import json
import os
import platform
import re
import struct
import subprocess
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._setup import require
from .running import java_program
from .session import FlambeauError, check_spark_version, find_jars
from .version import __version__

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MODEL = "efficientnet_lite0"
"""The model of the forward pass: it is in the jar."""
OLDEST_JAVA = 17
LEAST_FREE_BYTES = 1 << 30
"""What libtorch and a few models need, unpacked."""


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and, if it is a problem, what to do."""

    name: str
    found: str
    problem: str | None = None

    def __str__(self) -> str:
        if self.problem is None:
            return f"ok       {self.name}: {self.found}"
        return f"PROBLEM  {self.name}: {self.found}{'. ' if self.found else ''}{self.problem}"


@dataclass
class Report:
    """The checks, in order. `print(report)` shows them."""

    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(check.problem is None for check in self.checks)

    def add(self, name: str, found: str, problem: str | None = None) -> None:
        """Adds a check."""
        self.checks.append(Check(name, found, problem))

    def __str__(self) -> str:
        lines = [str(check) for check in self.checks]
        wrong = sum(check.problem is not None for check in self.checks)
        lines.append("Flambeau works here." if self.ok else f"{wrong} problem{'s' if wrong > 1 else ''}.")
        return "\n".join(lines)


def doctor(session: SparkSession | None = None, model: str = MODEL) -> Report:
    """Checks a session, or, without one, what a session would need on this machine. Raises nothing.

    Args:
        session: a session that should have Flambeau. Through Spark Connect, the executors are checked together, by a query.
        model: a model of one image, for the forward pass.

    Returns:
        A report; `report.ok` says whether nothing is wrong.
    """
    report = Report()
    _check_python(report)
    if session is None:
        _check_machine(report)
    elif report.ok:
        check_session(report, session, model)
    return report


def _check_python(report: Report) -> None:
    report.add(
        "flambeau", f"{__version__}, Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    try:
        import pyspark
    except ImportError:
        report.add("PySpark", "not installed", "Install it: pip install pyspark")
        return
    try:
        check_spark_version(pyspark.__version__)
        report.add("PySpark", pyspark.__version__)
    except FlambeauError as error:
        report.add("PySpark", pyspark.__version__, str(error))


def _check_machine(report: Report) -> None:
    """What a session on this machine needs before it starts."""
    if not (platform.system() == "Linux" and platform.machine() == "x86_64"):
        report.add("platform", f"{platform.system()} {platform.machine()}", "Flambeau runs on Linux x86-64.")
    _check_java(report)
    try:
        jars = find_jars()
    except FlambeauError as error:
        report.add("jars", "", str(error))
        return
    sizes = (
        f"{Path(jar).name} ({Path(jar).stat().st_size / 1e6:.0f} MB)" if Path(jar).is_file() else jar for jar in jars
    )
    report.add("jars", ", ".join(sizes))


def _check_java(report: Report) -> None:
    home, java = os.environ.get("JAVA_HOME"), java_program()
    advice = f"Install Java {OLDEST_JAVA} or 21, and set JAVA_HOME to it."
    if not java or not Path(java).is_file():
        report.add("Java", f"JAVA_HOME={home} has no bin/java" if home else "not found", advice)
        return
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    number = int(version[1]) if version else 0
    report.add("Java", f"{number} in {java}", None if number >= OLDEST_JAVA else f"It is too old. {advice}")


def check_session(report: Report, session: SparkSession, model: str) -> None:
    """Adds the checks of a session and its executors."""
    try:
        require(session, "doctor")
    except FlambeauError as error:
        report.add("session", f"Spark {session.version}", str(error))
        return
    report.add("session", f"Spark {session.version} with Flambeau's extension")
    jvm = getattr(session, "_jvm", None) if hasattr(session, "_jsparkSession") else None
    try:
        if jvm is None:
            _check_by_query(report, session, model)
        else:
            _check_executors(report, session, jvm, model)
    except Exception as error:  # whatever Spark raises is what the reader must know
        report.add(f"a forward pass of {model}", "", str(error).strip().splitlines()[0])


def _check_by_query(report: Report, session: SparkSession, model: str) -> None:
    picture = _png().hex()
    quoted = model.replace("'", "\\'")
    (row,) = session.sql(f"SELECT size(featurize(unhex('{picture}'), '{quoted}')) AS numbers").collect()
    report.add(f"a forward pass of {model}", f"{row['numbers']} features, through Spark Connect")


def _check_executors(report: Report, session: SparkSession, jvm: Any, model: str) -> None:
    context = session.sparkContext._jsc.sc()
    executors = json.loads(jvm.io.flambeau.tools.Doctor.examine(context, model, bytearray(_png())))
    for executor in executors:
        _check_executor(report, executor, model)
    slots = session.sparkContext.defaultParallelism
    report.add("executors", f"{len(executors)}, {slots} tasks at the same time")


def _check_executor(report: Report, executor: dict[str, Any], model: str) -> None:
    name = f"executor {executor['id']} on {executor['host']}"
    place = f"Java {executor['java']}, {executor['processor']}, {executor['cores']} cores, {executor['platform']}"
    if executor["problem"] is not None:
        report.add(name, place, executor["problem"])
        return
    native = json.loads(executor["native"])
    report.add(
        name,
        f"{place}, libtorch {native['libtorch']}. {model} runs with the engine {executor['engine']}: "
        f"loaded in {executor['load_ms']:.0f} ms, one picture in {executor['pass_ms']:.1f} ms",
    )
    free = f"{executor['folder']} has {executor['free_bytes'] / 1e9:.1f} GB free"
    enough = executor["free_bytes"] >= LEAST_FREE_BYTES
    advice = (
        "Models and libraries are unpacked there: make room, or set spark.flambeau.native.directory to another folder."
    )
    report.add(f"{name}, files", free, None if enough else advice)


def _png(side: int = 8) -> bytes:
    """A gray picture."""
    rows = b"".join(b"\0" + bytes(range(0, 8 * side, 8)) for _ in range(side))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
