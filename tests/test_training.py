"""Training as PySpark users do it: heads and whole networks, saved, searched, watched, canceled."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.param import Param
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder, TrainValidationSplit
from pyspark.sql.functions import col, concat
from torch import nn

import flambeau
import support
from flambeau import export
from flambeau.ml import (
    GroupedTorchClassificationModel,
    GroupedTorchClassifier,
    GroupedTorchRegressionModel,
    GroupedTorchRegressor,
    RandomSearch,
    SearchModel,
    SuccessiveHalving,
    TorchClassificationModel,
    TorchClassifier,
    TorchEstimator,
    TorchRegressor,
    choice,
    log_uniform,
)
from flambeau.ml._spaces import Draw
from flambeau.models import open_package
from support import FAILURES, PACKAGES, wait_until

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@pytest.fixture
def points(spark: SparkSession) -> DataFrame:
    """Three clouds in the plane, 240 rows: `id`, `x` (array<float>), `features`, `label`, `held`."""
    source = np.random.default_rng(5)
    centers = np.array([[0, 3], [3, -2], [-3, -2]])
    rows = [
        (i, [float(v) for v in centers[i % 3] + source.normal(size=2)], float(i % 3), i % 4 == 0) for i in range(240)
    ]
    frame = spark.createDataFrame(rows, "id int, x array<float>, label double, held boolean")
    return frame.withColumn("features", array_to_vector(col("x")))


def probabilities(model: Any, rows: DataFrame) -> np.ndarray:
    """By row."""
    found = model.transform(rows).select("id", vector_to_array(col("probability")).alias("p")).orderBy("id").collect()
    return np.array([row.p for row in found])


def parameters(model: TorchClassificationModel, folder: Path) -> list[torch.Tensor]:
    """Those of the model's program, in its own order."""
    model.savePackage(folder)
    return [parameter.detach().clone() for parameter in torch.jit.load(str(folder / "model.pt")).parameters()]


def test_fit_transform_save_load_and_sql(spark: SparkSession, points: DataFrame, tmp_path: Path) -> None:
    classifier = TorchClassifier(maxEpochs=10, learningRate=0.05, batchSize=32, hiddenLayers=[8])
    pipeline = Pipeline(stages=[classifier]).fit(points)
    predicted = pipeline.transform(points)
    assert MulticlassClassificationEvaluator(metricName="accuracy").evaluate(predicted) > 0.95
    pipeline.save(str(tmp_path / "fitted"))
    loaded = PipelineModel.load(str(tmp_path / "fitted"))
    assert np.array_equal(probabilities(loaded, points), probabilities(pipeline, points))
    model = loaded.stages[0]
    assert isinstance(model, TorchClassificationModel) and model.getHiddenLayers() == [8] and not model.hasSummary
    assert model.numClasses == 3 and model.uid == classifier.uid
    model.savePackage(tmp_path / "package")
    flambeau.register(spark, "cloud", tmp_path / "package")
    points.createOrReplaceTempView("clouds")
    best = spark.sql("SELECT label, cloud(x)[0].index AS guess FROM clouds").collect()
    assert sum(row.label == row.guess for row in best) > 228
    classifier.save(str(tmp_path / "estimator"))
    assert TorchClassifier.load(str(tmp_path / "estimator")).getHiddenLayers() == [8]


def test_the_rate_falls_to_zero_or_when_the_metric_stays(points: DataFrame) -> None:
    head = TorchClassifier(maxEpochs=8, batchSize=60, learningRate=0.08, validationIndicatorCol="held")
    plateau: dict[Param[Any], Any] = {
        head.schedule: "plateau",
        head.stepEpochs: 2,
        head.gamma: 0.5,
        head.minDelta: 10.0,
        head.metric: "accuracy",
    }
    linear, fallen = head.fit(points, [{head.schedule: "linear", head.warmupSteps: 3}, plateau])
    rates = [
        [row.learningRate for row in model.summary.history.orderBy("epoch").collect()] for model in (linear, fallen)
    ]
    # Three steps an epoch, and the row has the last one's rate: after the warm-up 2, 5, … of 21 steps are done.
    assert rates[0] == pytest.approx([0.08, *(0.08 * (1 - done / 21) for done in range(2, 21, 3))])
    # No accuracy is 10 better than the first one.
    assert rates[1] == pytest.approx([0.08, 0.08, 0.08, 0.04, 0.04, 0.02, 0.02, 0.01])


