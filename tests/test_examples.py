"""Every example runs as its own docstring describes, from the checkout, and checks its own result."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from support import EXTENSION, ROOT, SPARK, environment, jars, run

MODELS = ROOT / "build" / "models"

EXAMPLES = {
    "image_search.py": ["most like cheetah1.jpg", r"cheetah2\.jpg"],
    "streaming.py": [r"14 photos labeled, the query stopped and started again, 14 more labeled"],
    "text_similarity.py --texts 2000": [r"2000 definitions embedded", r"  a large wild cat\n    0\.\d+  "],
    "mllib_head.py --on foods": [r"Food groups of photos: \d+\.\d% of 455 are right", "predictions equal: True"],
    "mllib_head.py --on topics --folds 2": [
        r"Topics of definitions: \d+\.\d% of 1800 are right",
        "predictions equal: True",
    ],
    "voice_activity.py": [r"\d+ of 107 turns heard", r"9\d% of what was found is annotated"],
}
"""Command line, and what must be printed (regular expressions). A result below its own bound is exit 1."""


@pytest.mark.parametrize("command", EXAMPLES)
def test_an_example_runs(command: str, tmp_path: Path) -> None:
    words = command.split()
    env = environment(PYTHONPATH=str(ROOT / "python"))
    done = run([sys.executable, ROOT / "examples" / words[0], *words[1:], "--out", tmp_path], ROOT, env)
    for expected in EXAMPLES[command]:
        assert re.search(expected, done.stdout), done.stdout[-3000:]
    if words[0] in ("mllib_head.py", "voice_activity.py"):
        (picture,) = tmp_path.glob("*.png")
        assert picture.stat().st_size > 10_000


def test_the_demo(tmp_path: Path) -> None:
    """Exit 0 means: labels are right, and the baseline has the same features. The page shows both speeds, and neighbors that are near."""
    done = run([sys.executable, ROOT / "examples" / "demo.py", "--out", tmp_path], ROOT, environment())
    speeds = [float(rate) for rate in re.findall(r"(\d+\.\d) images/s", done.stdout)]
    assert len(speeds) == 2 and min(speeds) > 0
    assert re.search(r"a bird: .*eagle\.jpg", done.stdout)
    right, tested = re.findall(r"animal or not, .*: (\d+) of (\d+) right", done.stdout)[0]
    assert int(tested) == 28 and int(right) >= 21  # always saying no: 17
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    for speed, name in zip(speeds, ("images/s", "images/s, PyTorch in a pandas UDF")):
        (shown,) = re.findall(f"<dt>{name}</dt><dd>(\\d+)</dd>", page)
        assert abs(int(shown) - speed) < 0.6, "both are rounded, the page's to whole images"
    near = [float(cosine) for cosine in re.findall(r"<figcaption>(\d\.\d+)</figcaption>", page)]
    assert len(near) > 10 and min(near) >= 0.3
    assert "No other photo is similar" in page
    links = re.findall(r'<a href="([^"]+)">', page)
    assert len(links) == 4 and all((tmp_path / link).is_file() for link in links)
    assert "http" not in re.sub(r"data:[^\"]+", "", page), "the page needs no network"


def test_every_example_is_run() -> None:
    helpers = {"baseline.py", "demo_cards.py", "photos.py", "gallery.py", "pictures.py", "real_data.py", "session.py"}
    listed = {command.split()[0] for command in EXAMPLES} | {"demo.py"}
    trained = {
        "transfer_learning.py",
        "fine_tuning.py",
        "regression.py",
        "text_classes.py",
        "speakers.py",
    }  # test_training_examples.py
    assert {path.name for path in (ROOT / "examples").glob("*.py")} - helpers - trained == listed


def test_the_sql_session(photos: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    from support import PHOTOS

    script = (
        (ROOT / "examples" / "session.sql").read_text(encoding="utf-8").replace("build/demo/photos", PHOTOS.as_uri())
    )
    (tmp_path / "session.sql").write_text(script, encoding="utf-8")
    settings = {
        "spark.sql.extensions": EXTENSION,
        "spark.flambeau.models.path": str(MODELS),
        "spark.flambeau.udf.meaning": "minilm_l6_v2",
        "spark.sql.warehouse.dir": str(tmp_path / "warehouse"),
    }
    command: list[str | Path] = [SPARK / "bin" / "spark-sql", "--master", "local[2]", "--jars", ",".join(jars())]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    printed = run([*command, "-f", tmp_path / "session.sql"], tmp_path, environment()).stdout
    lines = [line.split("\t") for line in printed.splitlines() if "\t" in line]
    assert len(lines) == 5 + 2 + 1, printed
    assert all(float(line[2]) > 0.9 for line in lines[:5])
    assert {line[0] for line in lines[5:7]} == {"the parcel never came", "the courier left it in the rain"}
    assert lines[7] == ["nothing", "NULL"]
