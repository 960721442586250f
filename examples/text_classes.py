"""A text classifier: which kind of thing a dictionary definition is about, over sentence embeddings.

    .venv/bin/python examples/text_classes.py

What lives here: definitions of nouns from WordNet 3.1, six kinds with 350 each. A linear head is trained over the embeddings of
all-MiniLM-L6-v2, which the executors compute once. The accuracy is measured on held-out definitions.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "models")]

from pyspark.ml import Pipeline
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import StringIndexer
from pyspark.sql import SparkSession

import real_data
import session
from flambeau.ml import TorchClassifier

EACH = 350
LEAST_ACCURACY = 0.8


def definitions() -> list[tuple[int, str, str]]:
    """Number, text and kind of `EACH` definitions of every topic."""
    return [(number, text, kind) for number, (text, kind) in enumerate(real_data.topics(EACH))]


def train(spark: SparkSession, model: Path) -> dict[str, Any]:
    """Accuracy on every third definition, trained on the others."""
    rows = spark.createDataFrame(definitions(), "id int, text string, kind string").repartitionByRange(4, "id")
    known, held = rows.where("id % 3 > 0"), rows.where("id % 3 = 0")
    classifier = TorchClassifier(
        featuresCol="text", modelName=model, learningRate=0.01, maxEpochs=20, schedule="cosine", seed=1
    )
    indexer = StringIndexer(inputCol="kind", outputCol="label", stringOrderType="alphabetAsc")
    fitted = Pipeline(stages=[indexer, classifier]).fit(known)
    accuracy = MulticlassClassificationEvaluator(metricName="accuracy").evaluate(fitted.transform(held))
    return {"definitions": known.count(), "held": held.count(), "accuracy": accuracy}


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 if the head is good enough."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.parse_args(arguments)
    model = session.MODELS / session.model("minilm_l6_v2")
    return session.print_figures("words", lambda spark: train(spark, model), LEAST_ACCURACY)


if __name__ == "__main__":
    sys.exit(main())
