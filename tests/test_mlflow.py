"""Models and trainings in a real MLflow: a tracking server of its own process, a database, artifacts that it hands out."""

from __future__ import annotations

import http.server
import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import mlflow
import mlflow.sklearn
import numpy as np
from mlflow import MlflowClient
from pyspark.ml import Pipeline
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from sklearn.linear_model import LogisticRegression
from torch import nn

import flambeau
import flambeau.mlflow
from flambeau import export
from flambeau.ml import (
    RandomSearch,
    TorchClassificationModel,
    TorchClassifier,
    TorchEstimator,
    TorchModelTransformer,
    choice,
)
from flambeau.session import FlambeauError
from support import FAILURES, PACKAGES, PROGRAMS, ROOT, connect_server, environment, free_port, mlflow_server, run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SETTING = "spark.flambeau.mlflow.trackingUri"
ALLOW = "spark.flambeau.models.allow"
STATEMENT = "SELECT featurize(array(1, 2, 3, 4), '{}')"
PASSWORD = "a-password-of-the-test"
TINY = [2.0, 4.0, 6.0]
"""What `tiny` makes of 1, 2, 3, 4."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """Its address."""
    with mlflow_server(folder, MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES="viewfs,http") as address:
        yield address


@pytest.fixture
def tracking(server: str, spark: SparkSession) -> Iterator[MlflowClient]:
    """MLflow's client and the session use the server."""
    mlflow.set_tracking_uri(server)
    spark.conf.set(SETTING, server)
    yield MlflowClient()
    while mlflow.active_run():
        mlflow.end_run()
    flambeau.mlflow.autolog(disable=True)
    spark.conf.unset(SETTING)


@pytest.fixture
def points(spark: SparkSession) -> DataFrame:
    """Three clouds in the plane, 120 rows: `x` (array<float>), `label`, `held`."""
    source = np.random.default_rng(5)
    centers = np.array([[0, 3], [3, -2], [-3, -2]])
    rows = [([float(v) for v in centers[i % 3] + source.normal(size=2)], float(i % 3), i % 4 == 0) for i in range(120)]
    return spark.createDataFrame(rows, "x array<float>, label double, held boolean").coalesce(1)


def features(spark: SparkSession, model: str) -> Any:
    """Of one row, by SQL."""
    return spark.sql(STATEMENT.format(model)).collect()[0][0]


def failure(spark: SparkSession, model: str) -> str:
    """Condition and message."""
    with pytest.raises(FAILURES) as raised:
        features(spark, model)
    return f"{flambeau.condition_of(raised.value)} {raised.value}"


def classes(model: Any, rows: DataFrame) -> list[float]:
    """By row."""
    return [row.prediction for row in model.transform(rows).collect()]


def logged(experiment: str = "0") -> list[Any]:
    """The runs, the newest first."""
    return MlflowClient().search_runs([experiment], order_by=["attributes.start_time DESC"])


# ---- models


def test_a_package_is_a_model_wherever_a_location_is_taken(tracking: MlflowClient, spark: SparkSession) -> None:
    with mlflow.start_run() as active:
        info = flambeau.mlflow.log_model(PACKAGES / "tiny", registered_model_name="shapes")
        mlflow.log_artifacts(str(PACKAGES / "tiny"), "as it is/tiny")
        flambeau.mlflow.log_model(PACKAGES / "counts", "other", registered_model_name="shapes")
    tracking.set_registered_model_alias("shapes", "best", "1")
    run_id = active.info.run_id
    names = [
        "models:/shapes/1",
        "models:/shapes@best",
        info.model_uri,
        f"runs:/{run_id}/model",
        f"runs:/{run_id}/as it is/tiny",
    ]
    assert [features(spark, name) for name in names] == [TINY] * 5
    row = spark.sql("SELECT * FROM flambeau_register('latest', 'models:/shapes/latest')").collect()[0]
    assert row.model == "counts" and row.location.startswith("mlflow-artifacts:/")
    tracking.set_registered_model_alias("shapes", "best", "2")
    assert "items (other)" in failure(spark, "models:/shapes@best")
    flambeau.register(spark, "of_mlflow", "models:/shapes/1")
    rows = spark.createDataFrame([([1.0, 2.0, 3.0, 4.0],)], "x array<float>")
    assert rows.selectExpr("of_mlflow(x)").collect()[0][0] == TINY
    assert TorchModelTransformer(model="models:/shapes/1").transform(rows).collect()[0].features == TINY
    # What MLflow shows and checks.
    assert set(info.flavors) == {"flambeau"} and str(info.registered_model_version) == "1"
    assert info.signature.inputs.input_names() == ["x"] and info.signature.outputs.input_names() == [
        "features",
        "logits",
    ]


