"""A job on executors that cannot see the driver's models: `local-cluster`, one machine, but the same paths mean other files there.

    python located_job.py    (in a folder that holds `packages/`; prints JSON)

`/proc/self/cwd` is each process's own working folder: the driver's is this one, an executor's is in Spark's `work`. The
executors keep what they fetch in a folder of their own, as another machine would.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import array, col, lit

import flambeau
from flambeau import functions as F

HERE = Path.cwd()
HIDDEN = "/proc/self/cwd/packages"


def relabel(package: Path, labels: list[str]) -> None:
    """Other labels under the same path; the manifest has their hash."""
    old = hashlib.sha256((package / "labels.txt").read_bytes()).hexdigest()
    (package / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
    new = hashlib.sha256((package / "labels.txt").read_bytes()).hexdigest()
    manifest = package / "model.toml"
    manifest.write_text(manifest.read_text().replace(old, new))


def best(rows: DataFrame, model: str) -> list[str]:
    """The labels that the model gives best, without repetition."""
    labeled = rows.select(F.classify("x", model, 1)[0]["label"].alias("label"))
    return sorted(row.label for row in labeled.distinct().collect())


def main() -> None:
    """One session, the same query for packages in several places."""
    executors = HERE / "executors"
    executors.mkdir()
    builder = SparkSession.builder.master("local-cluster[2,1,1024]")
    for key, value in {
        "spark.executor.extraJavaOptions": f"-Djava.io.tmpdir={executors}",
        "spark.flambeau.libtorch": os.environ["TEST_LIBTORCH"],
        # An entry that cannot be reached must not affect the others.
        "spark.flambeau.models.allow": f"{HIDDEN},viewfs://nowhere/models,viewfs://models/all",
        "spark.hadoop.fs.viewfs.mounttable.models.link./all": (HERE / "packages").as_uri(),
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.task.maxFailures": "1",
    }.items():
        builder = builder.config(key, value)
    spark = flambeau.configure(builder).getOrCreate()
    rows = (
        spark.range(64)
        .repartition(4)
        .select(array(*[(col("id") * 0 + lit(n)).cast("float") for n in range(1, 5)]).alias("x"))
    )
    result: dict[str, object] = {}

    result["seen by executors"] = (
        spark.sparkContext.parallelize(range(8), 8).map(lambda _: Path(HIDDEN).exists()).collect()
    )
    result["folder"] = best(rows, f"{HIDDEN}/tiny")
    result["again"] = best(rows, f"{HIDDEN}/tiny")
    relabel(HERE / "packages" / "tiny", ["x", "y", "z"])
    result["changed"] = best(rows, f"{HIDDEN}/tiny")
    relabel(HERE / "packages" / "tiny", ["1", "2", "3"])
    shutil.make_archive(str(HERE / "packages" / "zipped"), "zip", HERE / "packages", "tiny")
    result["zip"] = best(rows, f"{HIDDEN}/zipped.zip")
    spark.conf.set("spark.flambeau.models.path", HIDDEN)
    result["name"] = best(rows, "zipped")
    result["bare"] = best(rows, "bare")

    relabel(HERE / "packages" / "tiny", ["p", "q", "r"])
    shutil.copytree(HERE / "packages" / "tiny", HERE / "mounted" / "tiny")
    relabel(HERE / "mounted" / "tiny", ["in", "va", "der"])
    spark.conf.set("fs.viewfs.mounttable.models.link./all", (HERE / "mounted").as_uri())
    # Hadoop caches the instance of the first user: here a session, with its own mount table.
    result["what the session mounted"] = spark.read.text("viewfs://models/all/tiny/labels.txt").head(1)[0].value
    result["hadoop"] = best(rows, "viewfs://models/all/tiny")
    relabel(HERE / "packages" / "tiny", ["s", "t", "u"])
    shutil.make_archive(str(HERE / "packages" / "remote"), "zip", HERE / "packages" / "tiny")
    result["hadoop zip"] = best(rows, "viewfs://models/all/remote.zip")

    flambeau.register(spark, "shipped", f"{HIDDEN}/tiny")
    result["registered"] = [list(row[0]) for row in rows.selectExpr("shipped(x)").distinct().collect()]
    shutil.copytree(HERE / "packages" / "tiny", HERE / "outside")
    spark.conf.set("spark.flambeau.models.allow", "")
    try:
        best(rows, "/proc/self/cwd/outside")
    except AnalysisException as error:
        result["outside"] = str(error)
    try:
        best(rows, "viewfs://elsewhere/tiny")
    except AnalysisException as error:
        result["another file system"] = str(error)
    spark.stop()
    result["kept on the executors' machine"] = len(list(executors.glob("flambeau-*/package-*")))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
