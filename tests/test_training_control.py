"""What a training does besides its loss, as PySpark users set it: callbacks after epochs, averages, groups of parameters, own metrics."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pyspark.ml import Pipeline
from pyspark.ml.functions import array_to_vector
from pyspark.ml.param import Param
from pyspark.ml.tuning import ParamGridBuilder
from pyspark.sql.functions import col
from torch import nn

from flambeau import export
from flambeau.ml import EpochEnd, GroupedTorchRegressor, TorchClassifier, TorchEstimator
from support import FAILURES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@pytest.fixture
def points(spark: SparkSession) -> DataFrame:
    """Three clouds in the plane, 240 rows: `x` (array<float>), `features`, `label`, `held`."""
    source = np.random.default_rng(5)
    centers = np.array([[0, 3], [3, -2], [-3, -2]])
    rows = [([float(v) for v in centers[i % 3] + source.normal(size=2)], float(i % 3), i % 4 == 0) for i in range(240)]
    frame = spark.createDataFrame(rows, "x array<float>, label double, held boolean")
    return frame.withColumn("features", array_to_vector(col("x")))


class Net(nn.Module):
    """Two layers, and a metric of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 8), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))

    @torch.jit.export
    def top2(self, output: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return (output.topk(2, dim=1)[1] == label.unsqueeze(1)).any(dim=1).float()


def estimator(folder: Path) -> TorchEstimator:
    """Over a package of `Net` in this folder."""
    torch.manual_seed(1)
    export.trainable(
        Net(),
        folder,
        name="net",
        license="Apache-2.0",
        inputs=[export.TensorInput("x", [2])],
        outputs=[export.Output("logits", "scores")],
        quiet=True,
    )
    return TorchEstimator(
        modelName=folder, featuresCol="x", maxEpochs=4, learningRate=0.02, batchSize=32, validationIndicatorCol="held"
    )


def test_a_function_sees_each_epoch_and_stops_the_training(points: DataFrame) -> None:
    seen: list[EpochEnd] = []

    def note(epoch: EpochEnd) -> None:
        seen.append(epoch)
        if epoch.epoch == 3 and epoch.paramMap == 0:
            epoch.stop()

    classifier = TorchClassifier(maxEpochs=5, learningRate=0.05, batchSize=32, validationIndicatorCol="held")
    model: Any = Pipeline(stages=[classifier.setEpochCallback(note)]).fit(points).stages[0]
    history = model.summary.history.orderBy("epoch").collect()
    assert model.summary.stoppedEarly
    assert [epoch.epoch for epoch in seen] == [1, 2, 3] == [row.epoch for row in history]
    for epoch, row in zip(seen, history, strict=True):
        assert (epoch.trainLoss, epoch.validationLoss) == (row.trainLoss, row.validationLoss)
        assert epoch.metrics == {"accuracy": row.accuracy, "f1": row.f1}
        assert (epoch.maxEpochs, epoch.samples, epoch.learningRate) == (5, 180, 0.05)
    # Over a grid each training ends by itself.
    seen.clear()
    grid = ParamGridBuilder().addGrid(classifier.learningRate, [0.05, 0.01]).build()
    models = [model for _, model in sorted(classifier.fitMultiple(points, grid))]
    assert [model.summary.history.count() for model in models] == [3, 5]
    assert sorted((epoch.paramMap, epoch.epoch) for epoch in seen) == [(0, e) for e in (1, 2, 3)] + [
        (1, e) for e in (1, 2, 3, 4, 5)
    ]


def test_an_error_of_the_function_fails_the_fit(points: DataFrame) -> None:
    calls = []

    def fail(epoch: EpochEnd) -> None:
        calls.append(epoch.epoch)
        raise RuntimeError("the metrics server does not answer")

    classifier = TorchClassifier(maxEpochs=50, batchSize=32).setEpochCallback(fail)
    with pytest.raises(Exception, match="the metrics server does not answer"):
        classifier.fit(points)
    assert calls == [1]


def test_an_average_of_the_parameters(points: DataFrame) -> None:
    noisy = TorchClassifier(
        maxEpochs=6, optimizer="sgd", learningRate=2.0, batchSize=4, validationIndicatorCol="held", restoreBest=False
    )
    plain, averaged = noisy.fit(points), noisy.copy({noisy.emaDecay: 0.95}).fit(points)
    assert averaged.getEmaDecay() == 0.95
    losses = [model.summary.history.orderBy("epoch").tail(1)[0].validationLoss for model in (plain, averaged)]
    assert losses[1] < losses[0], "steps of this size jump about; their average does not"
    with pytest.raises(FAILURES, match="emaDecay"):
        GroupedTorchRegressor(groupCol="label", emaDecay=0.9).fit(points)


def test_groups_of_parameters_and_metrics_of_the_programs_own(points: DataFrame, tmp_path: Path) -> None:
    net = estimator(tmp_path / "net")
    before = torch.jit.load(str(tmp_path / "net" / "model.pt")).state_dict()

    def trained(name: str, **settings: Any) -> dict[str, torch.Tensor]:
        model = net.copy({net.getParam(key): value for key, value in settings.items()}).fit(points)
        model.savePackage(tmp_path / name)
        return dict(torch.jit.load(str(tmp_path / name / "model.pt")).state_dict())

    # A factor so small that nothing changes is as good as frozen; the head learns as if it were alone.
    slow = trained("slow", learningRateFactors=net.learningRateFactors.typeConverter({"body": 1e-12}))
    frozen = trained("frozen", frozen=["body"])
    assert all(torch.allclose(slow[name], frozen[name], atol=1e-6) for name in before)
    assert not torch.equal(slow["head.weight"], before["head.weight"])
    # The decay is so strong that only what is left out of it stays.
    decayed = trained("decayed", weightDecay=40.0, noWeightDecay=["*.bias"])
    assert decayed["body.0.weight"].abs().max() < before["body.0.weight"].abs().max() / 5
    assert (decayed["body.0.bias"] - before["body.0.bias"]).abs().max() < 0.5

    model = net.copy({net.metricMethods: ["top2"]}).fit(points)
    history = model.summary.history.collect()
    assert all(row.accuracy <= row.top2 <= 1 for row in history)
    assert history[-1].top2 > 0.9
    assert TorchEstimator(learningRateFactors={"body": 0.1}).getLearningRateFactors() == {"body": 0.1}


def test_mistakes(points: DataFrame, tmp_path: Path) -> None:
    net = estimator(tmp_path / "net")
    two = net.learningRateFactors.typeConverter({"body": 2, "*.bias": 3})
    mistakes: list[tuple[Param[Any], Any, str]] = [
        (net.learningRateFactors, two, r"learningRateFactors: both .* match the parameter body.0.bias"),
        (net.noWeightDecay, ["*norm*"], r"no parameter of model 'net' matches '\*norm\*' of noWeightDecay"),
        (net.metricMethods, ["top3"], r"metricMethods names top3: model 'net' has no such method, only top2"),
        (net.metricMethods, ["accuracy"], r"cannot have the name accuracy"),
    ]
    for setting, value, match in mistakes:
        with pytest.raises(FAILURES, match=match):
            net.copy({setting: value}).fit(points)
    with pytest.raises(FAILURES, match="set pairCol"):
        net.copy({net.loss: "contrastive"}).fit(points)
    with pytest.raises(FAILURES, match="pairCol is for the loss contrastive, not for cross_entropy"):
        net.copy({net.pairCol: "x"}).fit(points)
    with pytest.raises(TypeError, match="dict from names to numbers"):
        TorchEstimator(learningRateFactors=[0.1])  # type: ignore[arg-type]  # what a caller without a type checker may write
    with pytest.raises(FAILURES, match="learningRateFactors given invalid value"):
        net.copy({net.learningRateFactors: net.learningRateFactors.typeConverter({"body": 0})}).fit(points)


class Joint(nn.Module):
    """Classes and a number from one body, and a loss of both."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 8), nn.Tanh())
        self.classes = nn.Linear(8, 3)
        self.number = nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.body(x)
        return self.classes(features), self.number(features)

    @torch.jit.export
    def joint(self, logits: torch.Tensor, number: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        of_classes = nn.functional.cross_entropy(logits, label[:, 0].long(), reduction="none")
        return of_classes + 0.25 * (number[:, 0] - label[:, 1]).square()

    @torch.jit.export
    def apart(self, logits: torch.Tensor, number: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return (number[:, 0] - label[:, 1]).abs()


def test_a_loss_of_several_outputs_with_weights(points: DataFrame, tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = Joint()
    export.trainable(
        network,
        tmp_path / "joint",
        name="joint",
        license="Apache-2.0",
        inputs=[export.TensorInput("x", [2])],
        outputs=[export.Output("classes", "scores"), export.Output("number")],
        quiet=True,
    )
    rows = points.selectExpr("x", "array(label, double(x[0] + x[1])) AS both", "held").cache()
    steps = TorchEstimator(
        modelName=tmp_path / "joint",
        featuresCol="x",
        labelCol="both",
        loss="method:joint",
        maxEpochs=5,
        batchSize=rows.where("NOT held").count(),
        learningRate=0.01,
        validationIndicatorCol="held",
        metricMethods=["apart"],
        restoreBest=False,
    )
    history = steps.fit(rows).summary.history.orderBy("epoch").collect()
    x, both, held = (torch.tensor([row[column] for row in rows.collect()]) for column in ("x", "both", "held"))
    both = both.float()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=0.0)
    for row in history:
        logits, number = network(x[~held])
        loss = network.joint(logits, number, both[~held]).mean()
        assert row.trainLoss == pytest.approx(float(loss.detach()), rel=1e-4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            logits, number = network(x[held])
            assert row.apart == pytest.approx(float(network.apart(logits, number, both[held]).mean()), rel=1e-4)


def test_learning_rates_are_tried(points: DataFrame, tmp_path: Path) -> None:
    classifier = TorchClassifier(batchSize=32, validationIndicatorCol="held", patience=2, checkpointDir=tmp_path / "c")
    found = classifier.findLearningRate(points, start=1e-4, end=10.0, steps=60)
    assert found.learningRates[0] == pytest.approx(1e-4) and found.learningRates == sorted(found.learningRates)
    ratios = np.diff(np.log(found.learningRates))
    assert np.allclose(ratios, np.log(1e5) / 59) and len(found.losses) == len(found.smoothed) == len(ratios) + 1
    assert 1e-3 < found.suggestion < 3, "AdamW over features of size one"
    assert not (tmp_path / "c").exists(), "a trial writes nothing"
    figure = io.BytesIO()
    found.plot().savefig(figure, format="png")
    assert figure.getvalue().startswith(b"\x89PNG")
    # It is a good rate, and the estimator is as it was.
    assert classifier.getMaxEpochs() == 20 and not classifier.isSet(classifier.stepsPerEpoch)
    fitted = TorchClassifier(batchSize=32, learningRate=found.suggestion, maxEpochs=5, validationIndicatorCol="held")
    model = fitted.fit(points)
    assert model.summary.history.orderBy("epoch").tail(1)[0].accuracy > 0.9
    with pytest.raises(FAILURES, match="from a small one to a large one"):
        classifier.findLearningRate(points, start=1.0, end=0.1)


def test_epochs_of_a_few_steps(points: DataFrame) -> None:
    model = TorchClassifier(batchSize=32, stepsPerEpoch=3, maxEpochs=4).fit(points)
    assert [row.samples for row in model.summary.history.orderBy("epoch").collect()] == [96] * 4
    all_rows = TorchClassifier(batchSize=32, stepsPerEpoch=1000, maxEpochs=1).fit(points)
    assert all_rows.summary.history.collect()[0].samples == 240