def test_load_model_gives_a_stage(
    tracking: MlflowClient, spark: SparkSession, points: DataFrame, tmp_path: Path
) -> None:
    package = flambeau.mlflow.log_model(PACKAGES / "tiny").model_uri
    rows = spark.createDataFrame([([1.0, 2.0, 3.0, 4.0],)], "x array<float>")
    stage = flambeau.mlflow.load_model(package)
    assert isinstance(stage, TorchModelTransformer) and stage.transform(rows).collect()[0].features == TINY
    head = TorchClassifier(featuresCol="x", maxEpochs=5, batchSize=32, learningRate=0.05, predictionCol="prediction")
    fitted = head.fit(points, {head.hiddenLayers: [4]})
    with mlflow.start_run():
        uri = flambeau.mlflow.log_model(fitted, registered_model_name="cloud").model_uri
    loaded = flambeau.mlflow.load_model(uri, tmp_path)
    assert isinstance(loaded, TorchClassificationModel) and loaded.getHiddenLayers() == [4] and loaded.numClasses == 3
    assert loaded.getFeaturesCol() == "x" and not loaded.hasSummary
    assert classes(loaded, points) == classes(fitted, points)
    best = points.selectExpr("classify(x, 'models:/cloud/1', 1)[0].index AS index").collect()
    assert [float(row["index"]) for row in best] == classes(fitted, points)
    loaded.save(str(tmp_path / "saved"))
    assert classes(TorchClassificationModel.load(str(tmp_path / "saved")), points) == classes(fitted, points)


def test_what_is_no_package(tracking: MlflowClient, spark: SparkSession, points: DataFrame, tmp_path: Path) -> None:
    with pytest.raises(FlambeauError, match="no model 'nowhere'"):
        flambeau.mlflow.save_model("nowhere", tmp_path / "none")
    shutil.copytree(PACKAGES / "tiny", tmp_path / "damaged")
    (tmp_path / "damaged" / "labels.txt").write_text("changed\n")
    with pytest.raises(FlambeauError, match="the manifest says"):
        flambeau.mlflow.save_model(tmp_path / "damaged", tmp_path / "none")
    with pytest.raises(FlambeauError, match="LogisticRegression cannot be logged"):
        flambeau.mlflow.save_model(LogisticRegression(), tmp_path / "two")
    with mlflow.start_run():
        of_sklearn = mlflow.sklearn.log_model(
            LogisticRegression().fit([[0.0], [1.0]], [0, 1]),
            name="linear",
            registered_model_name="linear",
            pip_requirements=[],
            serialization_format="pickle",
        )
    with pytest.raises(FlambeauError, match=r"its flavors are .*sklearn"):
        flambeau.mlflow.load_model(of_sklearn.model_uri)
    said = failure(spark, "models:/linear/1")
    assert said.startswith("FLAMBEAU_BAD_MODEL") and "log it with flambeau.mlflow.log_model" in said


def test_a_file_that_changed_on_the_server_is_not_run(
    tracking: MlflowClient, spark: SparkSession, folder: Path
) -> None:
    with mlflow.start_run():
        info = flambeau.mlflow.log_model(PACKAGES / "image_tiny", registered_model_name="changed")
    (program,) = folder.glob(f"artifacts/**/{info.model_id}/artifacts/package/model.pt")
    program.write_bytes(program.read_bytes()[:-1] + b"!")
    said = failure(spark, "models:/changed/1")
    assert said.startswith("FLAMBEAU_BAD_MODEL") and "was altered or damaged" in said


