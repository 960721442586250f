"""`spark-submit` to a cluster of two executor processes: class loaders, shipping of jars, unpacking, logs with stage and partition.

libtorch comes out of its jar (LIBTORCH is not set), into a fresh folder that both executors and the driver unpack into at
the same time. The executors' own logs are read.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path

import pytest

from support import EXTENSION, PACKAGES, PHOTOS, PROGRAMS, ROOT, environment, executor_logs, jars, run, spark_home

NATIVE_LINE = re.compile(r"io\.flambeau\.native\.|native\.engine|\[stage (\d+)\.(\d+) partition (\d+)\]")


def submit(folder: Path, home: Path, *application: str | Path) -> str:
    """Submits to `local-cluster[2,1,1024]` and returns what the driver printed."""
    conf = {
        "spark.sql.extensions": EXTENSION,
        "spark.flambeau.native.directory": str(folder / "native"),
        "spark.flambeau.log.level": "debug",
        "spark.ui.enabled": "false",
        "spark.locality.wait": "0",
    }
    command: list[str | Path] = [
        home / "bin" / "spark-submit",
        "--master",
        "local-cluster[2,1,1024]",
        "--jars",
        ",".join(jars()),
    ]
    for key, value in conf.items():
        command += ["--conf", f"{key}={value}"]
    return run([*command, *application], folder, environment(SPARK_HOME=str(home))).stdout


def check_executors(home: Path, folder: Path) -> None:
    """Both executors unpacked or waited, loaded from the one folder, and logged from inside their tasks."""
    logs = executor_logs(home)
    assert len(logs) == 2, sorted(logs)
    unpacked = 0
    for executor, log in logs.items():
        assert f"libtorch from {folder}/native/libtorch-" in log, f"executor {executor}:\n{log[-3000:]}"
        assert "(flambeau-libtorch jar)" in log
        assert "Flambeau native library" in log
        tasks = {match[0] for match in re.finditer(r"\[stage \d+\.\d+ partition \d+\] ", log)}
        assert tasks, f"executor {executor} has no native log line with stage and partition:\n{log[-3000:]}"
        unpacked += len(re.findall(r"unpacked \d+ files .* of libtorch to", log))
    assert unpacked <= 1, "libtorch is unpacked once per machine"
    native = folder / "native"
    names = [entry.name.rsplit("-", 1)[0] for entry in native.iterdir() if not entry.name.startswith(".")]
    assert sorted(names) == sorted(set(names)), names
    assert {"libtorch", "flambeau", "model-efficientnet_lite0"} <= set(names)
    leftovers = [
        entry.name for entry in native.iterdir() if entry.name.startswith(".") and not entry.name.endswith(".lock")
    ]
    assert leftovers == []


def check_labels(found: dict[str, str], photos: dict[str, tuple[str, ...]]) -> None:
    assert found.keys() == photos.keys()
    assert found["chelsea.png"] in photos["chelsea.png"]
    right = sum(found[file] in expected for file, expected in photos.items())
    assert right >= 0.9 * len(photos)


def test_a_python_job_on_two_executors(tmp_path: Path, photos: dict[str, tuple[str, ...]]) -> None:
    home = spark_home(tmp_path)
    output = submit(tmp_path, home, PROGRAMS / "cluster_job.py", PHOTOS.as_uri(), PACKAGES)
    result = json.loads(output.splitlines()[-1])
    check_labels(result["labels"], photos)
    assert result["lengths"] == [1280]
    assert result["wrong"] == 0
    assert result["condition"] == "FLAMBEAU_BAD_INPUT"
    assert "row 1 of partition 1" in result["failure"] and "try_featurize" in result["failure"]
    assert result["after"] == [1998, 2000, 2002]
    assert result["partitions"] == 4
    check_executors(home, tmp_path)


@pytest.fixture
def scala_job(tmp_path: Path) -> Path:
    """A jar with the compiled Scala job and nothing else: what a user's own build makes."""
    folders = os.environ.get("FLAMBEAU_TEST_CLASSES", str(ROOT / "build" / "classes" / "scala" / "test")).split(
        os.pathsep
    )
    classes = [file for folder in folders for file in Path(folder).glob("io/flambeau/jobs/*.class")]
    assert classes, f"the compiled job is in none of {folders}: the Gradle task testClasses makes it"
    jar = tmp_path / "job.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for file in classes:
            archive.write(file, f"io/flambeau/jobs/{file.name}")
    return jar


def test_a_scala_job_on_two_executors(tmp_path: Path, scala_job: Path, photos: dict[str, tuple[str, ...]]) -> None:
    home = spark_home(tmp_path)
    output = submit(tmp_path, home, "--class", "io.flambeau.jobs.ScalaJob", scala_job, PHOTOS.as_uri(), PACKAGES)
    lines = [line.split("\t") for line in output.splitlines()]
    check_labels({line[1]: line[2] for line in lines if line[0] == "label"}, photos)
    assert ["wrong", "0"] in lines
    assert ["tried", "null"] in lines
    check_executors(home, tmp_path)
