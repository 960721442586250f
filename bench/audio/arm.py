"""One arm of the audio benchmark in a process of its own: `arm.py ARM MODEL CLIPS OUT`.

The arm `onnxruntime` is for Resemblyzer: spectra and windows by NumPy, the LSTM by ONNX Runtime on one thread, 64 windows at once.

Models: `resemblyzer` (speaker embedding) and `silero_vad` (probability of speech). Arms: `flambeau`; `flambeau-bf16`:
the same with the package's bf16 variant. `predict_batch_udf`: the recipe's eager network over clips padded to the
longest of a batch. `published`: predict_batch_udf with the model's own Python package, which takes one clip at a time.
The Python arms read clips with soundfile and, at another rate, resample with librosa; torch has one thread per worker.
All read the same cached rows in the same `local[2]`, in f32 by default, and end in Spark's `noop` sink. Prints one
JSON line: clips/s of every timed pass; writes all results to OUT, in the pass that warms up.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "bench")]
import harness

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

PASSES = 1
BATCH = 16
PARTITIONS = 8
RATE = 16_000


def read(content: bytes) -> np.ndarray:
    """Mono f32 at 16 kHz."""
    import io

    import soundfile

    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate != RATE:
        import librosa

        mono = librosa.resample(mono, orig_sr=rate, target_sr=RATE)
    return mono


def same_network(name: str) -> Callable[[list[np.ndarray]], np.ndarray]:
    """The recipe's network in eager PyTorch: clips to `[n, features]`.

    `nn.LSTM` gets the windows of the padded batch in one call (at most 256), as is usual. The recipe's smaller passes
    are Flambeau's own choice; README.md has the speed of this arm with them.
    """
    import torch

    import sources

    network = sources.model(name).load_network()
    if name == "resemblyzer":
        network.windows_at_once = 256

    def of_batch(clips: list[np.ndarray]) -> np.ndarray:
        lengths = torch.tensor([len(clip) for clip in clips])
        samples = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(clip) for clip in clips], batch_first=True)
        with torch.inference_mode():
            found = network(samples, lengths)
        return (found[0] if isinstance(found, tuple) else found).numpy()

    return of_batch


def published(name: str) -> Callable[[list[np.ndarray]], np.ndarray]:
    """The model's own package, a clip at a time, as in its documentation (without Resemblyzer's trimming of silence)."""
    import make_audio_reference
    import sources

    if name == "resemblyzer":
        with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as folder:  # of this worker alone
            embed = make_audio_reference.speaker_encoder(Path(folder))
        return lambda clips: np.stack([embed(clip) for clip in clips])
    program = sources.model(name).load_published()
    return lambda clips: np.array(
        [[np.mean(make_audio_reference.vad_windows(program, clip))] for clip in clips], np.float32
    )


def with_onnxruntime() -> Callable[[list[np.ndarray]], np.ndarray]:
    """Resemblyzer as a careful user might write it: like the recipe, but in NumPy except for the LSTM."""
    import runtimes
    import sources

    recipe_of_it = sources.model("resemblyzer")
    filters = recipe_of_it.mel_filters().numpy()
    taper = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)).astype(np.float32)
    encode = runtimes.load("onnxruntime", "resemblyzer_windows")

    def windows_of(clip: np.ndarray) -> np.ndarray:
        power = float(np.square(clip, dtype=np.float64).mean())
        gain = max(1.0, 10.0 ** (-30.0 / 20.0) / power**0.5) if power > 0 else 1.0
        frames = (len(clip) + 160) // 160
        starts = max(1, frames - 160 + 77 + 1)
        count = (starts + 76) // 77
        if count > 1 and len(clip) - (count - 1) * 77 * 160 < 0.75 * 160 * 160:
            count -= 1
        longest = max(len(clip), ((count - 1) * 77 + 160) * 160)
        padded = np.zeros(longest + 400, np.float32)
        padded[200 : 200 + len(clip)] = clip * np.float32(gain)
        cut = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160]
        spectra = np.fft.rfft(cut * taper)
        mels = (np.square(spectra.real) + np.square(spectra.imag)).astype(np.float32) @ filters.T
        return np.stack([mels[first : first + 160] for first in range(0, count * 77, 77)])

    def of_batch(clips: list[np.ndarray]) -> np.ndarray:
        own = [windows_of(clip) for clip in clips]
        all_of_them = np.concatenate(own)
        found = np.concatenate([encode(all_of_them[first : first + 64]) for first in range(0, len(all_of_them), 64)])
        ends = np.cumsum([len(windows) for windows in own])
        sums = np.stack([part.sum(0) for part in np.split(found, ends[:-1])])
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)

    return of_batch


def python_column(arm: str, name: str) -> Column:
    """predict_batch_udf, loaded once a worker."""
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import ArrayType, FloatType

    folders = [str(ROOT / part) for part in ("bench/audio", "bench", "models", "tests/parity", "python")]

    def make() -> Callable[..., np.ndarray]:
        sys.path[:0] = folders
        import torch

        import arm as here

        torch.set_num_threads(1)
        if arm == "onnxruntime":
            of_batch = here.with_onnxruntime()
        else:
            of_batch = here.published(name) if arm == "published" else here.same_network(name)
        return lambda contents: of_batch([here.read(bytes(content)) for content in contents])

    return predict_batch_udf(make, return_type=ArrayType(FloatType()), batch_size=BATCH)("content")


def column(arm: str, name: str) -> Column:
    """`array<float>` of every clip."""
    if not arm.startswith("flambeau"):
        return python_column(arm, name)
    from pyspark.sql import functions as S

    from flambeau import functions as F

    if name == "silero_vad":
        return S.array(F.classify("content", name, 1)[0]["probability"])
    return F.featurize("content", name)


def session(arm: str) -> SparkSession:
    """`local[2]`; Flambeau's jars only if they are measured."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName(f"bench-{arm}").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "3g").config("spark.sql.shuffle.partitions", "2")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    if arm.startswith("flambeau"):
        import flambeau

        builder = builder.config("spark.flambeau.precision", "bf16" if arm.endswith("bf16") else "f32")
        builder = flambeau.configure(builder.config("spark.flambeau.models.path", str(ROOT / "build" / "bench-models")))
    return builder.getOrCreate()


def main() -> None:
    arm, name, clips, out = sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4])
    spark = session(arm)
    spark.sparkContext.setLogLevel("ERROR")
    table = spark.read.format("binaryFile").load(clips).select("path", "content").repartition(PARTITIONS).cache()
    rows = table.count()
    result = table.select("path", column(arm, name).alias("features"))
    collected = result.toPandas().sort_values("path")
    np.save(out, np.stack(collected["features"].tolist()).astype(np.float32))
    rates, busy = [], []
    for _ in range(PASSES):
        started, used = time.perf_counter(), harness.cpu_seconds()
        result.write.format("noop").mode("overwrite").save()
        rates.append(round(rows / (time.perf_counter() - started), 2))
        busy.append(round(rows / (harness.cpu_seconds() - used), 2))
    print(json.dumps({"arm": arm, "model": name, "rows": rows, "clips_per_s": rates, "clips_per_cpu_s": busy}))
    spark.stop()


if __name__ == "__main__":
    main()