def test_artifacts_that_the_server_does_not_hand_out(
    tracking: MlflowClient, spark: SparkSession, tmp_path: Path
) -> None:
    experiment = mlflow.create_experiment("on a disk", artifact_location=(tmp_path / "disk").as_uri())
    with mlflow.start_run(experiment_id=experiment) as active:
        flambeau.mlflow.log_model(PACKAGES / "tiny", registered_model_name="on_disk")
    assert features(spark, "models:/on_disk/1") == features(spark, f"runs:/{active.info.run_id}/model") == TINY
    # A Hadoop file system, by its mount table.
    spark.conf.set("fs.viewfs.mounttable.shelf.link./all", PACKAGES.as_uri())
    tracking.create_registered_model("on_hadoop")
    tracking.create_model_version("on_hadoop", source="viewfs://shelf/all/tiny")
    assert features(spark, "models:/on_hadoop/1") == TINY
    other = "http://other.invalid:5000/api/2.0/mlflow-artifacts/artifacts/x"
    experiment = mlflow.create_experiment("on another server", artifact_location=other)
    with mlflow.start_run(experiment_id=experiment) as active:
        said = failure(spark, f"runs:/{active.info.run_id}/model")
    assert said.startswith("FLAMBEAU_MLFLOW") and "keeps the artifacts on another server (other.invalid:5000)" in said
    shutil.rmtree(tmp_path / "disk")
    said = failure(spark, "models:/on_disk/1")
    assert said.startswith("FLAMBEAU_UNKNOWN_MODEL") and "this machine has no such folder" in said
    spark.conf.unset("fs.viewfs.mounttable.shelf.link./all")


