"""A speaker classifier on real audio: who is talking, in one second of a meeting.

    .venv/bin/python examples/speakers.py

What lives here: recordings of real meetings with speaker turns (the test data in the sources of pyannote.audio 4.0.7, MIT, fetched
with pip), cut into clips of one second. A linear head is trained over the speaker embeddings of Resemblyzer, which the executors compute
once. The accuracy is measured on every third stretch of three clips; no training clip comes from these.
"""

from __future__ import annotations

import argparse
import io
import struct
import sys
import tarfile
import wave
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "models")]

from pyspark.ml import Pipeline
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import StringIndexer
from pyspark.sql import SparkSession

import archives
import session
from flambeau.ml import TorchClassifier

LEAST_SECONDS = 12.0
"""Seconds of speech that are enough to distinguish a speaker."""
CLIP_SECONDS = 1.0
LEAST_ACCURACY = 0.6
"""The largest class alone would give about a quarter; people in these meetings talk at the same time."""


def samples(content: bytes) -> tuple[int, np.ndarray]:
    """Rate and mono samples of a WAV file of 32-bit floats."""
    at, rate = 12, 0
    while at + 8 <= len(content):
        name, size = content[at : at + 4], struct.unpack("<I", content[at + 4 : at + 8])[0]
        body = content[at + 8 : at + 8 + size]
        if name == b"fmt ":
            kind, channels, rate = struct.unpack("<HHI", body[:8])
            if (kind, channels) != (3, 1):
                raise ValueError(f"a WAV of kind {kind} with {channels} channels, not mono floats")
        elif name == b"data":
            return rate, np.frombuffer(body, dtype="<f4")
        at += 8 + size + size % 2
    raise ValueError("a WAV without data")


def clip(rate: int, part: np.ndarray) -> bytes:
    """A WAV of 16-bit samples."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(part, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def clips() -> list[tuple[int, bytearray, str, bool]]:
    """Number, sound, speaker, and whether it is held back."""
    turns: dict[str, list[tuple[str, float, float]]] = {}
    sounds: dict[str, bytes] = {}
    with tarfile.open(archives.fetch(archives.MEETINGS)) as packed:
        for member in packed.getmembers():
            name = Path(member.name)
            if "/tests/data/" not in member.name or name.suffix not in (".rttm", ".wav"):
                continue
            stream = packed.extractfile(member)
            content = stream.read() if stream else b""
            if name.suffix == ".wav":
                sounds[name.stem.replace("ñ", "n")] = content
                continue
            for fields in (line.split() for line in content.decode("utf-8").splitlines()):
                turns.setdefault(fields[7], []).append(
                    (fields[1].replace("ñ", "n"), float(fields[3]), float(fields[4]))
                )
    found: list[tuple[int, bytearray, str, bool]] = []
    for speaker, parts in sorted(turns.items()):
        if sum(seconds for _, _, seconds in parts) < LEAST_SECONDS:
            continue
        place = 0
        for file, start, seconds in parts:
            rate, sound = samples(sounds[file])
            length = int(CLIP_SECONDS * rate)
            for number in range(int(seconds / CLIP_SECONDS)):
                begin = int(start * rate) + number * length
                part = sound[begin : begin + length]
                if len(part) == length:
                    found.append((len(found), bytearray(clip(rate, part)), speaker, place // 3 % 3 == 2))
                place += 1
    return found


def train(spark: SparkSession, model: Path) -> dict[str, Any]:
    """Accuracy on the clips held back."""
    rows = (
        spark.createDataFrame(clips(), "id int, sound binary, speaker string, held boolean")
        .repartitionByRange(4, "id")
        .cache()
    )
    known, held = rows.where("NOT held"), rows.where("held")
    classifier = TorchClassifier(
        featuresCol="sound",
        modelName=model,
        learningRate=0.02,
        maxEpochs=40,
        batchSize=32,
        schedule="cosine",
        balance=True,
        seed=1,
    )
    indexer = StringIndexer(inputCol="speaker", outputCol="label", stringOrderType="alphabetAsc")
    fitted = Pipeline(stages=[indexer, classifier]).fit(known)
    judge = MulticlassClassificationEvaluator(metricName="accuracy")
    most = held.groupBy("speaker").count().agg({"count": "max"}).head(1)[0][0] / held.count()
    return {
        "speakers": rows.select("speaker").distinct().count(),
        "clips": known.count(),
        "held": held.count(),
        "accuracy": judge.evaluate(fitted.transform(held)),
        "majority": most,
    }


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 if the head is good enough."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.parse_args(arguments)
    model = session.MODELS / session.model("resemblyzer")
    return session.print_figures("speakers", lambda spark: train(spark, model), LEAST_ACCURACY)


if __name__ == "__main__":
    sys.exit(main())
