"""The loops of train_alone.rs in Python torch, as users write them: TensorDataset, DataLoader, one thread.

Usage: train_alone.py head|mlp BATCH EPOCHS; train_alone.py net FOLDER BATCH EPOCHS (also writes the net's package there).
"""

import hashlib
import pathlib
import sys
import time
from collections.abc import Sized

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

Loader = DataLoader[tuple[Tensor, ...]]

torch.set_num_threads(1)


def values(count: int) -> Tensor:
    return torch.from_numpy(((np.arange(count, dtype=np.uint64) * 2654435761 % 2**32) / 2**32 - 0.5).astype(np.float32))


def train(model: nn.Module, loader: Loader, optimizer: Optimizer, epochs: int) -> list[tuple[float, float]]:
    """(mean loss, rows per second) of each epoch. bench/train/loop.py also runs this one in several processes."""
    sampler = loader.sampler
    assert isinstance(sampler, Sized)
    loss_of, results, rows = nn.CrossEntropyLoss(), [], len(sampler)
    for epoch in range(epochs):
        if isinstance(sampler, DistributedSampler):
            sampler.set_epoch(epoch)
        started, total = time.perf_counter(), 0.0
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = loss_of(model(xb), yb)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(yb)
        results.append((total / rows, rows / (time.perf_counter() - started)))
    return results


def train_by_index(
    model: nn.Module, x: Tensor, y: Tensor, optimizer: Optimizer, batch: int, epochs: int
) -> list[tuple[float, float]]:
    """Without a DataLoader: the fastest loop over tensors in memory."""
    loss_of, results = nn.CrossEntropyLoss(), []
    for _ in range(epochs):
        started, total = time.perf_counter(), 0.0
        for ids in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss = loss_of(model(x[ids]), y[ids])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(ids)
        results.append((total / len(x), len(x) / (time.perf_counter() - started)))
    return results


def block(a: int, b: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(a, a, 3, stride, 1, groups=a, bias=False),
        nn.BatchNorm2d(a),
        nn.ReLU(),
        nn.Conv2d(a, b, 1, bias=False),
        nn.BatchNorm2d(b),
        nn.ReLU(),
    )


def net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        block(16, 32, 1),
        block(32, 64, 2),
        block(64, 64, 1),
        block(64, 128, 2),
        block(128, 128, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(128, 10),
    )


def package(folder: pathlib.Path, model: nn.Module) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    torch.jit.script(model).save(str(folder / "model.pt"))
    sha256 = hashlib.sha256((folder / "model.pt").read_bytes()).hexdigest()
    (folder / "model.toml").write_text(
        'format = 1\nname = "net"\nlicense = "MIT"\ntrainable = true\n[[input]]\nname = "x"\nkind = "tensor"\nshape = [3, 64, 64]\n'
        '[[output]]\nname = "logits"\nrole = "scores"\nshape = [10]\n'
        f'[[variant]]\nfile = "model.pt"\nengine = "torchscript"\nprecision = "f32"\nsha256 = "{sha256}"\n'
    )


def shuffled(x: Tensor, y: Tensor, batch: int) -> Loader:
    return DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True)


def head(hidden: bool) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(1280, 64), nn.ReLU(), nn.Linear(64, 5)) if hidden else nn.Linear(1280, 5)


def pictures(rows: int) -> tuple[Tensor, Tensor]:
    return values(rows * 3 * 64 * 64).view(rows, 3, 64, 64), torch.arange(rows) % 10


def features(rows: int) -> tuple[Tensor, Tensor]:
    return values(rows * 1280).view(rows, 1280), torch.arange(rows) % 5


def main() -> None:
    kind = sys.argv[1]
    batch, epochs = int(sys.argv[-2]), int(sys.argv[-1])
    if kind == "net":
        model = net()
        package(pathlib.Path(sys.argv[2]), model)
        x, y = pictures(512)
        print(
            "DataLoader",
            train(model, shuffled(x, y, batch), torch.optim.SGD(model.parameters(), 0.01, momentum=0.9), epochs),
        )
        model = net().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's types
        x = x.to(memory_format=torch.channels_last)
        print(
            "channels last",
            train_by_index(model, x, y, torch.optim.SGD(model.parameters(), 0.01, momentum=0.9), batch, epochs),
        )
        return
    x, y = features(20000)
    model = head(kind == "mlp")
    print("DataLoader", train(model, shuffled(x, y, batch), torch.optim.Adam(model.parameters(), 0.001), epochs))
    model = head(kind == "mlp")
    print("by index", train_by_index(model, x, y, torch.optim.Adam(model.parameters(), 0.001), batch, epochs))


if __name__ == "__main__":
    main()
