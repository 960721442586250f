"""One arm of the text benchmark in a process of its own: `arm.py ARM TEXTS OUT [JARS]`.

Arms: `flambeau`, in f32, and `flambeau_bf16`, in the package's variant of that precision; `predict_batch_udf` (the recipe's eager network and the model's own tokenizer, batches of 64 padded to
their longest text, one torch thread a worker); `langchain4j` (GlossEmbedder.java, in `JARS`: on a pool of its own threads) and
`langchain4j_task_thread` (the same on the task's thread). All read the same cached rows in the same `local[2]`, run
all-MiniLM-L6-v2, and end in Spark's `noop` sink. Prints one JSON line: rows/s of every timed pass and, of Flambeau, the
fill of its passes; writes the embeddings of all rows to OUT, in the pass that warms up.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "bench"), str(ROOT / "bench" / "text")]
import machine

MODEL = "minilm_l6_v2"
PASSES = 1
BATCH = 64
PARTITIONS = 4


def predict_batch_column():
    """As Spark's documentation has it: the model is loaded once a worker, batches are padded to their longest text."""
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import ArrayType, FloatType

    folder = str(ROOT / "bench" / "text")

    def make():
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        sys.path.insert(0, folder)
        import data
        import torch

        torch.set_num_threads(1)
        tokenizer = data.tokenizer()
        network = data.sources.model(MODEL).load_network()

        def predict(texts: np.ndarray) -> np.ndarray:
            encodings = tokenizer.encode_batch([str(text) for text in texts])
            ids = torch.tensor([encoding.ids for encoding in encodings])
            mask = torch.tensor([encoding.attention_mask for encoding in encodings])
            with torch.inference_mode():
                return network(ids, mask).numpy()

        return predict

    return predict_batch_udf(make, return_type=ArrayType(FloatType()), batch_size=BATCH)("text")


def session(arm: str, jars: str):
    """`local[2]`; the jars of an arm only where it is measured."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName(f"bench-{arm}").config("spark.ui.enabled", "false")
    builder = builder.config("spark.driver.memory", "3g").config("spark.sql.shuffle.partitions", "2")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    if arm.startswith("flambeau"):
        import flambeau

        builder = flambeau.configure(builder.config("spark.flambeau.models.path", str(ROOT / "build" / "bench-models")))
        builder = builder.config("spark.flambeau.precision", "bf16" if arm == "flambeau_bf16" else "f32")
    if jars:
        builder = builder.config("spark.jars", jars)
        # Its tokenizer must neither report nor download.
        builder = builder.config("spark.driver.extraJavaOptions", "-Dai.djl.offline=true")
        os.environ["OPT_OUT_TRACKING"] = "true"
    return builder.getOrCreate()


def featurized(arm: str, table):
    """`id` and `features` of `table`."""
    from pyspark.sql import DataFrame

    if arm.startswith("flambeau"):
        from flambeau import functions as F

        return table.select("id", F.featurize("text", MODEL).alias("features"))
    if arm == "predict_batch_udf":
        return table.select("id", predict_batch_column().alias("features"))
    embedder = table.sparkSession._jvm.GlossEmbedder
    return DataFrame(embedder.embed(table._jdf, BATCH, arm == "langchain4j_task_thread"), table.sparkSession)


def counted(spark) -> dict[str, int]:
    """Label -> value of the last query's EvalModel node, as the SQL page of Spark's UI shows it (counts only)."""
    store = spark._jsparkSession.sharedState().statusStore()
    executions = store.executionsList()
    identifier = executions.last().executionId()
    shown = store.executionMetrics(identifier)
    nodes = store.planGraph(identifier).allNodes()
    found = {}
    for n in range(nodes.size()):
        if nodes.apply(n).name().startswith("EvalModel"):
            metrics = nodes.apply(n).metrics()
            for m in range(metrics.size()):
                value = shown.get(metrics.apply(m).accumulatorId())
                if value.isDefined() and value.get().replace(",", "").isdigit():
                    found[metrics.apply(m).name()] = int(value.get().replace(",", ""))
    return found


def main() -> None:
    arm, texts, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    spark = session(arm, sys.argv[4] if len(sys.argv) > 4 else "")
    spark.sparkContext.setLogLevel("ERROR")
    rows = list(enumerate(json.loads(texts.read_text(encoding="utf-8"))))
    # Dealt out like cards: every task gets as much of each part of speech, in the order of the file.
    dealt = [row for partition in range(PARTITIONS) for row in rows[partition::PARTITIONS]]
    table = spark.createDataFrame(spark.sparkContext.parallelize(dealt, PARTITIONS), "id int, text string").cache()
    table.count()
    result = featurized(arm, table)
    collected = result.toPandas().sort_values("id")
    np.save(out, np.stack(collected["features"].to_numpy()).astype(np.float32))
    rates, busy = [], []
    for _ in range(PASSES):
        started, used = time.perf_counter(), machine.cpu_seconds()
        result.write.format("noop").mode("overwrite").save()
        rates.append(round(len(rows) / (time.perf_counter() - started), 1))
        busy.append(round(len(rows) / (machine.cpu_seconds() - used), 1))
    line = {"arm": arm, "rows": len(rows), "rows_per_s": rates, "rows_per_cpu_s": busy}
    if arm.startswith("flambeau"):
        counts = counted(spark)
        real, padded = counts.get("real tokens"), counts.get("padded tokens")
        line["fill"] = round(real / padded, 4) if real and padded else None
        line["metrics"] = counts
    print(json.dumps(line))
    spark.stop()


if __name__ == "__main__":
    main()
