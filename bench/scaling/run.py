"""`.venv/bin/python bench/scaling/run.py`: does the job scale with its rows and tasks?

Tiles of 500 x 375 through EfficientNet-Lite0 in f32. Rows x 1, x 10 and x 100 (the same tiles again and again, so that the input does not
grow) in one `local[2]`: seconds, rows/s, and the most memory that the JVM held. Then 1, 2, 4 and 8 tasks at a time on the same cores, each in a
process of its own: rows/s, memory, and how many models and bytes of weights are in memory. Prints two tables; a whole run is
kept in bench/results/<version>/scaling.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / "images"), str(HERE.parent), str(ROOT / "python")]
import harness
from flambeau.version import __version__

NETWORK, TILES, PARTITIONS = "efficientnet_lite0", 64, 8
TIMES, TASKS = (1, 10, 100), (1, 2, 4, 8)
WITHIN = 0.05
"""How much more time a row may take at the last size than at the second."""


class Memory:
    """The peak resident memory of a process and of all below it, in MiB, while a `with` runs."""

    def __init__(self, process: int) -> None:
        self.process, self.most, self.done = process, 0.0, threading.Event()

    def _watch(self) -> None:
        while not self.done.wait(0.05):
            lines = Path(f"/proc/{self.process}/status").read_text(encoding="utf-8").splitlines()
            kib = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
            self.most = max(self.most, kib / 1024)

    def __enter__(self) -> Memory:
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()


def once(tasks: int, sizes: list[int]) -> list[dict[str, float]]:
    """In a process of its own: a pass that warms up, then every size."""
    import data
    from pyspark.sql import SparkSession

    import flambeau
    from flambeau import functions as F

    builder = SparkSession.builder.master(f"local[{tasks}]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "2g").config("spark.log.level", "ERROR")
    builder = builder.config("spark.flambeau.models.path", str(ROOT / "build" / "bench-models"))
    spark = flambeau.configure(builder).getOrCreate()
    folder, _ = data.provide("tiles")
    files = [str(path) for path in sorted(folder.iterdir())[:TILES]]
    tiles = spark.read.format("binaryFile").load(files).select("content").repartition(PARTITIONS).cache()
    tiles.count()
    assert spark._jvm is not None, "a classic session"
    jvm = spark._jvm.java.lang.ProcessHandle.current().pid()

    def run(times: int) -> None:
        # Every partition repeats its own rows, one at a time.
        many = tiles.selectExpr("content", f"explode(sequence(1, {times})) AS again").select("content")
        many.select(F.featurize("content", NETWORK).alias("features")).write.format("noop").mode("overwrite").save()

    run(4)
    stats = spark._jvm.io.flambeau.bridge.NativeStats
    found = []
    for times in sizes:
        with Memory(jvm) as memory:
            started = time.perf_counter()
            run(times)
            seconds = time.perf_counter() - started
        rows = TILES * times
        line = {"tasks": tasks, "rows": rows, "seconds": round(seconds, 2), "rows_per_s": round(rows / seconds, 1)}
        line |= {
            "memory_mib": round(memory.most),
            "models": stats.modelsInMemory(),
            "weights_mib": round(stats.weightsBytes() / 2**20, 1),
        }
        found.append(line)
    spark.stop()
    return found


def main() -> None:
    if sys.argv[1:2] == ["once"]:
        print(json.dumps({"lines": once(int(sys.argv[2]), [int(n) for n in sys.argv[3:]])}))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", default=",".join(map(str, TIMES)), help="how many times the rows")
    parser.add_argument("--tasks", default=",".join(map(str, TASKS)), help="how many tasks at a time")
    chosen = parser.parse_args()
    import networks

    networks.package(NETWORK)
    about = harness.describe()
    me = [sys.executable, __file__, "once"]
    rows = harness.run_arm([*me, "2", *chosen.times.split(",")])["lines"]
    tasks = [harness.run_arm([*me, number, "10"])["lines"][0] for number in chosen.tasks.split(",")]
    for title, lines in (("rows", rows), ("tasks", tasks)):
        print(f"\n{title:>8} {'seconds':>8} {'rows/s':>8} {'MiB':>6} {'models':>7} {'weights MiB':>12}")
        for line in lines:
            print(
                f"{line[title]:8} {line['seconds']:8.2f} {line['rows_per_s']:8.1f} {line['memory_mib']:6.0f} "
                f"{line['models']:7} {line['weights_mib']:12.1f}"
            )
    if len(rows) > 1:
        dearer = rows[-2]["rows_per_s"] / rows[-1]["rows_per_s"] - 1
        grown = rows[-1]["memory_mib"] - rows[-2]["memory_mib"]
        verdict = "" if dearer <= WITHIN else ": MISSED"
        print(
            f"x {rows[-1]['rows'] // rows[-2]['rows']} rows: a row takes {dearer:+.1%} time, {WITHIN:.0%} at the most wanted{verdict}; {grown:+.0f} MiB"
        )
    if [chosen.times, chosen.tasks] != [parser.get_default("times"), parser.get_default("tasks")]:
        return
    path = harness.keep("scaling", __version__, {"machine": about, "rows": rows, "tasks": tasks})
    print(f"kept in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
