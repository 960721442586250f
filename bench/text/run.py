"""`./gradlew bench` or `.venv/bin/python bench/text/run.py`: embedded texts per second side by side, results compared first.

4,096 glosses of WordNet; all-MiniLM-L6-v2 and a BERT of 12 layers (random weights). MiniLM's `/frameworks` are arms around the same
networks; they are a case of their own, so that a case takes few minutes. `--cases`, `--arms` and `--rows` cut it down, as in

    bench/text/run.py --cases minilm_l6_v2 --arms 'flambeau,udf onnxruntime' --rows 1024 --passes 1

which takes less than a minute. The Python UDFs sort the texts of a batch by length, except for those with `+unsorted`. langchain4j runs on
threads of its own and on the task's. Writes bench/results/<version>/text.json and prints a table.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import data

import side_by_side

OTHERS = (
    "udf onnxruntime malloc-tuned",
    "predict_batch_udf torch+unsorted",
    "langchain4j",
    "langchain4j task-thread",
    "daft onnxruntime",
    "ray onnxruntime",
)
ARMS = {
    "minilm_l6_v2": (*side_by_side.F32, *side_by_side.BF16),
    "minilm_l6_v2/frameworks": ("flambeau", *OTHERS),
    "bert_base": (*side_by_side.F32, *side_by_side.BF16),
}
FLOORS = {
    "udf onnxruntime": 1.5,
    "predict_batch_udf torch+unsorted": 2.0,
    "langchain4j": 1.0,
    "langchain4j task-thread": 1.0,
}
ABOUT = {"minilm_l6_v2": "published weights", "bert_base": "random weights"}
ROWS = {"bert_base": 512}
"""Of the slower network; all glosses for the other."""


def main() -> None:
    chosen = side_by_side.options(__doc__, list(ARMS))
    texts = data.glosses()
    cases = []
    with tempfile.TemporaryDirectory(prefix="flambeau-bench-") as temporary:
        environment = {}
        if "minilm_l6_v2/frameworks" in chosen.cases and (not chosen.arms or "langchain4j" in chosen.arms):
            jars = ",".join(map(str, data.langchain4j(Path(temporary))))
            environment = {arm: {"BENCH_JARS": jars} for arm in ("langchain4j", "langchain4j task-thread")}
        for name in chosen.cases:
            network = name.partition("/")[0]
            rows = texts[:: data.ROWS // ROWS[network]] if network in ROWS else texts
            source = Path(temporary) / f"{network}.json"
            source.write_text(json.dumps(rows), encoding="utf-8")
            about = f"{len(rows)} glosses; {network}, {ABOUT[network]}"
            cases.append(side_by_side.Case(name, network, source, ARMS[name], FLOORS, about, environment=environment))
        side_by_side.main("text", cases, chosen)


if __name__ == "__main__":
    main()
