"""Makes an archive of the classes that Spark's JVMs load, for the many JVMs of the tests.

    .venv/bin/python gradle/class_archive.py build/spark-classes.jsa

A JVM with `-XX:SharedArchiveFile` maps these classes instead of finding, parsing and verifying them again, which is most of the time in
which Spark starts (Java's "application class-data sharing"). One driver here does a little of what the tests do, and its JVM writes the
archive when it ends. A JVM ignores an archive that does not fit it or its class path, so nothing depends on the archive.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import SparkSession
from pyspark.sql.functions import col

CONNECT = "org.apache.spark.sql.connect.SparkConnectPlugin"
CLIENT = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.remote(sys.argv[1]).getOrCreate()
spark.range(9).createOrReplaceTempView("numbers")
spark.sql("SELECT sum(id) AS total FROM numbers").toPandas()
spark.stop()
"""


def free_port() -> int:
    """Of this machine, now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def session(archive: Path, folder: Path, port: int) -> SparkSession:
    """A driver that knows Hive and serves Connect; its JVM writes `archive` when it ends."""
    os.environ["SPARK_SUBMIT_OPTS"] = f"-XX:TieredStopAtLevel=1 -XX:ArchiveClassesAtExit={archive} -Xlog:disable"
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").enableHiveSupport()
    for key, value in {
        "spark.plugins": CONNECT,
        "spark.connect.grpc.binding.port": str(port),
        "spark.ui.port": "0",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def tables(spark: SparkSession, folder: Path) -> None:
    """Files of several formats, SQL, and a stream."""
    spark.sql(
        "CREATE TABLE numbers USING parquet AS SELECT id, id % 3 AS label, rand(1) AS x, rand(2) AS y FROM range(300)"
    )
    spark.sql("SELECT label, collect_list(x) AS xs, avg(y) FROM numbers GROUP BY label ORDER BY label").collect()
    spark.sql("SELECT id, a.x, b.y FROM numbers a JOIN numbers b USING (id) WHERE a.x > 0.5").write.json(
        str(folder / "json")
    )
    spark.read.json(str(folder / "json")).selectExpr("transform(array(x, y), v -> v + 1)").toPandas()
    spark.read.format("binaryFile").load(str(folder / "json")).select("path", "length").collect()
    rows = spark.readStream.schema(spark.table("numbers").schema).parquet(str(folder / "warehouse" / "numbers"))
    written = rows.writeStream.format("memory").queryName("streamed").trigger(availableNow=True)
    written.start().awaitTermination()


def learning(spark: SparkSession, folder: Path) -> None:
    """MLlib's pipelines, search and persistence."""
    logistic = LogisticRegression(maxIter=2)
    pipeline = Pipeline(stages=[VectorAssembler(inputCols=["x", "y"], outputCol="features"), logistic])
    grid = ParamGridBuilder().addGrid(logistic.regParam, [0.0, 0.1]).build()
    search = CrossValidator(
        estimator=pipeline, estimatorParamMaps=grid, evaluator=MulticlassClassificationEvaluator(), numFolds=2
    )
    model = search.fit(spark.table("numbers").withColumn("label", col("label").cast("double")))
    model.write().overwrite().save(str(folder / "model"))


def main(archive: Path) -> None:
    """Fails if no archive was written."""
    archive.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        os.chdir(folder)  # Hive's database goes to the current folder
        spark = session(archive, folder, port)
        tables(spark, folder)
        learning(spark, folder)
        subprocess.run([sys.executable, "-c", CLIENT, f"sc://127.0.0.1:{port}"], check=True)
        gateway = spark.sparkContext._gateway
        assert gateway is not None
        spark.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(timeout=600)
    if not archive.is_file():
        raise SystemExit(f"the JVM wrote no {archive}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
