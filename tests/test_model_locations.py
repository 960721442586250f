"""Where packages come from, on executors that do not see the driver's paths; the same in one process is a Scala suite."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from typing import Any

import pytest

from support import PACKAGES, PROGRAMS, ROOT, environment, executor_logs, run, spark_home

DESCRIPTION = """
[[input]]
name = "x"
kind = "tensor"
shape = [4]
[[output]]
name = "features"
role = "features"
shape = [3]
[[output]]
name = "logits"
role = "scores"
shape = [3]
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """What the job printed, and what its executors logged."""
    folder = tmp_path_factory.mktemp("locations")
    shutil.copytree(PACKAGES / "tiny", folder / "packages" / "tiny")
    shutil.copy(PACKAGES / "tiny" / "model.pt", folder / "packages" / "bare.pt")
    (folder / "packages" / "bare.toml").write_text(DESCRIPTION)
    home = spark_home(folder)
    variables = environment(
        SPARK_HOME=str(home),
        PYTHONPATH=str(ROOT / "python"),
        TEST_LIBTORCH=os.environ.get("LIBTORCH", str(ROOT / ".libtorch")),
    )
    done = run([sys.executable, PROGRAMS / "located_job.py"], folder, variables)
    return json.loads(done.stdout.splitlines()[-1]), "".join(executor_logs(home).values())


def test_executors_cannot_see_the_drivers_folder(job: tuple[dict[str, Any], str]) -> None:
    assert job[0]["seen by executors"] == [False] * 8


def test_a_folder_of_the_driver_is_shipped(job: tuple[dict[str, Any], str]) -> None:
    answers, _ = job
    assert answers["folder"] == answers["again"] == ["c"]
    assert answers["registered"] == [[2.0, 4.0, 6.0]]


def test_changed_content_under_the_same_path_is_noticed(job: tuple[dict[str, Any], str]) -> None:
    assert job[0]["changed"] == ["z"]


def test_a_zip_and_a_bare_program_of_the_driver_are_shipped(job: tuple[dict[str, Any], str]) -> None:
    answers, _ = job
    assert answers["zip"] == answers["name"] == ["3"]
    assert answers["bare"] == ["2"], "no labels: the class's index"


def test_executors_read_a_hadoop_file_system_with_the_applications_settings(job: tuple[dict[str, Any], str]) -> None:
    """Where the application has a list, a session's mount table does not make an allowed URI another folder."""
    answers, logs = job
    assert answers["what the session mounted"] == "in"
    assert answers["hadoop"] == ["r"]
    assert answers["hadoop zip"] == ["u"]
    assert "of viewfs://models/all/tiny" in logs and "of viewfs://models/all/remote.zip" in logs


def test_each_content_is_fetched_once_for_the_machine(job: tuple[dict[str, Any], str]) -> None:
    answers, logs = job
    fetched = re.findall(r"copied \d+ files \(\d+ bytes\) of (\S+) to \S+/(package-\w+)", logs)
    assert len(fetched) == len({target for _, target in fetched}) == answers["kept on the executors' machine"]
    shipped = [source for source, _ in fetched if source.startswith("spark://")]
    assert len(shipped) == 4, "tiny, tiny relabeled, the zip, the bare program"


def test_a_session_cannot_widen_what_the_application_allows(job: tuple[dict[str, Any], str]) -> None:
    assert "is outside of spark.flambeau.models.allow" in job[0]["outside"]
    assert "is outside of spark.flambeau.models.allow" in job[0]["another file system"]
