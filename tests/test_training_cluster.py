"""Training on clusters: several processes, executors that die or come late, and what listens meanwhile."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import support
from flambeau.ml import TorchClassifier
from standalone import standalone
from support import PROGRAMS, ROOT, environment, executor_logs, run, spark_home, wait_until

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def cluster(tmp_path: Path) -> Any:
    """Runs a task of `programs/training_job.py` on a cluster of two executor processes."""

    def job(task: str, master: str = "local-cluster[2,1,1024]") -> tuple[dict[str, Any], Path]:
        home = spark_home(tmp_path)
        command: list[str | Path] = [sys.executable, PROGRAMS / "training_job.py", task, tmp_path, master]
        done = run(command, cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT / "python"), SPARK_HOME=str(home)))
        return json.loads(done.stdout.splitlines()[-1]), home

    return job


def test_two_executors_train_what_one_does(cluster: Any, tmp_path: Path) -> None:
    """On a standalone cluster. More workers than slots are refused at once."""
    with standalone(tmp_path) as master:
        result, _ = cluster("same", master)
    assert result["spread"] > 0.5 and result["distance"] < 1e-3 and result["epochs"] == 8
    assert result["kept"] == [f"step-{125 * epoch:012d}.checkpoint" for epoch in (5, 6, 7)]
    assert result["condition"] == "FLAMBEAU_BAD_ARGUMENT" and "numWorkers is 3" in result["message"]


def test_a_killed_executor_costs_no_more_than_an_epoch(cluster: Any) -> None:
    result, home = cluster("killed")
    assert result["killed"] and result["epochs"] == result["asked"]
    assert result["spread"] > 0.5 and result["distance"] < 1e-5
    logs = "\n".join(executor_logs(home).values())
    assert "continues from" in logs
    # Which of the two ends the other worker is a race: it misses its peer, or Spark cancels the stage first.
    assert "FLAMBEAU_PEER" in logs or "from barrier stage" in logs


def test_more_rows_than_the_heap_holds(cluster: Any) -> None:
    result, _ = cluster("large", "local[2]")
    assert result["bytes"] > result["heap"] > 0
    assert result["losses"][1] < result["losses"][0]


def test_dynamic_allocation_trains_with_one_worker_and_is_explained_for_several(cluster: Any) -> None:
    result, home = cluster("dynamic")
    assert result["epochs"] == 8
    assert result["condition"] == "FLAMBEAU_BAD_ARGUMENT" and "numWorkers is 2" in result["message"]
    assert "spark.dynamicAllocation.enabled=false" in result["message"]
    assert executor_logs(home), "the executors came on demand"


def test_what_spark_is_asked_to_protect_does_not_go_in_clear(cluster: Any) -> None:
    result, _ = cluster("authenticated")
    assert result["condition"] == "FLAMBEAU_BAD_ARGUMENT" and "spark.authenticate" in result["message"]
    assert "spark.flambeau.train.allowUnencrypted" in result["message"]
    assert result["epochs"] == 8


def listening(process: int) -> dict[str, int]:
    """Local address, as the kernel writes it -> port, of the TCP sockets on which a process listens."""
    inodes = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found[fields[1]] = int(fields[1].rsplit(":", 1)[1], 16)
    return found


def test_workers_of_one_process_listen_nowhere(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.range(256).selectExpr("array(float(sin(id)), float(cos(id))) AS features", "double(id % 2) AS label")
    jvm = int(support.jvm(spark).java.lang.ProcessHandle.current().pid())
    ended: list[BaseException] = []
    endless = TorchClassifier(maxEpochs=1_000_000, numWorkers=2, checkpointDir=str(tmp_path), checkpointSteps=1)

    def work() -> None:
        try:
            endless.fit(rows)
        except Exception as error:
            ended.append(error)

    before = listening(jvm)
    worker = threading.Thread(target=work)
    worker.start()
    try:
        wait_until(lambda: any(tmp_path.rglob("*.checkpoint")) or bool(ended), "the workers have made a step")
        assert not ended, ended
        assert not set(listening(jvm)) - set(before), "they add up in memory"
        assert worker.is_alive() and not ended
    finally:
        spark.sparkContext.cancelAllJobs()
        worker.join(300)
    assert "cancel" in str(ended[0]).lower()
