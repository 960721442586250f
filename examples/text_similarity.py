"""Text similarity: definitions that mean nearly the same, out of 10,000.

    python examples/text_similarity.py                      # some questions of ours
    python examples/text_similarity.py "a big cat"          # yours

`featurize(text, 'minilm_l6_v2')` computes an embedding for each of 10,000 definitions of WordNet, once. They are kept as Parquet. A
question is a row like any other. Embeddings have length 1, so their product is the cosine.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import real_data
import session

TEXTS = 10_000
QUESTIONS = ("a large wild cat", "a person who repairs shoes", "to cook with dry heat", "extremely happy")

NEAREST = """\
WITH asked AS (SELECT question, featurize(question, 'minilm_l6_v2') AS wanted FROM questions)
SELECT   question, slice(sort_array(collect_list(struct(cosine, word, text)), false), 1, 3) AS nearest
FROM    (SELECT question, word, text, dot(wanted, embedding) AS cosine FROM asked CROSS JOIN embedded)
GROUP BY question"""


def run(questions: Sequence[str], out: Path, texts: int) -> int:
    """The whole example; the exit code."""
    spark = session.open_session("text similarity")
    try:
        session.model("minilm_l6_v2")
        glosses = [(g.word, g.text) for g in real_data.every_nth(real_data.glosses(), texts)]
        spark.createDataFrame(glosses, "word string, text string").repartition(8).createOrReplaceTempView("glosses")
        table = str((out / "embedded.parquet").resolve())
        start = time.perf_counter()
        embedded = spark.sql("SELECT word, text, featurize(text, 'minilm_l6_v2') AS embedding FROM glosses")
        embedded.write.mode("overwrite").parquet(table)
        seconds = time.perf_counter() - start
        spark.read.parquet(table).createOrReplaceTempView("embedded")
        print(f"{texts} definitions embedded in {seconds:.0f} s ({texts / seconds:.0f} a second)\n\n{NEAREST}\n")
        spark.createDataFrame([(question,) for question in questions], "question string").createOrReplaceTempView(
            "questions"
        )
        rows = {row.question: row.nearest for row in spark.sql(NEAREST).collect()}
    finally:
        spark.stop()
    for question in questions:
        print(f"  {question}")
        for found in rows[question]:
            print(f"    {found.cosine:.2f}  {found.word}: {found.text[:100]}")
    return 0 if all(rows[question][0].cosine > 0.3 for question in questions) else 1


def main() -> int:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Find definitions by meaning with MiniLM in Spark SQL.")
    parser.add_argument("questions", nargs="*", metavar="TEXT", default=QUESTIONS)
    parser.add_argument("--texts", type=int, default=TEXTS, metavar="N", help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=session.ROOT / "build" / "examples", metavar="DIR")
    options = parser.parse_args()
    return run(options.questions, options.out, options.texts)


if __name__ == "__main__":
    sys.exit(main())
