"""Structured streaming: photos arrive in a folder and are classified; a bad file is NULL under `try_classify`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import support
from flambeau import functions as F
from support import MODEL, PHOTOS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMA = "path string, modificationTime timestamp, length long, content binary"


def test_a_stream_of_photos_is_classified_as_they_arrive(
    spark: SparkSession, photos: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    arriving = tmp_path / "arriving"
    arriving.mkdir()
    shutil.copy(PHOTOS / "chelsea.png", arriving)
    stream = spark.readStream.format("binaryFile").schema(SCHEMA).load(arriving.as_uri())
    labeled = stream.selectExpr("regexp_extract(path, '[^/]+$', 0) AS file", "content").select(
        "file", F.try_classify("content", MODEL, 1).alias("labels")
    )
    query = (
        labeled.writeStream.format("memory")
        .queryName("e2e_stream")
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .start()
    )
    try:
        query.processAllAvailable()
        assert {row.file for row in spark.table("e2e_stream").collect()} == {"chelsea.png"}
        shutil.copy(PHOTOS / "lion.jpg", arriving)
        (arriving / "note.jpg").write_text("no image at all\n")
        query.processAllAvailable()
        rows = {row.file: row.labels for row in spark.table("e2e_stream").collect()}
    finally:
        query.stop()
        spark.catalog.dropTempView("e2e_stream")
    assert rows["chelsea.png"][0].label in photos["chelsea.png"]
    assert rows["lion.jpg"][0].label in photos["lion.jpg"]
    assert rows["note.jpg"] is None and len(rows) == 3


def test_many_micro_batches_load_one_model_and_leave_nothing(
    spark: SparkSession, photos: dict[str, tuple[str, ...]], tmp_path: Path
) -> None:
    stats = support.jvm(spark).io.flambeau.bridge.NativeStats
    arriving = tmp_path / "arriving"
    arriving.mkdir()
    for photo in sorted(photos)[:6]:
        shutil.copy(PHOTOS / photo, arriving)
    source = spark.readStream.format("binaryFile").schema(SCHEMA).option("maxFilesPerTrigger", 1)
    features = source.load(arriving.as_uri()).select(F.featurize("content", MODEL).alias("f"))
    query = features.writeStream.format("parquet").option("checkpointLocation", str(tmp_path / "checkpoint"))
    loads, in_memory = int(stats.modelLoads()), int(stats.modelsInMemory())
    stream = query.trigger(availableNow=True).start(str(tmp_path / "out"))
    stream.awaitTermination()
    assert sum(progress["numInputRows"] > 0 for progress in stream.recentProgress) == 6
    assert int(stats.modelLoads()) <= loads + 1 and int(stats.modelsInMemory()) <= in_memory + 1
    assert int(stats.liveHandles()) == 0
    assert spark.read.parquet(str(tmp_path / "out")).count() == 6