def test_a_head_behind_its_featurizer_is_two_programs(points: DataFrame, tmp_path: Path) -> None:
    wide = points.select("*", concat("x", "x").alias("v"))
    head = TorchClassifier(modelName=str(PACKAGES / "tiny"), featuresCol="v", maxEpochs=8, batchSize=32)
    models = head.fit(wide, [{head.learningRate: rate} for rate in (0.001, 0.05)])
    folder = tmp_path / "package"
    models[1].savePackage(folder)
    package = open_package(folder)
    assert package.problems() == []
    (variant,) = package.manifest()["variant"]
    assert set(variant["head"]) == {"file", "sha256", "reads", "index"}
    assert variant["sha256"] == open_package(PACKAGES / "tiny").manifest()["variant"][0]["sha256"]
    front, behind = (torch.jit.load(str(folder / name)) for name in (variant["file"], variant["head"]["file"]))
    rows = torch.tensor([row.v for row in wide.orderBy("id").collect()])
    given = front(rows)
    features = given[variant["head"]["reads"] if isinstance(given, dict) else variant["head"]["index"]]
    expected = torch.softmax(behind(features.flatten(1)), 1).detach().numpy()
    assert np.abs(probabilities(models[1], wide) - expected).max() < 1e-5
    alone = head.copy({head.learningRate: 0.05}).fit(wide)
    assert np.abs(probabilities(models[1], wide) - probabilities(alone, wide)).max() < 1e-4
    assert np.abs(probabilities(models[0], wide) - expected).max() > 0.01


def test_the_history_as_a_table_and_as_a_plot(points: DataFrame, tmp_path: Path) -> None:
    model = TorchClassifier(
        maxEpochs=60,
        learningRate=0.3,
        validationIndicatorCol="held",
        metric="accuracy",
        patience=4,
        logDir=tmp_path / "logs",
    ).fit(points)
    rows = model.summary.history.orderBy("epoch").collect()
    assert [row.epoch for row in rows] == list(range(1, len(rows) + 1)) and model.summary.stoppedEarly
    assert all(row.samples == 180 and 0 <= row.accuracy <= 1 and row.validationLoss > 0 for row in rows)
    assert (model.summary.rows, model.summary.validationRows) == (180, 60)
    picture = io.BytesIO()
    model.summary.plot().savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")
    files = list((tmp_path / "logs").glob("*/events.out.tfevents.*"))
    assert len(files) == 1
    assert scalars(files[0])["loss/train"] == pytest.approx([row.trainLoss for row in rows], rel=1e-6)


def scalars(path: Path) -> dict[str, list[float]]:
    """The scalars of an event file, read by TensorBoard's own loader."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[str, list[float]] = {}
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            found.setdefault(value.tag, []).append(
                value.tensor.float_val[0] if value.HasField("tensor") else value.simple_value
            )
    return found


def test_a_full_batch_is_the_same_as_a_loop_in_torch(points: DataFrame, tmp_path: Path) -> None:
    """From the head's own first parameters, with AdamW, a cosine schedule, class weights and weight decay."""
    shared: dict[str, Any] = {
        "batchSize": 240,
        "hiddenLayers": [6],
        "activation": "tanh",
        "seed": 9,
        "classWeights": [1.0, 2.0, 0.5],
    }
    first = parameters(TorchClassifier(learningRate=1e-12, maxEpochs=1, **shared).fit(points), tmp_path / "first")
    for workers in (1, 2):
        model = TorchClassifier(
            learningRate=0.05, maxEpochs=12, weightDecay=0.1, clipNorm=0.7, numWorkers=workers, **shared
        ).fit(points)
        ours = parameters(model, tmp_path / f"ours-{workers}")
        net = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 3))
        shapes = [p.shape for p in net.parameters()]
        by_shape = [next(p for p in first if p.shape == shape) for shape in shapes]
        with torch.no_grad():
            for parameter, value in zip(net.parameters(), by_shape):
                parameter.copy_(value)
        rows = points.orderBy("id").collect()
        x = torch.tensor([row.x for row in rows])
        y = torch.tensor([int(row.label) for row in rows])
        loss_of = nn.CrossEntropyLoss(weight=torch.tensor(shared["classWeights"]))
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.05, weight_decay=0.1)
        for _ in range(12):
            optimizer.zero_grad()
            loss_of(net(x), y).backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.7)
            optimizer.step()
        for parameter, shape in zip(net.parameters(), shapes):
            mine = next(p for p in ours if p.shape == shape)
            assert torch.allclose(parameter, mine, atol=2e-4), (workers, shape, (parameter - mine).abs().max())


