"""The same trainings in Python torch: run by tests/train/main.rs, writes reference.json and trainable packages.

The loop below is what a user would write, with the order of rows that rust/train/src/sampler.rs documents, implemented
here a second time. Usage: reference.py DIRECTORY
"""

import fnmatch
import json
import pathlib
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from trainable_packages import SoundNet, TextNet, save_dtypes, save_kind, save_net, tokenizer

torch.set_num_threads(1)
Spec = Mapping[str, Any]
"""The specification of a training, as the engine parses it."""
MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
ROWS, FEATURES, CLASSES, SHARDS = 203, 6, 3, 16


def mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def stream(words: Iterable[int]) -> Callable[[int], int]:
    key = 0
    for word in words:
        key = mix(((key + GOLDEN) & MASK) ^ mix((word + GOLDEN) & MASK))
    return lambda n: mix((key + (n + 1) * GOLDEN) & MASK)


def shuffled(items: Iterable[int], words: Iterable[int]) -> list[int]:
    at, items = stream(words), list(items)
    for i in range(len(items) - 1, 0, -1):
        j = (at(i) * (i + 1)) >> 64
        items[i], items[j] = items[j], items[i]
    return items


def batches(
    ids: Iterable[int], shard_of: Callable[[int], int], shards: int, seed: int, epoch: int, batch_rows: int
) -> list[list[int]]:
    """Ids of every batch of an epoch."""
    by_shard = [shuffled(sorted(i for i in ids if shard_of(i) == s), [seed, 1, epoch, s]) for s in range(shards)]
    sequence = [rows[turn] for turn in range(max(map(len, by_shard))) for rows in by_shard if turn < len(rows)]
    return [sequence[i : i + batch_rows] for i in range(0, len(sequence), batch_rows)]


def data() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    random = np.random.RandomState(5)
    x = random.randn(ROWS, FEATURES).astype(np.float32)
    classes = (x @ random.randn(FEATURES, CLASSES) + 0.3 * random.randn(ROWS, CLASSES)).argmax(1)
    values = (x @ random.randn(FEATURES) + 0.1 * random.randn(ROWS)).astype(np.float64)
    weights = random.choice([0.0, 0.5, 1.0, 2.5], ROWS)
    return x, classes, values, weights


X, Y, V, W = data()
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "sigmoid": nn.Sigmoid}


def head(spec: Spec) -> nn.Module:
    of = spec["program"]["head"]
    torch.manual_seed(spec["seed"])
    widths, layers = [of["inputs"], *of["hidden"], of["outputs"]], []
    for i, (a, b) in enumerate(pairwise(widths)):
        layers += ([ACTIVATIONS[of["activation"]]()] if i else []) + [nn.Linear(a, b)]
    return nn.Sequential(*layers)


def groups_of(spec: Spec, model: nn.Module) -> list[dict[str, Any]]:
    """The parameters of the model as the optimizer's groups."""

    def matches(pattern: str, name: str) -> bool:
        return fnmatch.fnmatchcase(name, pattern) or name.startswith(pattern + ".")

    program, groups = spec["program"], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            group: dict[str, Any] = {"params": [parameter]}
            for one in program.get("learning_rate_factors", []):
                if matches(one["parameters"], name):
                    group["lr"] = spec["optimizer"]["lr"] * one["factor"]
            if any(matches(pattern, name) for pattern in program.get("no_weight_decay", [])):
                group["weight_decay"] = 0.0
            groups.append(group)
    return groups


