"""The Models tab of the Spark UI, read over HTTP as a browser reads it: of a running application, and in a history server."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import threading
import urllib.error
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # py4j has no types
from pyspark.errors import PySparkException
from pyspark.ml.functions import array_to_vector
from pyspark.sql.functions import col

import browser
import support
from flambeau import functions as F
from flambeau.ml import GroupedTorchClassifier, TorchClassifier
from support import DEADLINE_S, MODEL, PROGRAMS, ROOT, SPARK, background, environment, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page
    from pyspark.sql import DataFrame, SparkSession

HOSTILE = "<img src=x onerror=alert(1)>"
"""A name that would run a script in a page that did not escape it."""


class Tables(HTMLParser):
    """The tables of a page by their ids: each a list of rows, each row its cells' texts by the headings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self._rows: list[list[str]] | None = None
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._rows = self.tables.setdefault(dict(attrs).get("id") or "", [])
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th") and self._rows is not None:
            self._rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._rows = None
        elif tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell and self._rows:
            self._rows[-1][-1] += data

    def rows(self, table: str) -> list[dict[str, str]]:
        """Those of a table; none if the page does not have it."""
        headings, *rows = self.tables.get(table) or [[]]
        return [{name: " ".join(cell.split()) for name, cell in zip(headings, row, strict=True)} for row in rows]


def page(address: str) -> str:
    """The page at an address of this machine."""
    with urllib.request.urlopen(local(address), timeout=DEADLINE_S) as answer:
        text: str = answer.read().decode("utf-8")
        return text


def models(address: str, name: str) -> list[dict[str, str]]:
    """The rows of a model on the Models tab."""
    return [row for row in Tables(page(address)).rows("flambeau-models") if row["Model"].startswith(name)]


def test_the_tab_shows_what_tasks_did_with_a_model(spark: SparkSession, vectors: DataFrame, tmp_path: Path) -> None:
    package = tmp_path / HOSTILE
    shutil.copytree(support.PACKAGES / "tiny", package)
    vectors.coalesce(1).select(F.try_featurize("x", str(package))).collect()
    tab = f"{spark.sparkContext.uiWebUrl}/models/"
    wait_until(lambda: any(row["Tasks"] == "1" for row in models(tab, str(package))), "the task is on the tab")
    text = page(tab)
    assert HOSTILE not in text and "&lt;img src=x onerror=alert(1)&gt;" in text
    assert re.search(r'href="[^"]*/models/?"', page(f"{spark.sparkContext.uiWebUrl}/jobs/")), "other pages lead to it"
    (row,) = models(tab, str(package))
    assert (row["Executor"], row["Rows"], row["Bad rows"], row["Device"]) == ("driver", "4", "1", "cpu")
    assert row["Variant"].endswith(" f32") and row["Engine"] in ("torchscript", "fused")
    for measured in ("Rows/s", "Load", "Spark", "Forward", "Peak (estimate)"):
        assert re.match(r"[\d.,]*[1-9]", row[measured]), f"{measured}: {row}"
    bad = [row for row in Tables(text).rows("flambeau-bad-rows") if row["Model"] == str(package)]
    assert bad == [{"Model": str(package), "Cause": "wrong shape", "Rows": "1"}]


def local(address: str) -> str:
    """The address as it is reached from this machine."""
    return re.sub(r"//[^:/]+:", "//127.0.0.1:", address)


def trainings(address: str, owner: str) -> list[dict[str, str]]:
    """The fits of an estimator on the Models tab."""
    return [row for row in Tables(page(address)).rows("flambeau-trainings") if row["Training"] == owner]


@contextlib.contextmanager
def training(spark: SparkSession) -> Iterator[TorchClassifier]:
    """A fit that runs for the time of the block, in a thread of its own, and is canceled then."""
    rows = [(float(i % 2), [float(i % 2), float(i % 7), float(i % 3)], i % 4 == 0) for i in range(2000)]
    frame = spark.createDataFrame(rows, "label double, x array<float>, held boolean")
    frame = frame.withColumn("features", array_to_vector(col("x"))).coalesce(1)
    estimator = TorchClassifier(maxEpochs=1_000_000, batchSize=50, learningRate=0.0005, validationIndicatorCol="held")
    outcome: list[str] = []

    def fit() -> None:
        try:
            estimator.fit(frame)
        except (PySparkException, Py4JJavaError) as failure:
            outcome.append(str(failure))

    thread = threading.Thread(target=fit)
    thread.start()
    try:
        yield estimator
    finally:
        wait_until(lambda: _cancel(spark, thread), "the fit ends")
    assert outcome, "it was canceled"


def _cancel(spark: SparkSession, thread: threading.Thread) -> bool:
    spark.sparkContext.cancelAllJobs()
    thread.join(1)
    return not thread.is_alive()


def test_a_browser_shows_models_and_the_loss_of_a_training_while_it_runs(
    spark: SparkSession, photo_table: DataFrame, tmp_path: Path
) -> None:
    package = tmp_path / HOSTILE
    shutil.copytree(support.PACKAGES / "tiny", package)
    spark.sql(f"SELECT try_featurize(array(1.0f), '{package}')").collect()
    photo_table.select(F.classify("content", MODEL, 1)).collect()
    origin = local(str(spark.sparkContext.uiWebUrl))
    tab = f"{origin}/models/"
    # Other tests of this session may have loaded the photos' model with other settings, each a row of its own.
    wait_until(lambda: bool(models(tab, MODEL)) and len(models(tab, str(package))) == 1, "both models are there")
    for row in models(tab, MODEL):
        assert re.fullmatch(r"[1-9][\d.]* MiB", row["Weights"]), row
    with browser.chromium() as chromium:
        visit = browser.Visit(chromium, origin)
        seen = visit.page
        with training(spark) as estimator:
            wait_until(lambda: [r["Epoch"] for r in trainings(tab, estimator.uid)] not in ([], [""]), "epochs arrive")
            seen.goto(tab)
            assert seen.locator("#flambeau-models").is_visible() and seen.locator("img[src='x']").count() == 0
            assert HOSTILE in seen.locator("#flambeau-models").inner_text()
            link = seen.get_by_role("link", name=estimator.uid)
            link.click()
            _check_curve(seen)
            before = seen.locator("#flambeau-training").inner_text()
            assert "State: running" in before
            # It reloads by itself.
            with seen.expect_event("load", timeout=DEADLINE_S * 1000):
                pass
            _check_curve(seen)
            assert seen.locator("#flambeau-training").inner_text() != before
        wait_until(lambda: trainings(tab, estimator.uid)[0]["State"].startswith("failed: "), "it is shown as canceled")
        assert visit.wrong == []