def test_names_that_the_server_does_not_know(tracking: MlflowClient, spark: SparkSession) -> None:
    with mlflow.start_run() as active:
        flambeau.mlflow.log_model(PACKAGES / "tiny", registered_model_name="known")
    run_id = active.info.run_id
    expected = {
        "models:/unknown/1": "name=unknown, version=1) not found",
        "models:/unknown/latest": "Registered Model with name=unknown not found",
        "models:/known/7": "name=known, version=7) not found",
        "models:/known@nobody": "alias nobody not found",
        "models:/known/Production": "no version in the stage 'Production'",
        "models:/m-unknown": "'m-unknown' not found",
        f"runs:/{'0' * 32}/model": "not found",
        f"runs:/{run_id}/nothing": "nothing has no model.toml",
        f"runs:/{run_id}/it's": "it's has no model.toml",
        f"runs:/{run_id}/../model": "has another form",
        f"runs:/{run_id}": "has another form: write models:/NAME/VERSION",
        "models:/": "has another form",
        "models://profile@databricks/known/1": "names a profile of Databricks",
    }
    said = {name: failure(spark, name.replace("'", "\\'")) for name in expected}
    assert {
        name: text
        for name, text in said.items()
        if not text.startswith("FLAMBEAU_UNKNOWN_MODEL") or expected[name] not in text
    } == {}


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A web server that is no MLflow: a page for `/page`, a redirect for everything else."""

    def do_GET(self) -> None:
        """Answers."""
        if self.path.startswith("/page"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")
        else:
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def test_servers_that_cannot_be_asked(spark: SparkSession) -> None:
    elsewhere = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
    other = f"http://127.0.0.1:{elsewhere.server_port}"
    expected = {
        "": "no MLflow server is set",
        f"http://127.0.0.1:{free_port()}": "cannot be reached: .*Connection refused",
        "http://no.such.host.invalid": "cannot resolve its name",
        f"{other}/page": "does not answer as an MLflow server does",
        other: "answers with a redirect",
        "sqlite:////tmp/mlflow.db": "is sqlite:, which only MLflow's Python client can read",
        "/tmp/mlruns": "is a folder, which only",
        "databricks": "'databricks', which needs Databricks' own client",
        "databricks://profile": "mlflow.artifacts.download_artifacts",
        "http://me:secret@127.0.0.1:5000": "has a user name in it",
        "http://a b": "is not a URI",
        "https:///path": "or no host",
        "http://127.0.0.1:5000/?token=secret": "has a '[?]' or '#' in it",
    }
    try:
        for address, words in expected.items():
            spark.conf.set(SETTING, address)
            said = failure(spark, "models:/known/1")
            assert said.startswith("FLAMBEAU_MLFLOW") and re.search(words, said) and "secret" not in said, said
            assert SETTING in said or "databricks" in address, said
    finally:
        elsewhere.shutdown()
        spark.conf.unset(SETTING)


def test_the_list_of_allowed_places_holds_models_of_mlflow_too(tracking: MlflowClient, spark: SparkSession) -> None:
    with mlflow.start_run() as active:
        flambeau.mlflow.log_model(PACKAGES / "tiny", registered_model_name="listed")
    allowed = {
        "models:/": ("models:/listed/1", "models:/listed/latest"),
        "models:/listed": ("models:/listed/1",),
        "models:/listed/1, embedded": ("models:/listed/1",),
        f"runs:/{active.info.run_id}": (f"runs:/{active.info.run_id}/model",),
    }
    refused = {
        "embedded": "models:/listed/1",
        "/": "models:/listed/1",
        "models:/list": "models:/listed/1",
        "models:/listed/2": "models:/listed/1",
        "models:/listed": f"runs:/{active.info.run_id}/model",
        "runs:/": "models:/listed/1",
    }
    try:
        for places, names in allowed.items():
            spark.conf.set(ALLOW, places)
            assert [features(spark, name) for name in names] == [TINY] * len(names)
        spark.conf.set(SETTING, f"http://127.0.0.1:{free_port()}")  # It is not even asked.
        for places, name in refused.items():
            spark.conf.set(ALLOW, places)
            said = failure(spark, name)
            assert said.startswith("FLAMBEAU_UNKNOWN_MODEL") and f"is outside of {ALLOW}" in said, said
    finally:
        spark.conf.unset(ALLOW)


# ---- other sessions


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server that asks for a password: the variables that a client and a driver need. It has `tiny` as `models:/shapes/1`."""
    secret = {"MLFLOW_FLASK_SERVER_SECRET_KEY": "of the test", "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD}
    folder = tmp_path_factory.mktemp("closed")
    with mlflow_server(folder, None, "--app-name", "basic-auth", **secret) as address:
        variables = {
            "MLFLOW_TRACKING_URI": address,
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            mlflow.set_tracking_uri(address)
            flambeau.mlflow.log_model(PACKAGES / "tiny", registered_model_name="shapes")
        yield variables


def shown(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The last line of a program, after a look for the password in all the others."""
    assert PASSWORD not in done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_connect_and_executors_that_get_the_package_from_the_driver(
    closed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in closed.items():
        monkeypatch.setenv(name, value)
    executors = tmp_path / "executors"
    executors.mkdir()
    settings = {
        "spark.master": "local-cluster[1,1,1024]",
        "spark.executor.extraJavaOptions": f"-Djava.io.tmpdir={executors}",
        "spark.flambeau.libtorch": os.environ.get("LIBTORCH", str(ROOT / ".libtorch")),
    }
    with connect_server(tmp_path, settings) as address:
        client = environment(PYTHONPATH=str(ROOT / "python"), SPARK_REMOTE=address)
        other = closed["MLFLOW_TRACKING_URI"].replace("127.0.0.1", "localhost")
        command: list[str | Path] = [sys.executable, PROGRAMS / "mlflow_client.py", "models:/shapes/1", other]
        found = shown(run(command, tmp_path, client))
    assert found["features"] == [[n * 2.0, 4.0, 6.0] for n in range(8)]
    # Another spelling of the address may be another server.
    assert found["refused"].startswith("FLAMBEAU_MLFLOW") and "no credentials were sent" in found["refused"]
    assert list(executors.glob("flambeau-*/package-*/model.toml"))
    assert PASSWORD not in (tmp_path / "server.log").read_text(encoding="utf-8", errors="replace")


# ---- trainings


def history(run_id: str, metric: str) -> list[float]:
    """Its values by epoch."""
    found = MlflowClient().get_metric_history(run_id, metric)
    assert [one.step for one in found] == list(range(1, len(found) + 1))
    return [one.value for one in found]


def test_a_fit_is_a_run(tracking: MlflowClient, spark: SparkSession, points: DataFrame) -> None:
    flambeau.mlflow.autolog(registered_model_name="clouds")
    head = TorchClassifier(featuresCol="x", maxEpochs=4, batchSize=32, hiddenLayers=[8], validationIndicatorCol="held")
    fitted = head.fit(points, {head.learningRate: 0.05})
    done = logged()[0]
    assert done.info.status == "FINISHED" and mlflow.active_run() is None
    wanted = {
        "estimator": "TorchClassifier",
        "maxEpochs": "4",
        "hiddenLayers": "[8]",
        "learningRate": "0.05",
        "batchSize": "32",
    }
    assert wanted.items() <= done.data.params.items()
    epochs = fitted.summary.history.collect()
    for column in ("trainLoss", "validationLoss", "accuracy", "learningRate"):
        assert history(done.info.run_id, column) == pytest.approx([row[column] for row in epochs])
    assert done.data.metrics["rows"] == 90 and done.data.metrics["validationRows"] == 30
    assert "training.png" in {one.path for one in tracking.list_artifacts(done.info.run_id)}
    best = points.selectExpr(f"classify(x, 'runs:/{done.info.run_id}/model', 1)[0].index AS index").collect()
    assert [float(row["index"]) for row in best] == classes(fitted, points)
    assert classes(flambeau.mlflow.load_model("models:/clouds/1"), points) == classes(fitted, points)
    # Without the package and the plot, and into the run of the user.
    flambeau.mlflow.autolog(log_models=False, log_plots=False)
    with mlflow.start_run() as active:
        head.fit(points)
    assert logged()[0].info.run_id == active.info.run_id and history(active.info.run_id, "trainLoss")
    assert tracking.list_artifacts(active.info.run_id) == []
    flambeau.mlflow.autolog(disable=True)
    head.fit(points)
    assert logged()[0].info.run_id == active.info.run_id


def test_a_fine_tuning_is_a_run(tracking: MlflowClient, spark: SparkSession, points: DataFrame, tmp_path: Path) -> None:
    export.trainable(
        nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3)),
        tmp_path / "net",
        name="net",
        license="Apache-2.0",
        inputs=[export.TensorInput("x", [2])],
        outputs=[export.Output("logits", "scores")],
        quiet=True,
    )
    flambeau.mlflow.autolog(log_plots=False)
    fitted = TorchEstimator(modelName=tmp_path / "net", featuresCol="x", maxEpochs=3, batchSize=32).fit(points)
    done = logged()[0]
    assert done.data.params["modelName"] == str(tmp_path / "net") and len(history(done.info.run_id, "trainLoss")) == 3
    assert classes(flambeau.mlflow.load_model(f"runs:/{done.info.run_id}/model"), points) == classes(fitted, points)


def test_several_fits_and_searches_are_runs_below_one(tracking: MlflowClient, points: DataFrame) -> None:
    flambeau.mlflow.autolog(log_models=False, log_plots=False)
    head = TorchClassifier(featuresCol="x", maxEpochs=2, batchSize=32)
    grid = ParamGridBuilder().addGrid(head.learningRate, [0.001, 0.1]).build()
    judge = MulticlassClassificationEvaluator(metricName="accuracy")

    def below(parent: Any) -> list[Any]:
        return [one for one in logged() if one.data.tags.get("mlflow.parentRunId") == parent.info.run_id]

    def newest() -> Any:
        return next(one for one in logged() if "mlflow.parentRunId" not in one.data.tags)

    before = len(logged())
    head.fit(points, grid)
    assert [float(one.data.params["learningRate"]) for one in below(newest())] == [0.1, 0.001]
    assert all(len(history(one.info.run_id, "trainLoss")) == 2 for one in below(newest()))
    searches = [
        CrossValidator(
            estimator=Pipeline(stages=[head]), estimatorParamMaps=grid, evaluator=judge, numFolds=2, parallelism=2
        ),
        RandomSearch(estimator=head, space={head.learningRate: choice(0.001, 0.1)}, evaluator=judge, numTrials=2),
    ]
    for search in searches:
        found = search.fit(points)
        parent = newest()
        assert parent.data.params["estimator"] == type(search).__name__ and parent.data.params["trials"] == "2"
        assert len(history(parent.info.run_id, "trainLoss")) == 2
        assert sorted(one.data.metrics["accuracy"] for one in below(parent)) == sorted(found.avgMetrics)
    assert len(logged()) == before + 9


def test_failures(tracking: MlflowClient, spark: SparkSession, points: DataFrame) -> None:
    flambeau.mlflow.autolog(silent=True)
    with pytest.raises(FAILURES, match="FLAMBEAU_BAD_ARGUMENT"):
        TorchClassifier(featuresCol="x", numWorkers=64).fit(points)
    assert logged()[0].info.status == "FAILED" and logged()[0].data.params["numWorkers"] == "64"
    # A server that is gone does not fail a training.
    mlflow.set_tracking_uri(f"http://127.0.0.1:{free_port()}")
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    try:
        fitted = TorchClassifier(featuresCol="x", maxEpochs=2, learningRate=0.05).fit(points)
    finally:
        del os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
    assert len(classes(fitted, points)) == 120 and all(
        math.isfinite(row.trainLoss) for row in fitted.summary.history.collect()
    )


def test_without_mlflow_the_import_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "mlflow.py").write_text("raise ImportError('No module named mlflow')\n")
    program = "import flambeau\ntry:\n    import flambeau.mlflow\nexcept ImportError as error:\n    print(error)"
    done = run([sys.executable, "-c", program], tmp_path, environment(PYTHONPATH=f"{tmp_path}:{ROOT / 'python'}"))
    assert done.stdout.strip() == "flambeau.mlflow needs MLflow: python -m pip install 'flambeau[mlflow]'"
