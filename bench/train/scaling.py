"""`.venv/bin/python bench/train/scaling.py`: how training would scale to 512 workers, computed from the results of workers.py.

Each worker keeps the rows of its own step, so the batch grows with the workers (weak scaling). A step of n workers takes

    T(n) = compute + overhead + buckets * 2 (n - 1) * latency + 2 (n - 1) / n * bytes / bandwidth

the cost of a ring all-reduce (R. Thakur, R. Rabenseifner, W. Gropp: Optimization of Collective Communication Operations in MPICH,
Int. J. of High Performance Computing Applications 19(1), 2005; that the bandwidth term is the least possible: P. Patarasuk, X. Yuan:
Bandwidth optimal all-reduce algorithms for clusters of workstations, J. of Parallel and Distributed Computing 69(2), 2009).
Efficiency is compute / T(n). In the formula, as in our steps, the sum does not overlap with the backward pass.

Measured: `compute`, a step of our fit with one worker. `latency` and `bandwidth`: sums of 4 bytes and of 100 MB over
two ranks on the loopback, including the time for adding the numbers. `overhead`: the time of a step with two workers
beyond the formula. Assumed: a network has the bandwidth of its link, but no more than the loopback, and a latency of
50 microseconds, but no less than the loopback. For ResNet-50 the step is timed here in Python torch, 8 rows of 224 x
224, one thread, and scaled to 32 rows; its overhead is that of the small net. Stragglers, other traffic and the dataset
are not in it: read the result as the best case.

Reads bench/results/<version>/train_workers.json and train_all_reduce.json; writes train_scaling.json and train_scaling.png.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "python")]
import loop

import harness
from flambeau.version import __version__

WORKERS = [2**power for power in range(10)]
BUCKET_BYTES = 25 * 1024 * 1024
"""Of one sum: BUCKET_ELEMENTS in rust/train/src/process_group.rs."""
NETWORK_LATENCY_S = 50e-6
RESNET_ROWS, RESNET_TIMED_ROWS = 32, 8


@dataclass(frozen=True)
class Link:
    """What joins the workers."""

    name: str
    latency_s: float
    bytes_per_s: float


@dataclass(frozen=True)
class Program:
    """What is trained: bytes of its gradients, seconds of a step alone, rows of it, and seconds beyond the formula."""

    name: str
    gradient_bytes: int
    compute_s: float
    rows: int
    overhead_s: float
    measured: str


def sum_seconds(n: int, size: int, link: Link) -> float:
    """The ring's formula."""
    if n == 1:
        return 0.0
    hops = math.ceil(size / BUCKET_BYTES) * 2 * (n - 1)
    return hops * link.latency_s + 2 * (n - 1) / n * size / link.bytes_per_s


def efficiency(n: int, program: Program, link: Link) -> float:
    """Part of n times one worker's rate."""
    beyond = 0.0 if n == 1 else program.overhead_s
    return program.compute_s / (program.compute_s + beyond + sum_seconds(n, program.gradient_bytes, link))


def links(sums: dict[str, Any]) -> list[Link]:
    """The loopback as measured (with two ranks the formula is 2 latencies and one passage of all bytes), and two networks."""
    ours = {int(size): times["median_s"] for size, times in sums["arms"]["flambeau"].items()}
    smallest, largest = min(ours), max(ours)
    latency = ours[smallest] / 2
    hops = math.ceil(largest / BUCKET_BYTES) * 2
    through = ours[largest] - hops * latency
    bandwidth = largest / (through if through > 0 else ours[largest])
    network = max(latency, NETWORK_LATENCY_S)
    wires = [Link(f"{gbit} Gbit/s", network, min(gbit * 1e9 / 8, bandwidth)) for gbit in (10, 25)]
    return [Link("loopback", latency, bandwidth), *wires]


def gradient_bytes(model: Any) -> int:
    """Of f32 gradients."""
    return 4 * sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def ours(kind: str, name: str, training: dict[str, Any], loopback: Link) -> Program:
    """A training of workers.py."""
    batch = int(training["batch"])
    one, two = (batch / training["arms"][f"flambeau x{n}"]["steady_samples_per_s"] for n in (1, 2))
    size = gradient_bytes(loop.fresh(kind))
    # Two workers have half of the batch each.
    overhead = max(0.0, two - one / 2 - sum_seconds(2, size, loopback))
    return Program(name, size, one, batch, overhead, "our fit with one worker")


def resnet(overhead_s: float) -> Program:
    """See the module."""
    import resnet50
    import torch

    torch.set_num_threads(1)
    model = resnet50.resnet50()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    x, y = torch.rand(RESNET_TIMED_ROWS, 3, 224, 224), torch.arange(RESNET_TIMED_ROWS)
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    step = statistics.median(seconds[1:]) * RESNET_ROWS / RESNET_TIMED_ROWS
    measured = f"Python torch, {RESNET_TIMED_ROWS} rows, scaled"
    return Program("ResNet-50", gradient_bytes(model), step, RESNET_ROWS, overhead_s, measured)


def plot(programs: list[Program], all_links: list[Link], path: Path) -> None:
    """Efficiency by workers, a panel a program."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    panels = figure.subplots(1, len(programs), sharey=True)
    for panel, program in zip(panels, programs):
        for link in all_links:
            panel.plot(
                WORKERS, [efficiency(n, program, link) for n in WORKERS], marker="o", markersize=3, label=link.name
            )
        panel.set_xscale("log", base=2)
        panel.set_xticks(WORKERS, [str(n) for n in WORKERS])
        panel.set(title=f"{program.name}, {program.gradient_bytes / 1e6:.2f} MB", xlabel="workers", ylim=(0, 1.05))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("efficiency, on paper")
    panels[-1].legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    folder = harness.RESULTS / __version__
    found = [folder / f"{name}.json" for name in ("train_workers", "train_all_reduce")]
    for path in found:
        if not path.exists():
            sys.exit(f"bench: {path} is not there: run bench/train/workers.py first")
    trainings, sums = (json.loads(path.read_text(encoding="utf-8")) for path in found)
    all_links = links(sums)
    programs = [
        ours("head", "linear head", trainings["trainings"]["head"], all_links[0]),
        ours("net", "convolutional net", trainings["trainings"]["net"], all_links[0]),
    ]
    programs.append(resnet(programs[1].overhead_s))
    for link in all_links:
        print(f"{link.name}: {link.latency_s * 1e6:.0f} us, {link.bytes_per_s / 1e9:.2f} GB/s")
    table = []
    for program in programs:
        print(
            f"\n{program.name}: {program.gradient_bytes} bytes, a step of {program.rows} rows takes {program.compute_s * 1e3:.2f} ms "
            f"({program.measured}), overhead {program.overhead_s * 1e3:.2f} ms"
        )
        print(f"  {'workers':>7}" + "".join(f"{link.name:>12}" for link in all_links))
        for n in WORKERS:
            row = {link.name: round(efficiency(n, program, link), 4) for link in all_links}
            print(f"  {n:>7}" + "".join(f"{row[link.name]:>12.1%}" for link in all_links))
            table.append({"program": program.name, "workers": n, "efficiency": row})
    picture = folder / "train_scaling.png"
    plot(programs, all_links, picture)
    kept: dict[str, object] = {
        "measured_on": [trainings["machine"], sums["machine"]],
        "links": [asdict(link) for link in all_links],
        "programs": [asdict(program) for program in programs],
        "table": table,
    }
    print(f"\n{harness.keep('train_scaling', __version__, kept)}\n{picture}")


if __name__ == "__main__":
    main()
