"""Two more cards of the demo's page: photos searched by the meaning of a text, and a classifier trained on the photos.

Both use what the first statement has computed: the labels of all photos, and their features. The search needs the package
`minilm_l6_v2`, which the Gradle task `demo` makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

QUESTION = "a bird"
SEARCH = """\
SELECT photo, labels[0].label AS label,
       cosine_similarity(featurize(concat_ws(', ', labels.label), '{model}'), q.vector) AS cosine
FROM   described CROSS JOIN (SELECT featurize('{question}', '{model}') AS vector) q
ORDER BY cosine DESC LIMIT 3"""

ANIMALS = (
    "chelsea.png", "cheetah1.jpg", "cheetah2.jpg", "lion.jpg", "mastiff.jpg", "spoonbills.jpg", "geese.jpg",
    "dalmatian.jpg", "eagle.jpg", "leafhopper.jpg", "beetle.jpg",
)  # fmt: skip
"""The photos with an animal on them."""
FOLDS = 4
FOLD = f"crc32(photo) % {FOLDS}"
"""The photos take turns to be tested, in the order of a hash of the file's name."""
TRAINING: dict[str, Any] = {"maxEpochs": 40, "batchSize": 32, "learningRate": 0.01, "weightDecay": 0.1, "seed": 1}
"""Parameters of the classifier."""
CODE = f"""\
classifier = TorchClassifier({", ".join(f"{name}={value}" for name, value in TRAINING.items())})
for fold in range({FOLDS}):
    model = classifier.fit(photos.where(f"{FOLD} <> {{fold}}"))
    model.transform(photos.where(f"{FOLD} = {{fold}}"))"""


@dataclass(frozen=True)
class Search:
    """The photos whose labels are closest to a question, nearest first, with label and cosine."""

    question: str
    sql: str
    found: Sequence[tuple[str, str, float]]


@dataclass(frozen=True)
class Training:
    """A classifier over features: the losses of the first one by epoch, and how many photos are right of those that were tested."""

    code: str
    losses: Sequence[float]
    folds: int
    right: int
    tested: int


def search(spark: SparkSession, model: Path) -> Search:
    """Over the view `described`. The label is text, so a text model can compare it with the question."""
    sql = SEARCH.format(model=model.resolve(), question=QUESTION)
    found = [(row.photo, row.label, row.cosine) for row in spark.sql(sql).collect()]
    return Search(QUESTION, SEARCH.format(model=model.name, question=QUESTION), found)


def train(described: DataFrame) -> Training:
    """Tests each photo with a classifier that was trained on the photos of the other folds."""
    from pyspark.sql.functions import col

    from flambeau.ml import TorchClassifier

    rows = described.withColumn("label", col("photo").isin(*ANIMALS).cast("double"))
    losses: list[float] = []
    answers: list[bool] = []
    for fold in range(FOLDS):
        model = TorchClassifier(**TRAINING).fit(rows.where(f"{FOLD} <> {fold}"))
        answers += [row.prediction == row.label for row in model.transform(rows.where(f"{FOLD} = {fold}")).collect()]
        losses = losses or [row.trainLoss for row in model.summary.history.orderBy("epoch").collect()]
    return Training(CODE, losses, FOLDS, sum(answers), len(answers))
