"""An application runs a model on one engine, whatever its executors would choose themselves."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from support import PACKAGES, PROGRAMS, ROOT, environment, executor_logs, run, spark_home


def test_an_executor_that_comes_later_follows_the_first_choice(tmp_path: Path) -> None:
    """The second executor finds another choice on the machine's disk, and asks the driver."""
    home = spark_home(tmp_path)
    variables = environment(SPARK_HOME=str(home), PYTHONPATH=str(ROOT / "python"))
    libtorch = ROOT / ".libtorch"
    command: list[str | Path] = [
        sys.executable,
        PROGRAMS / "engines_job.py",
        PACKAGES / "convolves",
        tmp_path / "native",
        libtorch,
    ]
    answer = json.loads(run(command, tmp_path, variables).stdout.splitlines()[-1])
    assert answer["first"] == answer["chosen"]
    assert answer["second"] == answer["first"]
    assert answer["by name"] != answer["first"], "a setting that names an engine is followed without asking"
    logs = executor_logs(home)
    assert len(logs) == 2, "the executor that was killed, and the one that came after"
    # The plugin begins to load the library before there is any task. Which of the two is done first depends on the machine.
    begun = "the native library is loaded in the background"
    assert all(log.index(begun) < log.index("Running task") for log in logs.values()), logs
    assert all("Flambeau native library" in log for log in logs.values()), logs
