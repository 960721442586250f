"""The trainings that all arms of workers.py run, and their loop in Python torch: alone, or in several processes.

What is trained, and over which numbers, is that of rust/train/examples/train_alone.py. `alone` is one process.
`member` is one process of a gloo group with DistributedDataParallel. `arm.py` itself starts it, or TorchDistributor,
which pickles the function by its name. The rows of a step are the same in all: a process takes its share of the batch.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "rust" / "train" / "examples"))
import train_alone


@dataclass(frozen=True)
class Training:
    """Module, rows of a step over all workers, optimizer, and shape and classes of the rows."""

    module: str
    batch: int
    optimizer: dict[str, Any]
    shape: tuple[int, ...]
    classes: int


NET: tuple[Any, ...] = ({"optimizer": "sgd", "learningRate": 0.01, "momentum": 0.9}, (3, 64, 64), 10)
TRAININGS = {
    "net": Training("net", 32, *NET),
    "net_128": Training("net", 128, *NET),
    "head": Training("head", 64, {"optimizer": "adam", "learningRate": 0.001}, (1280,), 5),
}
"""A small convolutional net over pictures, in steps of 32 and of 128 rows, and a linear layer over features."""


def rows_of(kind: str, rows: int) -> tuple[Any, Any]:
    """Values and labels."""
    return train_alone.pictures(rows) if TRAININGS[kind].module == "net" else train_alone.features(rows)


def fresh(kind: str) -> Any:
    """The module with its first parameters."""
    return train_alone.net() if TRAININGS[kind].module == "net" else train_alone.head(False)


def optimizer_of(kind: str, model: Any) -> Any:
    """As `TRAININGS` says."""
    import torch

    given = TRAININGS[kind].optimizer
    if given["optimizer"] == "sgd":
        return torch.optim.SGD(model.parameters(), given["learningRate"], momentum=given["momentum"])
    return torch.optim.Adam(model.parameters(), given["learningRate"])


def loss_before(kind: str, rows: int) -> float:
    """Loss of the first parameters over all rows as one batch: it does not depend on an order."""
    import torch

    x, y = rows_of(kind, rows)
    with torch.no_grad():
        return float(torch.nn.functional.cross_entropy(fresh(kind)(x), y))


def alone(kind: str, rows: int, epochs: int, by_index: bool) -> dict[str, Any]:
    """One process; `by_index`: the quickest loop over tensors in memory, in channels last for the net."""
    import torch

    started = time.perf_counter()
    (x, y), model, batch = rows_of(kind, rows), fresh(kind), TRAININGS[kind].batch
    if not by_index:
        found = train_alone.train(model, train_alone.shuffled(x, y, batch), optimizer_of(kind, model), epochs)
    else:
        if TRAININGS[kind].module == "net":
            model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
        found = train_alone.train_by_index(model, x, y, optimizer_of(kind, model), batch, epochs)
    return summed_up(found, time.perf_counter() - started)


def member(kind: str, rows: int, epochs: int) -> dict[str, Any]:
    """One process of a group, found by RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT. Every process returns the group's numbers."""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

    torch.set_num_threads(1)
    started = time.perf_counter()
    dist.init_process_group("gloo")
    try:
        data = TensorDataset(*rows_of(kind, rows))
        model = DistributedDataParallel(fresh(kind))
        share = TRAININGS[kind].batch // dist.get_world_size()
        loader = DataLoader(data, batch_size=share, sampler=DistributedSampler(data, shuffle=True))
        own = train_alone.train(model, loader, optimizer_of(kind, model), epochs)
        # The group's loss is the mean of its members' (which have equally many rows), its rate the sum of theirs.
        group = torch.tensor(own, dtype=torch.float64)
        dist.all_reduce(group)
        found = [(loss / dist.get_world_size(), rate) for loss, rate in group.tolist()]
        result = summed_up(found, time.perf_counter() - started)
        # c10d aborts now and then where a rank leaves while DDP's own objects, or another rank, still use the group.
        del model
        dist.barrier()
        return result
    finally:
        dist.destroy_process_group()


def spawned(rank: int, world: int, port: int, kind: str, rows: int, epochs: int, out: str) -> None:
    """`member` as process `rank` of those that `torch.multiprocessing.spawn` starts; rank 0 writes its result to `out`."""
    import json

    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    found = member(kind, rows, epochs)
    if rank == 0:
        Path(out).write_text(json.dumps(found), encoding="utf-8")
    os._exit(0)  # without the destructors of c10d's threads, which may abort


def summed_up(epochs: list[tuple[float, float]], seconds: float) -> dict[str, Any]:
    """The output of every arm: losses and samples per second of the epochs, and seconds of the whole, data included."""
    return {
        "losses": [round(loss, 5) for loss, _ in epochs],
        "samples_per_s": [round(rate, 1) for _, rate in epochs],
        "fit_s": round(seconds, 2),
    }
