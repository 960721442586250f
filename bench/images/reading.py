"""Files by their paths: `read_bytes` beside Spark's binaryFile and beside what a user writes in a pandas UDF, on the same two cores.

    .venv/bin/python bench/images/reading.py

What lives here: the arms, each in a new process, and the two places that they read from. `disk` is a local folder whose pages are in
memory. `http` is a server on this machine that waits `DELAY_S` before it answers, as an object store does; Hadoop's own file system for
`http://` reads it. All arms must give the same number of bytes. Counting bytes is all that they do with them.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "python"), str(ROOT / "bench" / "images")]

import pandas as pd

import harness

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

DELAY_S = 0.02
THREADS = 16
CORES = 2
PASSES = 3
ARMS = {
    "disk": ("read_bytes", "binaryFile", "udf"),
    "http": ("read_bytes", "udf", "udf 16 threads"),
}


class Slow(http.server.SimpleHTTPRequestHandler):
    """Answers late, on one connection for many requests."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        time.sleep(DELAY_S)
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Takes all requests at once: a connection that waits in a full queue is tried again after a second."""

    request_queue_size = 256


def serve(folder: Path) -> int:
    """Starts the server, for as long as this process runs; gives its port."""
    handler = functools.partial(Slow, directory=str(folder))
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def sizes(threads: int) -> Column:
    """What a user writes: the size of what is behind each path or URL, one after another or several at a time."""
    from concurrent.futures import ThreadPoolExecutor
    from urllib.request import urlopen

    from pyspark.sql.pandas.functions import pandas_udf

    def size(place: str) -> int:
        with urlopen(place) as file:
            return len(file.read())

    @pandas_udf("bigint")  # type: ignore[call-overload, untyped-decorator]  # PySpark types no functions by hints
    def total(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        with ThreadPoolExecutor(threads) as pool:
            for places in batches:
                yield pd.Series(pool.map(size, places) if threads > 1 else map(size, places), dtype="int64")

    counted: Column = total("place")
    return counted


def query(spark: SparkSession, arm: str, folder: str, places: DataFrame) -> DataFrame:
    """The number of bytes of all files."""
    from pyspark.sql import functions as S

    if arm == "binaryFile":
        return spark.read.format("binaryFile").load(folder).agg(S.sum(S.length("content")))
    each = S.expr("length(read_bytes(place))") if arm == "read_bytes" else sizes(THREADS if "threads" in arm else 1)
    return places.agg(S.sum(each))


def run(arm: str, folder: str, base: str) -> None:
    """One arm: a pass to warm up, then timed ones. Prints JSON."""
    from pyspark.sql import SparkSession

    import flambeau

    names = sorted(file.name for file in Path(folder).iterdir())
    builder = SparkSession.builder.master(f"local[{CORES}]").config("spark.ui.enabled", "false")
    spark = flambeau.configure(builder.config("spark.ui.showConsoleProgress", "false")).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    places = spark.createDataFrame([(f"{base}/{name}",) for name in names], "place string").repartition(CORES).cache()
    places.count()
    (found,) = query(spark, arm, folder, places).collect()[0]
    rates: dict[str, list[float]] = {"files_per_s": [], "files_per_cpu_s": []}
    for _ in range(PASSES):
        started, cpu = time.monotonic(), harness.cpu_seconds()
        # A query of its own: Spark keeps what the tasks of the last one gave.
        query(spark, arm, folder, places).collect()
        rates["files_per_s"].append(len(names) / (time.monotonic() - started))
        rates["files_per_cpu_s"].append(len(names) / max(harness.cpu_seconds() - cpu, 1e-9))
    spark.stop()
    print(json.dumps({"bytes": found, **{key: [round(rate, 1) for rate in all_] for key, all_ in rates.items()}}))


def compare(times: int) -> None:
    """All arms, in turns."""
    import data

    import flambeau

    folder, about = data.provide("photos")
    bases = {"disk": folder.as_uri(), "http": f"http://127.0.0.1:{serve(folder)}"}
    result: dict[str, Any] = {"what": f"{about}; http answers after {DELAY_S} s", "machine": harness.describe()}
    for place, arms in ARMS.items():
        print(place, flush=True)
        starts = {
            arm: functools.partial(harness.run_arm, [sys.executable, __file__, "--arm", arm, folder, bases[place]])
            for arm in arms
        }
        joined = harness.in_turns(starts, times, "files")
        if len({arm["bytes"] for arm in joined}) != 1:
            sys.exit(f"bench: the arms read different bytes: {joined}")
        harness.print_arms(joined, "read_bytes", "files")
        result[place] = {"arms": joined, "faster": harness.times_faster(joined, "read_bytes")}
    print(harness.keep("reading", flambeau.__version__, result))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2, help="how often every arm has its turn (default: 2)")
    parser.add_argument("--arm", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.arm:
        run(*options.arm)
    else:
        compare(options.rounds)


if __name__ == "__main__":
    main()
