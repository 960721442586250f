"""The parameters of `flambeau.ml`'s stages: values that are kept, values that are rejected, and the names that Spark uses to find them.

In Connect mode a stage is parameters and the name of a Java class, so no JVM is needed here. What the stages do is tested
end to end under `tests/`.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from conftest import ROOT
from flambeau import ml

STAGES = [
    ml.DeepAudioFeaturizer,
    ml.DeepImageFeaturizer,
    ml.DeepImagePredictor,
    ml.DeepTextFeaturizer,
    ml.TorchModelTransformer,
]
ESTIMATORS = [
    ml.TorchClassifier,
    ml.TorchRegressor,
    ml.TorchEstimator,
    ml.GroupedTorchRegressor,
    ml.GroupedTorchClassifier,
]
MODELS = [
    ml.TorchClassificationModel,
    ml.TorchRegressionModel,
    ml.TorchEstimatorModel,
    ml.GroupedTorchRegressionModel,
    ml.GroupedTorchClassificationModel,
]


@pytest.fixture(autouse=True)
def connect_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_CONNECT_MODE_ENABLED", "1")


@pytest.mark.parametrize("stage", STAGES + ESTIMATORS)
def test_a_stage_stands_for_its_java_class(stage: Any) -> None:
    assert stage()._java_obj == f"io.flambeau.ml.{stage.__name__}"
    assert getattr(importlib.import_module("io.flambeau.ml"), stage.__name__) is stage


def test_the_java_name_costs_nothing_until_it_is_used() -> None:
    program = "import flambeau, sys; assert 'flambeau.ml' not in sys.modules; m = sys.modules['io.flambeau.ml']; m.DeepImageFeaturizer"
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(ROOT / "python"), "PATH": ""})


@pytest.mark.parametrize("stage", STAGES)
def test_defaults(stage: Any) -> None:
    made = stage()
    assert made.getHandleInvalid() == "error" and made.getSavePackage() is True
    assert made.getOutputType() == ("array" if stage is ml.TorchModelTransformer else "vector")
    assert not made.isDefined("errorCol")
    assert all(param.doc for param in made.params)
    assert stage.__doc__ and "handleInvalid" in made.explainParams()


@pytest.mark.parametrize("stage", ESTIMATORS)
def test_an_estimator_and_its_model_have_the_same_parameters(stage: Any) -> None:
    model = MODELS[ESTIMATORS.index(stage)]
    assert {param.name for param in stage().params} == {param.name for param in model().params}
    assert stage().getSeed() == 0 and "maxEpochs" in stage().explainParams()
    for param in stage().params:
        capital = param.name[0].upper() + param.name[1:]
        assert callable(getattr(stage, f"get{capital}")) and getattr(stage, f"set{capital}").__doc__


def test_an_estimators_arguments() -> None:
    stage = ml.TorchClassifier(hiddenLayers=[8, 4], learningRate=1, checkpointDir=Path("/c"), clipNorm=None)
    assert stage.getHiddenLayers() == [8, 4] and stage.getLearningRate() == 1.0 and stage.getCheckpointDir() == "/c"
    assert not stage.isDefined("clipNorm") and not stage.isDefined("patience")
    assert stage.setParams(batchSize=8).setNumWorkers(2).setLabelCol("y") is stage
    assert (stage.getBatchSize(), stage.getNumWorkers(), stage.getLabelCol()) == (8, 2, "y")
    with pytest.raises(TypeError, match="no parameter 'epochs'"):
        ml.TorchRegressor(epochs=3)  # type: ignore[call-arg]  # refused
    with pytest.raises(TypeError, match="no parameter 'inputcol'; did you mean 'inputCol'"):
        ml.DeepImageFeaturizer(inputcol="x")  # type: ignore[call-arg]  # refused
    with pytest.raises(TypeError, match="no parameter 'zzz'; it has errorCol, handleInvalid"):
        ml.DeepImageFeaturizer().setParams(zzz=1)  # type: ignore[call-arg]  # refused


def test_keyword_arguments_setters_and_set_params() -> None:
    stage = ml.DeepImagePredictor(inputCol="a", outputCol="b", modelName=Path("/models/net"), topK=3)
    assert (stage.getInputCol(), stage.getOutputCol(), stage.getModelName(), stage.getTopK()) == (
        "a",
        "b",
        "/models/net",
        3,
    )
    assert stage.getDecodePredictions() is True
    assert stage.setParams(topK=2, handleInvalid="skip") is stage
    assert stage.setErrorCol("why").setDecodePredictions(False).setOutputType("array").setSavePackage(False) is stage
    assert (stage.getInputCol(), stage.getTopK(), stage.getHandleInvalid(), stage.getErrorCol()) == (
        "a",
        2,
        "skip",
        "why",
    )
    assert (
        stage.getDecodePredictions() is False and stage.getOutputType() == "array" and stage.getSavePackage() is False
    )
    copied = stage.copy({stage.topK: 1})
    assert (copied.getTopK(), stage.getTopK(), copied.uid) == (1, 2, stage.uid)


def test_mappings_are_dicts_in_their_order() -> None:
    stage = ml.TorchModelTransformer(model="net", inputMapping={"b.c": "y", 'a"': "x"}, outputMapping={"é": "out"})
    assert list(stage.getInputMapping().items()) == [("b.c", "y"), ('a"', "x")]
    assert stage.getOutputMapping() == {"é": "out"}
    assert stage.setInputMapping({"a": "x"}).getInputMapping() == {"a": "x"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ml.DeepImageFeaturizer(modelName=3), "name, path or URI, not int"),  # type: ignore[arg-type]  # refused
        (lambda: ml.DeepImagePredictor(topK="many"), "topK"),  # type: ignore[arg-type]  # refused
        (lambda: ml.TorchModelTransformer(inputMapping=["a"]), "dict from names to names"),  # type: ignore[arg-type]  # refused
        (lambda: ml.TorchModelTransformer(outputMapping={"a": 1}), "dict from names to names"),  # type: ignore[dict-item]  # refused
        (lambda: ml.DeepTextFeaturizer(scaleHint="area"), "scaleHint"),  # type: ignore[call-arg]  # refused
        (lambda: cast("Any", ml.DeepAudioFeaturizer)("content"), "positional"),
    ],
)
def test_mistakes(make: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()
