"""Which tests another line of Spark than the default one runs, and what each line lacks.

What lives here: `FILES`, the tests of what a user does in Spark; `LACKS`, those among them that a line cannot run, with the reason. A run
on another line (`./gradlew e2eTest -PsparkLine=3.5`) prints what it leaves out and why. The other files use no Spark, or test
something that is the same on all lines: prose, wheels, export, parity, the libraries whose models are packaged.
"""

from __future__ import annotations

FILES = (
    "test_connect.py",
    "test_engines.py",
    "test_faults.py",
    "test_metrics.py",
    "test_ml_stages.py",
    "test_model_locations.py",
    "test_models_tab.py",
    "test_named_functions.py",
    "test_pyspark.py",
    "test_releases.py",
    "test_setup.py",
    "test_shared_nothing.py",
    "test_similarity.py",
    "test_spark_sql.py",
    "test_spark_submit.py",
    "test_streaming.py",
    "test_training.py",
    "test_training_cluster.py",
    "test_training_control.py",
    "test_training_data.py",
    "test_unsteady_cluster.py",
)

NO_CONNECT_ML = "Spark Connect has no stages of Spark ML before Spark 4.0; every_line.py tests the error"

LACKS: dict[str, dict[str, str]] = {
    "3.5": {
        "test_ml_stages.py::test_over_connect": NO_CONNECT_ML,
    },
}
"""Line -> the beginning of a test's name -> why the line cannot run it."""


def reason(line: str, test: str) -> str | None:
    """Why a line cannot run a test (`test_x.py::test_y[z]`); None: it can."""
    return next((why for begin, why in LACKS.get(line, {}).items() if test.startswith(begin)), None)