def _check_curve(seen: Page) -> None:
    for kind in ("training", "validation"):
        curve = seen.locator(f"#flambeau-loss path.flambeau-{kind}-loss")
        curve.wait_for(state="visible")
        box = curve.bounding_box()
        assert box is not None and box["width"] > 100 and box["height"] > 20, box


def test_trainings_of_groups_and_a_finished_one(spark: SparkSession) -> None:
    rows = [(str(i % 3), float(i // 3 % 2), [float(i // 3 % 2), float(i % 5)]) for i in range(60)]
    frame = spark.createDataFrame(rows, "team string, label double, x array<float>")
    frame = frame.withColumn("features", array_to_vector(col("x"))).coalesce(1)
    grouped = GroupedTorchClassifier(groupCol="team", maxEpochs=3)
    grouped.fit(frame)
    single = TorchClassifier(maxEpochs=3)
    single.fit(frame)
    tab = f"{spark.sparkContext.uiWebUrl}/models/"
    # The second one ended last.
    wait_until(lambda: [row["State"] for row in trainings(tab, single.uid)] == ["finished"], "both ended")
    for owner, runs, epoch in ((grouped.uid, "one for each group", ""), (single.uid, "1", "3 of 3")):
        (row,) = trainings(tab, owner)
        assert (row["State"], row["Trainings"], row["Epoch"]) == ("finished", runs, epoch)
    assert "There is no such training" in page(f"{tab}training/?id=%3Cscript%3E")


@contextlib.contextmanager
def history_server(folder: Path, name: str, log: Path, classpath: str) -> Iterator[str]:
    """A history server with records on disk; gives its address."""
    port = free_port()
    options = {"fs.logDirectory": log.as_uri(), "ui.port": str(port), "store.path": str(folder / f"{name}-store")}
    (folder / f"{name}-store").mkdir()
    env = environment(
        SPARK_HOME=str(SPARK),
        SPARK_HISTORY_OPTS=" ".join(f"-Dspark.history.{key}={value}" for key, value in options.items()),
        SPARK_DAEMON_CLASSPATH=classpath,
    )
    command: list[str | Path] = [SPARK / "bin" / "spark-class", "org.apache.spark.deploy.history.HistoryServer"]
    with background(command, folder, folder / f"{name}.log", env):
        yield f"http://127.0.0.1:{port}"


def test_the_history_server_shows_what_the_tab_showed(tmp_path: Path) -> None:
    package = tmp_path / HOSTILE
    shutil.copytree(support.PACKAGES / "tiny", package)
    log = tmp_path / "log"
    log.mkdir()
    home = support.spark_home(tmp_path)
    env = environment(PYTHONPATH=str(ROOT / "python"), SPARK_HOME=str(home))
    command: list[str | Path] = [sys.executable, PROGRAMS / "models_tab_job.py", log.as_uri(), package]
    application = support.run(command, tmp_path, env).stdout.split()[-1]
    ours = next(jar for jar in support.jars() if "flambeau-spark" in jar)
    with (
        history_server(tmp_path, "ours", log, ours) as with_jar,
        history_server(tmp_path, "plain", log, "") as without_jar,
    ):
        pages = f"{with_jar}/history/{application}"
        wait_until(lambda: "Completed Jobs" in _page(f"{pages}/jobs/"), "the event log was read")
        text = page(f"{pages}/models/")
        assert HOSTILE not in text
        rows = models(f"{pages}/models/", str(package))
        assert [row["Executor"] for row in rows] == ["0", "1"]
        assert sum(int(row["Rows"]) for row in rows) == 64 and sum(int(row["Tasks"]) for row in rows) == 2
        causes = [row["Rows"] for row in Tables(text).rows("flambeau-bad-rows") if row["Cause"] == "wrong shape"]
        assert causes == ["1"]
        (fit,) = Tables(text).rows("flambeau-trainings")
        assert (fit["State"], fit["Epoch"], fit["Trainings"]) == ("finished", "12 of 12", "1")
        link = re.search(r'href="([^"]*/models/training/[?]id=[^"]+)"', text)
        assert link is not None, text
        one = page(with_jar + link[1])
        epochs = Tables(one).rows("flambeau-epochs")
        assert [int(row["Epoch"]) for row in epochs] == list(range(12, 0, -1))
        assert all(float(row["Training loss"]) > 0 for row in epochs) and 'class="flambeau-training-loss"' in one
        # A server that does not know our events shows the rest.
        wait_until(lambda: "Completed Jobs" in _page(f"{without_jar}/history/{application}/jobs/"), "it reads the log")
        assert '/models/"' not in page(f"{without_jar}/history/{application}/jobs/")


def _page(address: str) -> str:
    """As `page`; nothing while the server starts and reads."""
    try:
        return page(address)
    except (urllib.error.URLError, ConnectionError):
        return ""