def test_searches(points: DataFrame, spark: SparkSession, tmp_path: Path) -> None:
    head = TorchClassifier(maxEpochs=4, batchSize=32)
    judge = MulticlassClassificationEvaluator(metricName="accuracy")
    grid = ParamGridBuilder().addGrid(head.learningRate, [0.05, 1e-6]).build()
    best = CrossValidator(
        estimator=head, estimatorParamMaps=grid, evaluator=judge, numFolds=2, parallelism=2, seed=1
    ).fit(points)
    assert best.avgMetrics[0] > 0.9 > best.avgMetrics[1]
    split = TrainValidationSplit(estimator=head, estimatorParamMaps=grid, evaluator=judge, parallelism=2, seed=1).fit(
        points
    )
    assert split.validationMetrics[0] > 0.9 > split.validationMetrics[1]
    space: dict[Param[Any], Draw] = {head.learningRate: log_uniform(1e-6, 0.1), head.hiddenLayers: choice([], [8])}
    found = RandomSearch(estimator=head, space=space, evaluator=judge, numTrials=6, seed=2, parallelism=2).fit(points)
    assert max(found.avgMetrics) > 0.8 and found.transform(points).count() == 240
    table = found.trials.collect()
    assert len(table) == 6 and table[0].metric == max(found.avgMetrics)
    assert found.bestModel.getLearningRate() == pytest.approx(table[0].learningRate)
    halving = SuccessiveHalving(head, space, judge, head.maxEpochs, numTrials=6, maxResource=9, seed=2)
    halved = halving.fit(points)
    rounds = [(row.round, row.resource) for row in halved.trials.collect()]
    assert sorted(rounds) == [(0, 1)] * 6 + [(1, 3)] * 2 + [(2, 9)]
    found.save(str(tmp_path / "found"))
    loaded = SearchModel.load(str(tmp_path / "found"))
    assert loaded.uid == found.uid and loaded.avgMetrics == found.avgMetrics and loaded.trials.collect() == table
    assert np.array_equal(probabilities(loaded, points), probabilities(found, points))
    halving.save(str(tmp_path / "halving"))
    again = SuccessiveHalving.load(str(tmp_path / "halving"))
    assert again.space == space and again.resource == head.maxEpochs and again.getMaxResource() == 9
    assert again.fit(points).trials.collect() == halved.trials.collect()
    other = halving.copy({halving.numTrials: 2, head.batchSize: 7})
    assert (other.getNumTrials(), other.estimator.getOrDefault("batchSize")) == (2, 7) and halving.getNumTrials() == 6
    assert head.getBatchSize() != 7
    halving.space = {head.learningRate: lambda source: source.random()}
    with pytest.raises(TypeError, match="cannot be saved"):
        halving.save(str(tmp_path / "refused"))
    assert not (tmp_path / "refused").exists()
    figure = io.BytesIO()
    halved.plot().savefig(figure, format="png")
    assert figure.getvalue().startswith(b"\x89PNG")


