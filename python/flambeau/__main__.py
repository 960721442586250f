"""`python -m flambeau doctor`: what is wrong with a setup. `python -m flambeau.models` and `python -m flambeau.export` are others.

The checks of this machine come first. If they are good, a session starts and its executors are checked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .doctor import MODEL, check_session, doctor
from .session import configure


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the report; returns 0, or 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m flambeau")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("doctor", help="checks Java, Spark, jars and every executor, and says what is wrong")
    command.add_argument("--master", default="local[*]", help="where the session runs (default: %(default)s)")
    command.add_argument("--conf", metavar="KEY=VALUE", action="append", default=[], help="a setting of the session")
    command.add_argument(
        "--model", default=MODEL, help="a model of one image, for the forward pass (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    report = doctor()
    if report.ok:
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master(options.master).appName("flambeau doctor")
        for setting in options.conf:
            key, _, value = setting.partition("=")
            builder.config(key, value)
        session = configure(builder.config("spark.log.level", "ERROR")).getOrCreate()
        check_session(report, session, options.model)
        session.stop()
    print(report)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
