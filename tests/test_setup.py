"""If a session, a process or a machine lacks something, the error has a condition and advice. Each case is a separate
process, since a JVM keeps its settings from the start."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flambeau import running
from support import COMMAND_DEADLINE_S, EXTENSION, PACKAGES, PROGRAMS, ROOT, SPARK, environment, jars, run

MISSING_EXTENSION = "this session lacks Flambeau's extension: set spark.sql.extensions=io.flambeau.FlambeauExtensions"


def answers(folder: Path, *arguments: str) -> dict[str, list[str]]:
    """The error of each use of Flambeau, as [type or condition, message]."""
    done = run(
        [sys.executable, PROGRAMS / "setup_job.py", *arguments], folder, environment(PYTHONPATH=str(ROOT / "python"))
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("no-jars", "not have the Flambeau jars: start it with --jars"),
        ("no-extension", MISSING_EXTENSION),
        ("connect", "the Connect server does not have Flambeau: start it with --jars"),
    ],
)
def test_a_session_without_flambeau_says_so(tmp_path: Path, kind: str, part: str) -> None:
    given = answers(tmp_path, kind)
    in_python = {"functions", "register", "stage", "estimator"}
    assert set(given) - in_python == (
        {"functions of Scala", "register of Scala", "left behind"} if kind == "no-extension" else set()
    )
    for use, (error, message) in given.items():
        assert error == ("FlambeauError" if use in in_python else "FLAMBEAU_SETUP"), (use, error, message)
        assert part in message and EXTENSION in message, (use, message)


def test_a_native_directory_that_cannot_be_used(tmp_path: Path) -> None:
    given = answers(tmp_path, "run", str(PACKAGES / "tiny"), "spark.flambeau.native.directory=/proc/flambeau")
    assert set(given) == {"embedded", "folder", "again"}
    for use, (condition, message) in given.items():
        assert condition == "FLAMBEAU_SETUP", (use, message)
        assert "/proc/flambeau" in message and "spark.flambeau.native.directory" in message
        assert "BAD_MODEL" not in message


def test_settings_of_the_application_are_refused_until_a_session_corrects_them(tmp_path: Path) -> None:
    settings = ["spark.flambeau.batch.rows=-1", "spark.flambeau.model.path=/models"]
    given = answers(tmp_path, "correct", str(PACKAGES / "tiny"), *settings)
    condition, message = given["as started"]
    assert condition == "FLAMBEAU_BAD_SETTING"
    assert (
        "spark.flambeau.batch.rows is '-1', but it must be a whole number of rows, 0 to 1000000 (default 0)" in message
    )
    assert "there is no setting spark.flambeau.model.path (did you mean spark.flambeau.models.path?" in message
    assert given["corrected"] == ["", "[2.0, 4.0, 6.0]"]


def test_wrong_settings_of_the_process_stop_the_application_at_its_start(tmp_path: Path) -> None:
    command = [SPARK / "bin" / "spark-sql", "--master", "local[1]", "--jars", ",".join(jars())]
    settings = {
        "spark.sql.extensions": EXTENSION,
        "spark.ui.enabled": "false",
        "spark.flambeau.decode.threads": "-1",
        "spark.flambeau.log.level": "loud",
        "spark.flambeau.native.directory": "hdfs://n/x",
        "spark.flambeau.udf.9lives": "tiny",
        "spark.flambeau.udf.empty": " ",
    }
    conf = [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
    done = subprocess.run(
        [str(part) for part in [*command, *conf, "-e", "SELECT 'started'"]],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=COMMAND_DEADLINE_S,
        check=False,
    )
    assert done.returncode != 0 and "started" not in done.stdout
    for part in (
        "[FLAMBEAU_BAD_SETTING]",
        "spark.flambeau.decode.threads is '-1', but it must be a whole number of threads, 0 to 1024 (default 0)",
        "spark.flambeau.log.level is 'loud', but it must be error, warn, info, debug or trace (default info)",
        "spark.flambeau.native.directory is 'hdfs://n/x', but it must be the path of a folder on each machine, not a URI",
        "spark.flambeau.udf.9lives does not name a function",
        "spark.flambeau.udf.empty is empty",
    ):
        assert part in done.stderr, done.stderr[-6000:]


def models(folder: Path, largest_file: int = resource.RLIM_INFINITY, **variables: str) -> str:
    """What `models run` says, without Spark, with these variables and no file larger than this."""
    (folder / "x.json").write_text("[1, 2, 3, 4]")
    done = subprocess.run(
        [sys.executable, "-m", "flambeau.models", "run", PACKAGES / "tiny", "x.json"],
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT / "python"), **variables),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file)),
        capture_output=True,
        text=True,
        timeout=COMMAND_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_a_libtorch_of_another_version_and_a_damaged_one(tmp_path: Path) -> None:
    lib = tmp_path / "torch" / "lib"
    lib.mkdir(parents=True)
    (lib / "libtorch_cpu.so").write_bytes(b"\x7fELF cut off")
    message = models(tmp_path, LIBTORCH=str(tmp_path / "torch"))
    assert "[FLAMBEAU_SETUP]" in message and "libtorch_cpu.so cannot be loaded" in message
    (tmp_path / "torch" / "build-version").write_text("2.5.1+cpu\n")
    message = models(tmp_path, LIBTORCH=str(tmp_path / "torch"))
    assert "[FLAMBEAU_SETUP]" in message and "is version 2.5.1, but Flambeau needs 2.13.0" in message
    shutil.rmtree(tmp_path / "torch")
    message = models(tmp_path, LIBTORCH=str(tmp_path / "torch"))
    assert (
        "[FLAMBEAU_SETUP]" in message and "no libtorch_cpu.so in" in message and f"LIBTORCH={tmp_path}/torch" in message
    )


def test_a_libtorch_beside_the_one_of_another_library(tmp_path: Path) -> None:
    """`LD_PRELOAD` puts another libtorch into the process, as a library with a libtorch of its own does."""
    lib = Path(shutil.copytree(ROOT / ".libtorch" / "lib", tmp_path / "lib"))
    # In the order in which each can be loaded; those of them that this libtorch has.
    order = ("libquadmath.so.0", "libgfortran.so.5", "libgomp.so.1", "libopenblas.so.0", "libc10.so", "libtorch_cpu.so")
    preloaded = [str(lib / name) for name in order if (lib / name).exists()]
    message = models(tmp_path, LD_PRELOAD=":".join(preloaded))
    shutil.rmtree(lib)
    assert "[FLAMBEAU_SETUP]" in message and f"another library has loaded libtorch from {lib}" in message, message


def test_another_platform(tmp_path: Path) -> None:
    message = models(tmp_path, JAVA_TOOL_OPTIONS="-Dos.arch=aarch64")
    assert "[FLAMBEAU_SETUP]" in message and "runs on Linux x86-64, but this machine is Linux aarch64" in message


def test_a_folder_that_is_none_or_has_no_room(tmp_path: Path) -> None:
    """A full disk is one where a library cannot be written to its end: here, by a limit on the size of files."""
    (tmp_path / "file").touch()
    message = models(tmp_path, JAVA_TOOL_OPTIONS=f"-Djava.io.tmpdir={tmp_path / 'file'}")
    assert "[FLAMBEAU_SETUP]" in message and f"{tmp_path / 'file'} already exists, and is not a folder" in message
    message = models(tmp_path, 50 << 20, JAVA_TOOL_OPTIONS=f"-Djava.io.tmpdir={tmp_path}")
    assert "[FLAMBEAU_SETUP]" in message and "File too large" in message, message
    assert (
        str(tmp_path / "flambeau-") in message
        and "spark.flambeau.native.directory" in message
        and "BAD_MODEL" not in message
    )


def test_a_jvm_without_what_arrow_needs(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[1, 2, 3, 4]")
    command = [part for part in running._java() if not part.startswith("--add-opens")]
    done = subprocess.run(
        [*command, running.MAIN, PACKAGES / "tiny", "x.json"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=COMMAND_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 2
    assert "[FLAMBEAU_SETUP]" in done.stdout and "--add-opens=java.base/java.nio" in done.stdout
