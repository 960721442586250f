"""Progress bars in a notebook, while Spark jobs and trainings run.

What lives here: `progress`, a context manager. In a classic session a thread asks Spark's status tracker for the tasks of all jobs that
begin in its block, and the JVM for the trainings that run. Over Spark Connect the server reports the tasks to the client. The bars are
tqdm's: a widget in a notebook that has ipywidgets, otherwise a line of text. The thread and the bars end with the block.
"""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .session import FlambeauError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from typing_extensions import Self

PAUSE_SECONDS = 0.2
END_SECONDS = 2.0
"""How long the end of the block waits for Spark to report the end of its last jobs."""
TRAININGS = "io.flambeau.train.RecentTrainings"


class Jobs:
    """The tasks of the jobs of a classic session that began after this."""

    def __init__(self, spark: SparkSession) -> None:
        self._tracker = spark.sparkContext.statusTracker()
        self._before = set(self._known())
        self._ended: dict[int, tuple[int, int]] = {}

    def _known(self) -> Iterable[int]:
        return {*self._tracker.getJobIdsForGroup(None), *self._tracker.getActiveJobsIds()}

    def tasks(self) -> tuple[int, int, bool]:
        """Tasks that are done, all tasks, and whether a job still runs."""
        jobs: dict[int, tuple[int, int]] = {}
        for job in {*self._known()} - self._before:
            if job in self._ended:
                continue
            info = self._tracker.getJobInfo(job)
            running = info is None or info.status == "RUNNING"
            stages = [self._tracker.getStageInfo(stage) for stage in (info.stageIds if info else ())]
            # A stage whose result is there already is skipped: it never has a task.
            counted = [stage for stage in stages if stage and (running or stage.numCompletedTasks)]
            count = sum(stage.numCompletedTasks for stage in counted), sum(stage.numTasks for stage in counted)
            (jobs if running else self._ended)[job] = count
        counts = [*jobs.values(), *self._ended.values()]
        return sum(done for done, _ in counts), sum(total for _, total in counts), bool(jobs)


class Trainings:
    """The trainings of a classic session's application that began after this."""

    def __init__(self, spark: SparkSession) -> None:
        jvm = spark.sparkContext._jvm
        assert jvm is not None, "a classic session"
        has_flambeau = jvm.org.apache.spark.util.Utils.classIsLoadable(TRAININGS)
        self._recent = jvm.io.flambeau.train.RecentTrainings if has_flambeau else None
        self._before = self._recent.count() if self._recent else 0

    def reports(self) -> list[tuple[str, dict[str, Any]]]:
        """The estimator's name and the last report of each, the oldest first."""
        entries = json.loads(self._recent.json(self._before)) if self._recent else []
        return [(entry["owner"], entry["report"]) for entry in entries]


def progress(spark: SparkSession) -> Progress:
    """Progress bars for the Spark jobs and the trainings in a block.

        with flambeau.progress(spark):
            model = TorchClassifier(featuresCol="features").fit(rows)

    One bar counts the tasks of all jobs that begin in the block. A bar for each estimator counts the epochs of its training and shows the
    loss. Jobs that other threads of the application start meanwhile are counted too.

    Over Spark Connect (Spark 4.0 or newer) there is the bar of tasks only. tqdm must be installed here.

    Args:
        spark: the session.

    Raises:
        ImportError: there is no tqdm.
        FlambeauError: a Connect client before Spark 4.0.
    """
    return Progress(spark)


class Progress:
    """See `progress`."""

    def __init__(self, spark: SparkSession) -> None:
        try:
            from tqdm import TqdmWarning
        except ImportError as error:
            raise ImportError("flambeau.progress needs tqdm: python -m pip install tqdm") from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TqdmWarning)  # without ipywidgets it writes text, which is all right
            from tqdm.auto import tqdm
        self._bar = tqdm
        self._bars: dict[str, Any] = {}
        self._spark = spark
        self._connect = not hasattr(spark, "_jsparkSession")
        if self._connect and not hasattr(spark, "registerProgressHandler"):
            raise FlambeauError("Spark Connect reports progress from Spark 4.0 on: use a classic session")
        self._operations: dict[str, tuple[int, int]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="flambeau-progress", daemon=True)

    def __enter__(self) -> Self:
        if self._connect:
            self._spark.registerProgressHandler(self._handle)
        else:
            self._jobs, self._trainings = Jobs(self._spark), Trainings(self._spark)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connect:
            self._spark.removeProgressHandler(self._handle)
        else:
            self._ended.set()
            self._thread.join()
        for bar in self._bars.values():
            bar.close()

    def _watch(self) -> None:
        try:
            while not self._ended.wait(PAUSE_SECONDS):
                self._look()
            for _ in range(int(END_SECONDS / PAUSE_SECONDS)):
                if not self._look():
                    break
                threading.Event().wait(PAUSE_SECONDS)
        except Exception as error:  # the session may be stopped in the block; its work must not fail for want of a bar
            self._show("Spark tasks", 0, 0, f"no more progress: {type(error).__name__}")

    def _look(self) -> bool:
        """Draws what there is now; whether a job still runs."""
        for owner, report in dict(self._trainings.reports()).items():
            words = f"loss {float(report['loss']):.4g}, {float(report['samples_per_second']):.0f} samples/s"
            if report["together"] > 1:
                words += f", {report['together']} of {report['runs']} trainings at once"
            elif report["runs"] > 1:
                words += f", training {report['run'] + 1} of {report['runs']}"
            self._show(f"{owner}: epochs", report["epoch"], report["epochs"], words)
        done, total, runs_on = self._jobs.tasks()
        self._show("Spark tasks", done, total)
        return runs_on

    def _handle(self, stages: Iterable[Any], inflight_tasks: int, operation_id: str, done: bool) -> None:
        """What a Connect client calls while an operation runs."""
        counts = [(stage.num_completed_tasks, stage.num_tasks) for stage in stages]
        if counts:
            self._operations[operation_id] = (sum(one for one, _ in counts), sum(all_ for _, all_ in counts))
        values = self._operations.values()
        self._show("Spark tasks", sum(one for one, _ in values), sum(all_ for _, all_ in values))

    def _show(self, name: str, done: int, total: int, words: str = "") -> None:
        if total == 0 and not words:
            return
        bar = self._bars.get(name)
        if bar is None:
            bar = self._bars[name] = self._bar(total=total, desc=name, dynamic_ncols=True)
        if (bar.n, bar.total, bar.postfix or "") != (done, total, words):
            bar.n, bar.total, bar.postfix = done, total, words
            bar.refresh()
