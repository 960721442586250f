"""Where models run: the GPU that Spark gives a task, the setting, and libtorch's build for CUDA. On a machine with a GPU, `tests/gpu` shows
the rest. Another libtorch is in another process, since a JVM keeps its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from support import PACKAGES, PROGRAMS, ROOT, environment, run, spark_home

ON_CPU = ["", "[2.0, 4.0, 6.0]"]
CUDA_BUILD = Path(torch.__file__).parent
"""PyTorch's wheel from PyPI has a libtorch for CUDA, which runs without a GPU too."""


def answers(folder: Path, *settings: str, **variables: str) -> dict[str, list[str]]:
    """The result, or condition and message, as started and with spark.flambeau.device=cpu."""
    env = environment(PYTHONPATH=str(ROOT / "python"), **variables)
    done = run([sys.executable, PROGRAMS / "setup_job.py", "device", PACKAGES / "tiny", *settings], folder, env)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def one_gpu(tmp_path: Path) -> list[str]:
    """Settings of a cluster whose executor tells Spark that it has the GPU 0, for two tasks at a time."""
    script = tmp_path / "discover"
    script.write_text('#!/bin/sh\necho \'{"name": "gpu", "addresses": ["0"]}\'\n', encoding="utf-8")
    script.chmod(0o755)
    return [
        "spark.master=local-cluster[1,2,1024]",
        "spark.worker.resource.gpu.amount=1",
        f"spark.worker.resource.gpu.discoveryScript={script}",
        "spark.executor.resource.gpu.amount=1",
        "spark.task.resource.gpu.amount=0.5",
    ]


def test_a_task_with_a_gpu_runs_there_or_fails(tmp_path: Path, one_gpu: list[str]) -> None:
    given = answers(tmp_path, *one_gpu, SPARK_HOME=str(spark_home(tmp_path)))
    condition, message = given["as started"]
    assert condition == "FLAMBEAU_DEVICE", message
    assert "cuda:0 cannot be used: this libtorch is a build for CPUs" in message
    assert "spark.flambeau.libtorch" in message and "spark.flambeau.device=cpu" in message
    assert given["on the CPU"] == ON_CPU


@pytest.fixture(scope="module")
def in_one_session(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Settings that a session changes -> the answer, in one process."""
    cases = ("cuda:3", "gpu", "cuda spark.flambeau.engine=fused")
    more = [part for case in cases for part in ("--", *f"spark.flambeau.device={case}".split())]
    given = answers(tmp_path_factory.mktemp("devices"), "spark.flambeau.device=cuda", *more)
    return {setting.replace("spark.flambeau.", ""): answer for setting, answer in given.items()}


@pytest.mark.parametrize(("case", "device"), [("as started", "cuda:0"), ("device=cuda:3", "cuda:3")])
def test_a_gpu_that_is_asked_for_is_never_replaced_by_the_cpu(
    in_one_session: dict[str, list[str]], case: str, device: str
) -> None:
    condition, message = in_one_session[case]
    assert condition == "FLAMBEAU_DEVICE", message
    assert f"{device} cannot be used: this libtorch is a build for CPUs" in message
    assert in_one_session["on the CPU"] == ON_CPU


def test_a_cuda_build_of_libtorch_runs_on_the_cpu_and_says_why_not_on_a_gpu(tmp_path: Path) -> None:
    given = answers(tmp_path, f"spark.flambeau.libtorch={CUDA_BUILD}", "spark.flambeau.device=cuda:0")
    condition, message = given["as started"]
    if torch.cuda.is_available():
        assert given["as started"] == ON_CPU
    else:
        assert condition == "FLAMBEAU_DEVICE", message
        assert "cuda:0 cannot be used: Found no NVIDIA driver on your system" in message
    assert given["on the CPU"] == ON_CPU


def test_an_engine_of_processors_does_not_run_on_a_gpu(in_one_session: dict[str, list[str]]) -> None:
    condition, message = in_one_session["device=cuda engine=fused"]
    assert condition == "FLAMBEAU_BAD_ARGUMENT", message
    assert "set the engine to auto" in message


def test_a_device_has_libtorchs_name(in_one_session: dict[str, list[str]]) -> None:
    condition, message = in_one_session["device=gpu"]
    assert condition == "FLAMBEAU_BAD_SETTING"
    assert "spark.flambeau.device is 'gpu', but it must be auto, cpu, cuda or cuda:N" in message
