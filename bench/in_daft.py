"""The Daft arm: a class whose batch method runs the family's work, two instances, on Daft's native runner.

Rows are in memory before the clock starts. Daft makes the instances anew for every query, so passes over the rows and over
three times the rows are timed, and the difference counts: loading is left out, as it is for Spark's workers, which stay.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np
from arm import BATCH, CORES, HERE, Timed, worker


def run(options: argparse.Namespace, items: list[Any], timed: Timed) -> np.ndarray:
    """The results of all rows in order, and timed passes."""
    os.environ.setdefault("DAFT_RUNNER", "native")
    os.environ.setdefault("DAFT_PROGRESS_BAR", "0")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    import daft
    import machine
    from daft import DataType, Series

    family, network, runtime = options.family, options.network, options.arm.split(" ")[1]

    @daft.cls(max_concurrency=CORES, use_process=True)
    class Featurizer:
        def __init__(self) -> None:
            self.work = worker(family, network, runtime)

        @daft.method.batch(return_dtype=DataType.list(DataType.float32()), batch_size=BATCH[family])
        def features(self, values: Series) -> list[Any]:
            return list(self.work(values.to_pylist()))

    featurizer = Featurizer()

    def table(times: int) -> Any:
        made = {"id": list(range(len(items) * times)), "value": items * times}
        return daft.from_pydict(made).collect()

    def query(frame: Any) -> Any:
        return frame.select(frame["id"], featurizer.features(frame["value"]).alias("features")).collect()

    once, thrice = table(1), table(3)
    found = query(once).sort("id").to_pydict()["features"]
    for _ in range(timed.passes):
        spent = []
        for frame in (once, thrice):
            started, used = time.perf_counter(), machine.cpu_seconds()
            query(frame)
            spent.append((time.perf_counter() - started, machine.cpu_seconds() - used))
        timed.rates.append(round(2 * len(items) / (spent[1][0] - spent[0][0]), 2))
        timed.busy.append(round(2 * len(items) / max(1e-3, spent[1][1] - spent[0][1]), 2))
    return np.array(found, np.float32)
