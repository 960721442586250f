"""`.venv/bin/python bench/train/all_reduce.py`: a sum of 100 MB over two ranks, ours and c10d alone; called by workers.py.

Two processes on this machine's loopback, sums of f32 in place; all ranks wait for each other before each. Ours is the
function that training calls (rust/train's `Ranks::sum`: buckets of 25 MB, waits that look for a cancellation); the
other is `torch.distributed.all_reduce` over gloo, of the whole tensor. Every size is summed several times in a run,
and the arms take turns. A sum of 4 bytes is the latency.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "python")]
import harness

SIZES = [4, 100_000_000]
"""Bytes of one sum."""
WORLD = 2
LIMIT = 1.3
"""The allowed ratio of our time to c10d's for the largest size."""
EXAMPLE = ROOT / "target" / "release" / "examples" / "all_reduce"


def build() -> None:
    """Our side, a Rust example."""
    command = ["cargo", "build", "--release", "--locked", "-p", "flambeau-train", "--example", "all_reduce"]
    subprocess.run(command, cwd=ROOT, check=True)


def python_rank(rank: int, port: int, times: int, sizes: list[int]) -> None:
    """One process of c10d alone; rank 0 prints what the Rust example prints."""
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=WORLD)
    seconds: dict[int, list[float]] = {}
    one = torch.ones(1)
    for size in sizes:
        tensor = torch.ones(size // 4)
        for turn in range(times + 1):
            dist.all_reduce(one)
            started = time.perf_counter()
            dist.all_reduce(tensor)
            if turn > 0:
                seconds.setdefault(size, []).append(time.perf_counter() - started)
        assert tensor[0].item() == float(WORLD) ** (times + 1)
    dist.all_reduce(one)
    if rank == 0:
        print(json.dumps(seconds), flush=True)
    dist.destroy_process_group()


def started(ours: bool, rank: int, place: str, times: int, sizes: list[int]) -> subprocess.Popen[str]:
    """One rank; `place` is where they meet: a folder, or a port of c10d."""
    numbers = [str(number) for number in (times, *sizes)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    if ours:
        env["LD_LIBRARY_PATH"] = str(ROOT / ".libtorch" / "lib")
        command = [str(EXAMPLE), place, str(rank), str(WORLD), *numbers]
    else:
        command = [sys.executable, __file__, "--rank", str(rank), place, *numbers]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def free_port() -> int:
    """A free port."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def run(ours: bool, times: int, sizes: list[int]) -> dict[int, list[float]]:
    """Both ranks to their end; bytes -> seconds of each sum."""
    with tempfile.TemporaryDirectory() as folder:
        place = folder if ours else str(free_port())
        ranks = [started(ours, rank, place, times, sizes) for rank in range(WORLD)]
        printed = [process.communicate(timeout=300) for process in ranks]
    for process, (_, errors) in zip(ranks, printed):
        if process.returncode != 0:
            sys.exit(f"bench: a rank failed\n{errors[-4000:]}")
    return {int(size): seconds for size, seconds in json.loads(printed[0][0].splitlines()[-1]).items()}


def measure(rounds: int, times: int, sizes: list[int]) -> dict[str, object]:
    """Both arms in turns; the median and the best second of each size."""
    build()
    arms: dict[str, dict[int, list[float]]] = {"flambeau": {}, "c10d": {}}
    for _ in range(rounds):
        for name, found in arms.items():
            for size, seconds in run(name == "flambeau", times, sizes).items():
                found.setdefault(size, []).extend(seconds)
    largest = max(sizes)
    ours, theirs = (statistics.median(arms[name][largest]) for name in ("flambeau", "c10d"))
    for name, found in arms.items():
        for size, seconds in found.items():
            print(
                f"  {name:9} {size:>11} bytes: median {statistics.median(seconds) * 1e3:9.3f} ms, best {min(seconds) * 1e3:9.3f} ms"
            )
    times_longer = ours / theirs
    print(
        f"  {times_longer:.2f}x the time of c10d, at most {LIMIT}x wanted{'' if times_longer <= LIMIT else ': MISSED'}"
    )
    return {
        "ranks": WORLD,
        "arms": {
            name: {
                str(size): {"median_s": statistics.median(seconds), "best_s": min(seconds), "sums": len(seconds)}
                for size, seconds in found.items()
            }
            for name, found in arms.items()
        },
        "times_c10d": round(times_longer, 3),
        "limit": LIMIT,
    }


def main() -> None:
    if sys.argv[1:2] == ["--rank"]:
        rank, port, times, *sizes = (int(number) for number in sys.argv[2:])
        return python_rank(rank, port, times, sizes)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="how often both arms have their turn (default: 2)")
    parser.add_argument("--tiny", action="store_true", help="only to see whether it runs: 1 MB, nothing is kept")
    given = parser.parse_args()
    if given.tiny:
        measure(1, 2, [4, 1_000_000])
        return None
    from flambeau.version import __version__

    about = harness.describe()
    print(harness.keep("train_all_reduce", __version__, {"machine": about, **measure(given.rounds, 10, SIZES)}))
    return None


if __name__ == "__main__":
    main()
