"""The Ray Data arm: `map_batches` with a class that runs the family's work, two actors, on a local Ray of two cores.

Rows are in the object store before the clock starts. Ray makes new actors for every run. So passes over the rows and
over three times the rows are timed, and the difference counts. This excludes loading, as for Spark's workers, which
are reused.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np

from arm_parts import BATCH, CORES, HERE, PARTITIONS, Timed, worker


class Featurizer:
    """One actor."""

    def __init__(self, family: str, network: str, runtime: str) -> None:
        self.work = worker(family, network, runtime)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        return {"id": batch["id"], "features": self.work(list(batch["value"]))}


def run(options: argparse.Namespace, items: list[Any], timed: Timed) -> np.ndarray:
    """The results of all rows in order, and timed passes."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    import ray

    ray.init(num_cpus=CORES, include_dashboard=False, logging_level="ERROR", object_store_memory=1 << 30)
    ray.data.DataContext.get_current().enable_progress_bars = False
    family, arguments = options.family, (options.family, options.network, options.arm.split(" ")[1])

    def table(times: int) -> Any:
        rows = [{"id": index, "value": value} for index, value in enumerate(items * times)]
        return ray.data.from_items(rows, override_num_blocks=PARTITIONS[family] * times).materialize()

    def query(dataset: Any) -> Any:
        actors = ray.data.ActorPoolStrategy(size=CORES)
        return dataset.map_batches(
            Featurizer, fn_constructor_args=arguments, compute=actors, batch_size=BATCH[family], num_cpus=1
        ).materialize()

    once, thrice = table(1), table(3)
    found = sorted(query(once).take_all(), key=lambda row: row["id"])
    timed.run_beyond(lambda: query(once), lambda: query(thrice))
    ray.shutdown()
    return np.stack([row["features"] for row in found]).astype(np.float32)
