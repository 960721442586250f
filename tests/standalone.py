"""A standalone cluster: a master and two workers, which may be machines of their own as far as files go."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from support import SPARK, background, environment, free_port, wait_until

WORKERS = (1, 2)
MACHINE = """set -e
disk=$1 own=$2; shift 2
mount --bind "$own" "$disk"
while [ "$1" != -- ]; do mount -t tmpfs tmpfs "$1"; shift; done
shift; exec "$@"
"""
"""Runs a command that sees its own folder at the place of the disk, and nothing in the folders before `--`."""


@contextlib.contextmanager
def standalone(folder: Path, machines: Sequence[Sequence[str | Path]] = ((), ())) -> Iterator[str]:
    """A standalone master and two workers of one core each, with an address each; gives the master's URL.

    Args:
        folder: for their logs.
        machines: for each worker what its command begins with.
    """
    port = free_port()
    env = environment(SPARK_HOME=str(SPARK), SPARK_WORKER_DIR=str(folder / "workers"))
    url = f"spark://127.0.0.1:{port}"
    deploy, launcher = "org.apache.spark.deploy", SPARK / "bin" / "spark-class"
    at = ["--webui-port", "0", "--host"]
    with contextlib.ExitStack() as servers:
        log = folder / "master.log"
        master: list[str | Path] = [launcher, f"{deploy}.master.Master", *at, "127.0.0.1", "--port", str(port)]
        servers.enter_context(background(master, folder, log, env))
        wait_until(lambda: "New state: ALIVE" in log.read_text(errors="replace"), "the master is up")
        for number, machine in zip(WORKERS, machines):
            host = f"127.0.0.{number}"
            worker: list[str | Path] = [
                launcher,
                f"{deploy}.worker.Worker",
                *at,
                host,
                "--cores",
                "1",
                "--memory",
                "1g",
                url,
            ]
            servers.enter_context(background([*machine, *worker], folder, folder / f"worker-{number}.log", env))
        wait_until(lambda: log.read_text(errors="replace").count("Registering worker") == 2, "the workers are up")
        yield url


def sharing_nothing(disk: Path, hidden: Sequence[Path]) -> list[list[str | Path]]:
    """For `standalone`: two machines. Each has a folder of its own at `disk`, and sees nothing in the `hidden` folders.

    A machine's folder, seen from outside, is `disk` with its number at the end of the name; `number` in it has that too.
    """
    disk.mkdir()
    machines: list[list[str | Path]] = []
    for number in WORKERS:
        own = disk.with_name(f"{disk.name}-{number}")
        (own / "tmp").mkdir(parents=True)
        (own / "number").write_text(str(number))
        alone: list[str | Path] = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MACHINE, "machine"]
        machines.append([*alone, disk, own, *hidden, "--"])
    return machines
