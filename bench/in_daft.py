"""The Daft arm: a class whose batch method runs the family's work, two instances, on Daft's native runner.

Rows are in memory before the clock starts. Daft makes new instances for every query. So passes over the rows and over
three times the rows are timed, and the difference counts. This excludes loading, as for Spark's workers, which are
reused.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np

from arm_parts import BATCH, CORES, HERE, Timed, worker


def run(options: argparse.Namespace, items: list[Any], timed: Timed) -> np.ndarray:
    """The results of all rows in order, and timed passes."""
    os.environ.setdefault("DAFT_RUNNER", "native")
    os.environ.setdefault("DAFT_PROGRESS_BAR", "0")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    import daft
    from daft import DataType, Series

    family, network, runtime = options.family, options.network, options.arm.split(" ")[1]

    @daft.cls(max_concurrency=CORES, use_process=True)
    class Featurizer:
        def __init__(self) -> None:
            self.work = worker(family, network, runtime)

        @daft.method.batch(return_dtype=DataType.list(DataType.float32()), batch_size=BATCH[family])  # type: ignore[untyped-decorator]  # of Daft
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
    timed.run_beyond(lambda: query(once), lambda: query(thrice))
    return np.array(found, np.float32)
