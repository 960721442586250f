"""Shared by the end-to-end tests: paths, a user's environment, and running a user's commands.

What lives here: paths, `environment` (a new user's shell, without our variables), and `run` (a command with a
deadline, whose output is in the failure message). `spark_home` is Spark as on PyPI with its own work folder, so that
tests can read logs of executors. Everything runs the real thing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyspark
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # py4j has no types
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "examples")]
sys.path.append(str(ROOT / "models"))

import flambeau
import hangs

PACKAGES = ROOT / "build" / "test-packages"
PHOTOS = ROOT / "build" / "e2e-photos"
PROGRAMS = Path(__file__).resolve().parent / "programs"
SPARK = Path(pyspark.__file__).resolve().parent
SPARK_VERSION = str(pyspark.__version__)
LINE = ".".join(SPARK_VERSION.split(".")[:2])
EXTENSION = "io.flambeau.FlambeauExtensions"
MODEL = "efficientnet_lite0"
MODELS = ROOT / "build" / "models"

FAILURES = (PySparkException, Py4JJavaError)
"""What a query raises. In Spark 3.5, what fails in a task is the second."""

OURS = ("FLAMBEAU", "LIBTORCH", "LD_LIBRARY_PATH", "PYTHONPATH", "SPARK", "PYSPARK", "TORCH", "OMP_", "MKL_")
"""Prefixes of variables that a new user does not have."""

QUICK_START = "JDK_JAVA_OPTIONS"
"""`./gradlew e2eTest` sets it: options that make the many JVMs start sooner."""


def is_other_line() -> bool:
    """Whether the tests run on another line of Spark than the installed one: its PySpark is on the path."""
    return str(SPARK.parent) in os.environ.get("PYTHONPATH", "").split(os.pathsep)


def jars() -> list[str]:
    """Both jars, as the Python package finds them."""
    return flambeau.find_jars()


def environment(**more: str) -> dict[str, str]:
    """This process's variables without those that could help Flambeau, and `more`. Python is the one that runs the tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    # The PySpark of another line is not installed: it stays on the path.
    if is_other_line():
        given = more.get("PYTHONPATH", "").split(os.pathsep)
        more = {**more, "PYTHONPATH": os.pathsep.join([*filter(None, given), str(SPARK.parent)])}
    return {**inherited, "PYSPARK_PYTHON": sys.executable, **more}


def jvm(spark: SparkSession) -> Any:
    """The JVM of a classic session, through the gateway."""
    view = spark._jvm
    assert view is not None
    return view


DEADLINE_S, COMMAND_DEADLINE_S = 600, 1200
"""How long tests wait for a condition, and for a whole command, before they report a hang. No test asserts how long
something should take, since machines differ."""


def run(
    command: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None, seconds: float = COMMAND_DEADLINE_S
) -> subprocess.CompletedProcess[str]:
    """Runs a user's command to its end; a failure shows what it printed, a hang also where its JVMs are."""
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env=dict(environment() if env is None else env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=seconds)
        ended = f"exit {process.returncode}"
    except subprocess.TimeoutExpired:
        stacks = hangs.stacks_below(process.pid)
        # With its descendants, which hold the pipes open too.
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        ended = f"killed after {seconds} s\n{stacks}"
    shown = f"{command}\n{ended}\n{stdout[-3000:]}\n{stderr[:4000]}\n…\n{stderr[-6000:]}"
    assert process.returncode == 0, shown
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def spark_home(folder: Path) -> Path:
    """A SPARK_HOME in `folder` with PySpark's own files; a standalone worker writes `work/` into it."""
    home = folder / "spark-home"
    home.mkdir(parents=True)
    for entry in SPARK.iterdir():
        if entry.name not in ("work", "logs", "conf"):
            (home / entry.name).symlink_to(entry)
    return home


def executor_logs(home: Path) -> dict[str, str]:
    """Executor -> what it wrote to stderr."""
    return {
        log.parent.name: log.read_text(encoding="utf-8", errors="replace")
        for log in sorted(home.glob("work/app-*/*/stderr"))
    }


def free_port() -> int:
    """A free TCP port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(holds: Callable[[], bool], what: str, seconds: float = DEADLINE_S) -> None:
    """Waits until `holds()`. Fails with `what` after `seconds`."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < seconds, f"after {seconds} s: {what}"
        time.sleep(0.1)


def is_running(process: int) -> bool:
    """Whether there is such a process, other than an ended one whose status was not read."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


@contextlib.contextmanager
def background(
    command: Sequence[str | Path], cwd: Path, log: Path, env: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A server for the time of the block; its output goes to `log`."""
    with log.open("wb") as sink:
        process = subprocess.Popen([str(part) for part in command], cwd=cwd, env=dict(env), stdout=sink, stderr=sink)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def spark_server(main_class: str, started: str, folder: Path, settings: Mapping[str, str]) -> Iterator[Path]:
    """One of Spark's servers with both jars, up when its log says `started`; gives the log. Its files go to `folder`."""
    command: list[str | Path] = [SPARK / "bin" / "spark-submit", "--jars", ",".join(jars())]
    settings = {"spark.master": "local[2]", **settings}
    for key, value in {"spark.sql.extensions": EXTENSION, "spark.ui.enabled": "false", **settings}.items():
        command += ["--conf", f"{key}={value}"]
    log = folder / "server.log"
    command += ["--class", main_class, "spark-internal"]
    with background(command, folder, log, environment(SPARK_HOME=str(SPARK))) as process:
        wait_until(lambda: started in _text(log) or process.poll() is not None, "the server is up")
        assert process.poll() is None, _text(log)[-4000:]
        yield log


@contextlib.contextmanager
def connect_server(folder: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """A Spark Connect server; gives its address for `SPARK_REMOTE`."""
    port = free_port()
    more = {"spark.connect.grpc.binding.port": str(port), **settings}
    main_class = "org.apache.spark.sql.connect.service.SparkConnectServer"
    with spark_server(main_class, "Spark Connect server started", folder, more):
        yield f"sc://127.0.0.1:{port}"


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int | None = None, *options: str, **variables: str) -> Iterator[str]:
    """An MLflow tracking server with a database in `folder`, which hands out its artifacts; gives its address."""
    folder.mkdir(parents=True, exist_ok=True)
    address = ("127.0.0.1", port or free_port())
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        address[0],
        "--port",
        str(address[1]),
    ]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts"), *options]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = folder / "mlflow.log"

    def answers() -> bool:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://{address[0]}:{address[1]}/health", timeout=5),
        ):
            return True
        return False

    with background(command, folder, log, environment(**quiet, **variables)) as process:
        wait_until(lambda: process.poll() is not None or answers(), "the MLflow server is up")
        assert process.poll() is None, _text(log)[-4000:]
        yield f"http://{address[0]}:{address[1]}"


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