class Net(nn.Module):
    """A small network with everything that differs between training and inference, and a loss of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))

    @torch.jit.export
    def own_loss(self, output: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(output, label.long().flatten(), reduction="none")

    @torch.jit.export
    def picky_loss(self, output: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        if bool((label == 2).any()):
            raise ValueError("label 2 is not for this loss")
        return self.own_loss(output, label)


def write_net(folder: Path) -> None:
    """`Net` as a package that can be trained."""
    export.trainable(
        Net(),
        folder,
        name="net",
        license="Apache-2.0",
        inputs=[export.TensorInput("x", [2])],
        outputs=[export.Output("logits", "scores")],
        quiet=True,
    )


def test_a_whole_network(spark: SparkSession, points: DataFrame, tmp_path: Path) -> None:
    torch.manual_seed(1)
    write_net(tmp_path / "net")
    estimator = TorchEstimator(
        modelName=tmp_path / "net", featuresCol="x", maxEpochs=15, learningRate=0.02, batchSize=32, balance=True
    )
    judge = MulticlassClassificationEvaluator(metricName="accuracy")
    model = estimator.fit(points)
    assert judge.evaluate(model.transform(points)) > 0.95
    model.save(str(tmp_path / "fitted"))
    loaded = type(model).load(str(tmp_path / "fitted"))
    assert np.array_equal(probabilities(loaded, points), probabilities(model, points))
    before = torch.jit.load(str(tmp_path / "net" / "model.pt")).state_dict()
    frozen = estimator.copy({estimator.frozen: ["body*"], estimator.maxEpochs: 3}).fit(points)
    frozen.savePackage(tmp_path / "frozen")
    after = torch.jit.load(str(tmp_path / "frozen" / "model.pt")).state_dict()
    same = {name: torch.equal(before[name], value) for name, value in after.items()}
    assert all(same[name] for name in same if name.startswith("body")), same
    assert not same["head.weight"]
    with pytest.raises(FAILURES, match="trainable"):
        TorchEstimator(modelName="tiny", featuresCol="x").fit(points)
    own = TorchEstimator(
        modelName=tmp_path / "net",
        featuresCol="x",
        maxEpochs=15,
        learningRate=0.02,
        batchSize=32,
        loss="method:own_loss",
    )
    predicted = own.fit(points).transform(points).select("label", "prediction").collect()
    assert np.mean([int(np.argmax(row.prediction.toArray())) == row.label for row in predicted]) > 0.95


def test_a_model_for_each_group(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.range(600).selectExpr(
        "id % 20 AS shop", "array(float(sin(id)), float(cos(id))) AS features", "(id % 20) * sin(id) + 1 AS label"
    )
    estimator = GroupedTorchRegressor(groupCol="shop", maxEpochs=200, learningRate=0.3, numWorkers=2)
    model = estimator.fit(rows)
    assert model.models.count() == 20 and model.models.where("loss < 0.01").count() == 20
    model.save(str(tmp_path / "groups"))
    loaded = GroupedTorchRegressionModel.load(str(tmp_path / "groups"))
    worst = loaded.transform(rows).selectExpr("max(abs(prediction - label))").head()
    assert worst is not None and worst[0] < 0.5


def test_a_classifier_for_each_group(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.range(600).selectExpr(
        "id % 20 AS shop", "array(float(sin(id)), float(cos(id))) AS features", "int(sin(id + id % 20) > 0) AS label"
    )
    model = GroupedTorchClassifier(groupCol="shop", maxEpochs=100, learningRate=0.3, numWorkers=2).fit(rows)
    assert model.numClasses == 2 and model.models.count() == 20
    model.save(str(tmp_path / "groups"))
    loaded = GroupedTorchClassificationModel.load(str(tmp_path / "groups"))
    predicted = loaded.transform(rows)
    assert predicted.columns[3:] == ["rawPrediction", "probability", "prediction"]
    assert predicted.where("prediction = label").count() > 580
    assert loaded.numClasses == 2 and predicted.collect() == model.transform(rows).collect()


def training_folders(folder: Path) -> set[str]:
    """The folders where workers keep their rows. `os.walk` ignores folders that vanish meanwhile; `glob` does not."""
    import os

    return {name for _, names, _ in os.walk(folder) for name in names if name.startswith("flambeau-training-")}


def test_a_canceled_fit_ends_and_leaves_nothing(spark: SparkSession, points: DataFrame) -> None:
    stats = support.jvm(spark).io.flambeau.bridge.NativeStats
    folder = Path(spark.sparkContext._jsc.sc().getConf().get("spark.local.dir", "/tmp"))
    wait_until(lambda: int(stats.liveHandles()) == 0, "what ran before is closed")
    before = training_folders(folder)
    tracker = spark.sparkContext.statusTracker()
    ended: list[BaseException | None] = []
    endless = TorchClassifier(maxEpochs=1_000_000, hiddenLayers=[64], numWorkers=2, featuresCol="x")

    def work() -> None:
        try:
            endless.fit(points)
            ended.append(None)
        except Exception as error:
            ended.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    wait_until(lambda: training_folders(folder) > before, "the fit writes its dataset")
    wait_until(lambda: int(stats.liveHandles()) > 0 or not worker.is_alive(), "the workers are in native code")
    # A job that Spark has not begun is not canceled.
    wait_until(lambda: len(tracker.getActiveJobsIds()) > 0 or not worker.is_alive(), "the job runs")
    assert worker.is_alive(), ended
    spark.sparkContext.cancelAllJobs()
    worker.join(300)
    assert not worker.is_alive(), "the fit goes on after it was canceled"
    wait_until(lambda: int(stats.liveHandles()) == 0, "handles are closed")
    wait_until(lambda: training_folders(folder) <= before, "files are removed")
    assert "cancel" in str(ended[0]).lower()


def test_mistakes(points: DataFrame) -> None:
    with pytest.raises(FAILURES, match=r"numWorkers is 3.*runs 2 tasks"):
        TorchClassifier(numWorkers=3).fit(points)
    with pytest.raises(FAILURES, match="FLAMBEAU_DIVERGED"):
        TorchRegressor(optimizer="sgd", learningRate=1e30).fit(points)
    with pytest.raises(FAILURES, match=r"row .* of partition"):
        TorchClassifier().fit(points.withColumn("label", col("label") + 0.5))
    with pytest.raises(FAILURES, match=r"all 240 training rows have weight 0"):
        TorchClassifier(weightCol="none").fit(points.withColumn("none", col("label") * 0))


def test_mistakes_in_a_whole_network(points: DataFrame, tmp_path: Path) -> None:
    write_net(tmp_path / "net")
    net = TorchEstimator(modelName=tmp_path / "net", featuresCol="x", batchSize=32, numWorkers=2)
    with pytest.raises(FAILURES, match=r"'method:own_lose': model 'net' has no such method, only own_loss"):
        net.copy({net.loss: "method:own_lose"}).fit(points)
    with pytest.raises(FAILURES, match=r"no parameter of model 'net' matches 'bdoy\*' of frozen"):
        net.copy({net.frozen: ["bdoy*"]}).fit(points)
    # A program error in the part of one worker is what both say, and not that they lost each other.
    with pytest.raises(FAILURES, match="FLAMBEAU_NATIVE") as failure:
        net.copy({net.loss: "method:picky_loss"}).fit(points.where("label < 2 OR id = 2"))
    assert "label 2 is not for this loss" in str(failure.value)


def test_what_a_picture_may_cost_holds_in_training(spark: SparkSession, tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(picture, "png")
    rows = spark.createDataFrame([(picture.getvalue(), float(i % 2)) for i in range(8)], "image binary, label double")
    export.trainable(
        nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2)),
        tmp_path / "net",
        name="net",
        license="Apache-2.0",
        inputs=[export.ImageInput(resize=8, crop=8)],
        outputs=[export.Output("logits", "scores")],
        quiet=True,
    )
    net = TorchEstimator(modelName=tmp_path / "net", featuresCol="image", batchSize=8, maxEpochs=1)
    assert net.fit(rows).summary.rows == 8
    spark.conf.set("spark.flambeau.image.maxPixels", "199")
    try:
        with pytest.raises(FAILURES, match=r"20 x 10 pixels, more than the 199 allowed"):
            net.fit(rows)
    finally:
        spark.conf.unset("spark.flambeau.image.maxPixels")
    # A JPEG with far more pixels than the net uses is shrunk while it is decoded, if the session has this setting: in
    # training and after it.
    stripes = io.BytesIO()
    Image.linear_gradient("L").resize((400, 300)).rotate(30).convert("RGB").save(stripes, "jpeg", quality=40)
    large = spark.createDataFrame(
        [(stripes.getvalue(), float(i % 2), i) for i in range(8)], "image binary, label double, id long"
    )
    gradient = net.fit(large)
    exact = (probabilities(gradient, large.limit(1)), gradient.summary.history.first().trainLoss)
    spark.conf.set("spark.flambeau.image.decode", "auto")
    try:
        shrunk = (probabilities(gradient, large.limit(1)), net.fit(large).summary.history.first().trainLoss)
    finally:
        spark.conf.unset("spark.flambeau.image.decode")
    assert (shrunk[0] != exact[0]).any() and np.abs(shrunk[0] - exact[0]).max() < 0.01
    assert shrunk[1] != exact[1] and shrunk[1] == pytest.approx(exact[1], rel=0.05)