def optimizer_of(spec: Spec, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    o = dict(spec["optimizer"])
    name = o.pop("name")
    if "beta1" in o:
        o["betas"] = (o.pop("beta1"), o.pop("beta2"))
    return {
        "sgd": torch.optim.SGD,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
    }[name](groups, **o)


def scheduler_of(spec: Spec, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> tuple[LRScheduler, bool]:
    """A scheduler, and whether it steps by epoch."""
    s, steps = spec.get("schedule") or {"name": "constant"}, steps_per_epoch * spec["epochs"]
    warmup, lr = s.get("warmup_steps", 0), torch.optim.lr_scheduler
    if s["name"] == "step":
        return lr.StepLR(optimizer, s["step_epochs"], s["gamma"]), True
    if s["name"] == "plateau":
        apart = {"threshold": spec["validation"]["min_delta"], "threshold_mode": "abs"}
        return lr.ReduceLROnPlateau(optimizer, factor=s["gamma"], patience=s["step_epochs"] - 1, **apart), True
    if s["name"] == "one_cycle":
        return lr.OneCycleLR(optimizer, spec["optimizer"]["lr"], total_steps=steps, cycle_momentum=False), False
    shape: LRScheduler
    if s["name"] == "cosine":
        shape = lr.CosineAnnealingLR(optimizer, steps - warmup)
    elif s["name"] == "linear":
        shape = lr.LinearLR(optimizer, 1.0, 0.0, steps - warmup)
    else:
        shape = lr.ConstantLR(optimizer, 1.0)
    if warmup:
        rise = lr.LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1)
        shape = lr.SequentialLR(optimizer, [rise, shape], [warmup])
    return shape, False


def row_losses(
    spec: Spec, output: Tensor, target: Tensor, classes_weights: list[float] | None
) -> tuple[Tensor, Tensor]:
    """Loss of each row, and its divisor."""
    one = torch.ones(len(output))
    if spec["loss"] == "cross_entropy":
        weight = None if classes_weights is None else torch.tensor(classes_weights, dtype=torch.float32)
        losses = F.cross_entropy(
            output, target, weight=weight, reduction="none", label_smoothing=spec.get("label_smoothing", 0.0)
        )
        return losses, one if weight is None else weight[target]
    if spec["loss"] == "contrastive":
        rows, partners = (F.normalize(half) for half in output.chunk(2, dim=1))
        scores = rows @ partners.T / spec["temperature"]
        return F.cross_entropy(scores, torch.arange(len(output)), reduction="none"), one
    target = target.float().view_as(output)
    if spec["loss"] == "bce":
        losses = F.binary_cross_entropy_with_logits(output, target, reduction="none").mean(1)
        factor = (
            one if classes_weights is None else torch.tensor(classes_weights, dtype=torch.float32)[target[:, 0].long()]
        )
        return losses * factor, factor
    ways: dict[str, Callable[..., Tensor]] = {
        "mse": F.mse_loss,
        "mae": F.l1_loss,
        "huber": partial(F.huber_loss, delta=spec.get("huber_delta", 1.0)),
    }
    return ways[spec["loss"]](output, target, reduction="none").mean(1), one


def labels_of(spec: Spec) -> NDArray[Any]:
    return {"cross_entropy": Y, "bce": (Y == 1).astype(np.float64)}.get(spec["loss"], V)


def output_of(spec: Spec, model: nn.Module, x: Tensor) -> Tensor:
    """In f32, or with the products in bf16, by `precision`."""
    with torch.autocast("cpu", torch.bfloat16, enabled=spec.get("precision") == "bf16"):
        return model(x).float()


def train(
    spec: Spec, weighted: bool, model: nn.Module, x: Tensor, labels: NDArray[Any], shards: int = SHARDS
) -> list[float]:
    weights = torch.tensor(W if weighted else np.ones(ROWS), dtype=torch.float32)
    targets = torch.tensor(labels)
    count = -(-len(x) // spec["batch_rows"])
    optimizer = optimizer_of(spec, groups_of(spec, model))
    decay = spec.get("ema_decay")
    average = None if decay is None else AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    schedule, by_epoch = scheduler_of(spec, optimizer, count)
    losses = []
    for epoch in range(spec["epochs"]):
        total = divisor = 0.0
        for ids in batches(range(len(x)), lambda i: (7 * i) % shards, shards, spec["seed"], epoch, spec["batch_rows"]):
            rows, factor = row_losses(spec, output_of(spec, model, x[ids]), targets[ids], spec.get("class_weights"))
            w = weights[ids]
            loss = (rows * w).sum() / (w * factor).sum()
            optimizer.zero_grad()
            loss.backward()
            if spec.get("clip_norm"):
                nn.utils.clip_grad_norm_(model.parameters(), spec["clip_norm"])
            optimizer.step()
            if average is not None:
                average.update_parameters(model)
            if not by_epoch:
                schedule.step()
            total, divisor = total + float((rows * w).sum()), divisor + float((w * factor).sum())
        if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            schedule.step(total / divisor)
        elif by_epoch:
            schedule.step()
        losses.append(total / divisor)
    if average is not None:
        model.load_state_dict(average.module.state_dict())
    return losses


def case(name: str, weighted: bool = False, **changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "program": {
            "head": {"inputs": FEATURES, "outputs": CLASSES, "hidden": [8], "activation": "relu", "dropout": 0.0}
        },
        "inputs": ["x"],
        "loss": "cross_entropy",
        "optimizer": {"name": "adam", "lr": 0.01},
        "batch_rows": 32,
        "epochs": 3,
        "seed": 11,
    }
    head_changes = changes.pop("head", {})
    spec.update(changes)
    if spec["loss"] != "cross_entropy":
        head_changes = {"outputs": 1, **head_changes}
    spec["program"]["head"].update(head_changes)
    model = head(spec)
    first = [p.detach().flatten().tolist() for p in model.parameters()]
    losses = train(spec, weighted, model, torch.tensor(X), labels_of(spec))
    return {
        "name": name,
        "weighted": weighted,
        "spec": spec,
        "labels": labels_of(spec).astype(float).tolist(),
        "losses": losses,
        "first": first,
        "parameters": [p.detach().flatten().tolist() for p in model.parameters()],
    }


def cases() -> list[dict[str, Any]]:
    sgd = {"name": "sgd", "lr": 0.1}
    return [
        case("adam"),
        case(
            "adam, other betas and weight decay",
            optimizer={"name": "adam", "lr": 0.01, "beta1": 0.8, "beta2": 0.95, "eps": 1e-6, "weight_decay": 0.1},
        ),
        case("adamw", optimizer={"name": "adamw", "lr": 0.01, "weight_decay": 0.01}),
        case("sgd", optimizer=sgd),
        case("sgd with momentum", optimizer={**sgd, "momentum": 0.9, "weight_decay": 0.01}),
        case("sgd with nesterov", optimizer={**sgd, "momentum": 0.9, "nesterov": True}),
        case("rmsprop", optimizer={"name": "rmsprop", "lr": 0.003}),
        case("rmsprop with momentum", optimizer={"name": "rmsprop", "lr": 0.003, "alpha": 0.9, "momentum": 0.5}),
        case("step schedule", optimizer=sgd, schedule={"name": "step", "step_epochs": 1, "gamma": 0.5}),
        case("linear schedule", optimizer=sgd, schedule={"name": "linear"}),
        case("linear schedule after a warm-up", optimizer=sgd, schedule={"name": "linear", "warmup_steps": 5}),
        case(
            "plateau schedule",
            optimizer=sgd,
            schedule={"name": "plateau", "step_epochs": 2, "gamma": 0.5},
            validation={"metric": "loss", "min_delta": 0.2, "restore_best": True},
            epochs=12,
        ),
        case("cosine schedule", optimizer=sgd, schedule={"name": "cosine"}),
        case("cosine schedule after a warm-up", optimizer=sgd, schedule={"name": "cosine", "warmup_steps": 5}),
        case("one-cycle schedule", optimizer=sgd, schedule={"name": "one_cycle"}),
        case("constant after a warm-up", optimizer=sgd, schedule={"name": "constant", "warmup_steps": 4}),
        case("class weights", class_weights=[0.5, 1.0, 3.0]),
        case(
            "class weights, label smoothing and row weights",
            weighted=True,
            class_weights=[0.5, 1.0, 3.0],
            label_smoothing=0.1,
        ),
        case("row weights", weighted=True),
        case("clipping", optimizer=sgd, clip_norm=0.1),
        case("an average of the parameters", ema_decay=0.9),
        case("an average, row weights and clipping", weighted=True, optimizer=sgd, clip_norm=0.5, ema_decay=0.5),
        case("bce", loss="bce"),
        case("bce, class and row weights", weighted=True, loss="bce", class_weights=[1.0, 4.0]),
        case("mse", loss="mse"),
        case("mae", loss="mae"),
        case("huber", loss="huber", huber_delta=0.5),
        case("linear", head={"hidden": []}),
        case("two layers of tanh", head={"hidden": [8, 5], "activation": "tanh"}),
        case("gelu", head={"activation": "gelu"}),
        case("sigmoid", head={"activation": "sigmoid"}),
        case("one batch an epoch", batch_rows=500),
        case("batches of one", batch_rows=1, epochs=1),
    ]


def bf16_cases() -> list[dict[str, Any]]:
    return [
        case(f"bf16, {name}", precision="bf16", optimizer=optimizer)
        for name, optimizer in [("sgd", {"name": "sgd", "lr": 0.1}), ("adam", {"name": "adam", "lr": 0.01})]
    ]


class Pairs(nn.Module):
    """The outputs of both of each pair, one after the other."""

    def __init__(self, of: nn.Module) -> None:
        super().__init__()
        self.of = of

    def forward(self, pairs: Tensor) -> Tensor:
        return torch.cat([self.of(pairs[:, 0]), self.of(pairs[:, 1])], dim=1)


def pair_case(directory: pathlib.Path) -> dict[str, Any]:
    """The net on pairs of random pictures and the same pictures with noise."""
    net = save_net(directory, "pair_net", False, "tensor")
    spec = {
        "inputs": ["x"],
        "pair_inputs": ["pair"],
        "loss": "contrastive",
        "temperature": 0.1,
        # Larger steps enlarge what rounding makes different: outputs of two numbers have cosines near 1.
        "optimizer": {"name": "adam", "lr": 0.001},
        "program": {"package": "pair_net"},
        "batch_rows": 16,
        "epochs": 8,
        "seed": 4,
    }
    random = np.random.RandomState(6)
    x = random.randn(60, 3, 8, 8).astype(np.float32)
    pairs = np.stack([x, x + 0.3 * random.randn(60, 3, 8, 8).astype(np.float32)], axis=1)
    losses = train(spec, True, Pairs(net), torch.tensor(pairs), np.zeros(60))
    return {
        "spec": spec,
        "x": x.reshape(60, -1).tolist(),
        "pairs": pairs[:, 1].reshape(60, -1).tolist(),
        "losses": losses,
        "parameters": {k: p.detach().flatten().tolist() for k, p in net.named_parameters()},
    }


def net_case(directory: pathlib.Path, name: str, norm: bool, frozen: list[str], **changes: Any) -> dict[str, Any]:
    """The net on random pictures, these modules of it frozen. `changes`: of the program, and `optimizer`."""
    net = save_net(directory, name, norm, "tensor")
    for module in frozen:
        net.get_submodule(module).requires_grad_(False)
    spec = {
        "inputs": ["x"],
        "loss": "cross_entropy",
        "optimizer": changes.pop("optimizer", {"name": "adam", "lr": 0.01}),
        "program": {"package": name, "frozen": frozen, **changes},
        "batch_rows": 16,
        "epochs": 2,
        "seed": 4,
    }
    random = np.random.RandomState(6)
    x = random.randn(60, 3, 8, 8).astype(np.float32)
    labels = (x[:, 0].mean((1, 2)) > 0).astype(np.int64)
    losses = train(spec, False, net, torch.tensor(x), labels)
    return {
        "spec": spec,
        "x": x.reshape(60, -1).tolist(),
        "labels": labels.astype(float).tolist(),
        "losses": losses,
        "parameters": {k: p.detach().flatten().tolist() for k, p in net.named_parameters()},
    }


def main(directory: pathlib.Path) -> None:
    save_net(directory, "image_net", False, "image")
    save_kind(
        directory,
        "text_net",
        TextNet,
        'name = "text"\nkind = "text"\n[input.text]\nmax_length = 16\n',
        {"tokenizer.json": tokenizer()},
    )
    save_kind(directory, "sound_net", SoundNet, 'name = "clip"\nkind = "audio"\n[input.audio]\nsample_rate = 8000\n')
    save_dtypes(directory)
    result = {
        "x": X.tolist(),
        "weights": W.tolist(),
        "shards": SHARDS,
        "cases": cases(),
        "bf16_cases": bf16_cases(),
        "net": net_case(directory, "net", False, ["stem"]),
        "norm_net": net_case(directory, "norm_net", True, []),
        "pair_net": pair_case(directory),
        "grouped_net": net_case(
            directory,
            "grouped_net",
            False,
            [],
            optimizer={"name": "adamw", "lr": 0.01, "weight_decay": 0.1},
            learning_rate_factors=[{"parameters": "stem", "factor": 0.1}, {"parameters": "classifier", "factor": 3.0}],
            no_weight_decay=["*.bias"],
        ),
    }
    (directory / "reference.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
