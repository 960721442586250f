"""ML stages in PySpark: compared with the functions, in pipelines, saved, loaded elsewhere, over Connect."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.functions import vector_to_array
from pyspark.ml.param import shared
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql.functions import col

from flambeau import functions as F
from flambeau import ml
from programs.ml_stages import predictions
from support import FAILURES, MODEL, PACKAGES, PROGRAMS, ROOT, environment, run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def program(task: str, folder: Path) -> dict[str, Any]:
    """Runs one of the programs in a process of its own; what it printed."""
    command: list[str | Path] = [sys.executable, PROGRAMS / "ml_stages.py", task, folder]
    done = run(command, cwd=folder, env=environment(PYTHONPATH=str(ROOT / "python")))
    return json.loads(done.stdout.splitlines()[-1])


def png(red: int, green: int, blue: int) -> bytearray:
    """A picture of one color."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (red, green, blue)).save(out, "PNG")
    return bytearray(out.getvalue())


@pytest.fixture
def colors(spark: SparkSession) -> DataFrame:
    """Forty pictures: reds with label 0, blues with label 1."""
    rows = [(i, png(160 + i, i, 40) if i % 2 == 0 else png(40, i, 160 + i), float(i % 2)) for i in range(40)]
    return spark.createDataFrame(rows, "id int, content binary, label double")


STAGES = [name for name in ml.__all__ if name.startswith(("Deep", "Torch", "Grouped")) and not name.endswith("Model")]


@pytest.mark.parametrize("name", STAGES)
def test_python_and_jvm_have_the_same_parameters(spark: SparkSession, name: str) -> None:
    stage = getattr(ml, name)()
    java = stage._java_obj
    assert {param.name() for param in java.params()} == {param.name for param in stage.params}
    for param in stage.params:
        ours, theirs = param, java.getParam(param.name)
        if not hasattr(shared, f"Has{param.name[0].upper()}{param.name[1:]}"):
            assert theirs.doc() == ours.doc
        assert java.hasDefault(theirs) == stage.hasDefault(ours), param
        if stage.hasDefault(ours):
            default = java.getDefault(theirs).get()
            assert (list(default) if isinstance(stage.getOrDefault(ours), list) else default) == stage.getOrDefault(
                ours
            ), param


def test_real_photos_give_the_functions_numbers(photo_table: DataFrame, photos: dict[str, tuple[str, ...]]) -> None:
    few = photo_table.where(col("file").isin("chelsea.png", "cheetah1.jpg", "lion.jpg"))
    featurizer = ml.DeepImageFeaturizer(inputCol="content", outputCol="features", modelName=MODEL)
    predictor = ml.DeepImagePredictor(inputCol="content", outputCol="labels", modelName=MODEL, topK=2)
    everything = ml.DeepImagePredictor(inputCol="content", outputCol="p", modelName=MODEL, decodePredictions=False)
    staged = PipelineModel([featurizer, predictor, everything]).transform(few)
    rows = staged.select(
        "file",
        "labels",
        "p",
        vector_to_array(col("features"), "float32").alias("features"),
        F.featurize("content", MODEL).alias("expected"),
        F.classify("content", MODEL, 2).alias("expected_labels"),
    ).collect()
    assert len(rows) == 3
    for row in rows:
        assert row.features == row.expected and len(row.features) == 1280
        assert row.labels == row.expected_labels
        p = row.p.toArray()
        assert len(p) == 1000 and p.sum() == pytest.approx(1, abs=1e-4) and int(np.argmax(p)) == row.labels[0]["index"]
        assert row.labels[0].label in photos[row.file]


def test_bad_rows(spark: SparkSession, vectors: DataFrame) -> None:
    stage = ml.TorchModelTransformer(model="tiny", outputMapping={"features": "f"})
    with pytest.raises(FAILURES, match="FLAMBEAU_BAD_INPUT"):
        stage.transform(vectors).collect()
    with pytest.raises(FAILURES, match=r"column 'x' is NULL.*handleInvalid"):
        stage.transform(vectors.where("id < 4")).collect()
    skipped = stage.copy({stage.handleInvalid: "skip"}).transform(vectors)
    assert sorted(row.id for row in skipped.collect()) == [1, 3]
    kept = stage.copy({stage.handleInvalid: "keep", stage.errorCol: "why"}).transform(vectors).orderBy("id").collect()
    assert [row.f for row in kept] == [[2, 4, 6], None, [0, 0, 10], None]
    assert [row.why is None for row in kept] == [True, False, True, False]
    assert "the model takes 4" in kept[3].why


def test_mistakes_are_said_before_anything_runs(vectors: DataFrame) -> None:
    with pytest.raises(FAILURES, match=r"FLAMBEAU_BAD_ARGUMENT.*no column 'y'.*id, x"):
        ml.TorchModelTransformer(model="tiny", inputMapping={"y": "x"}).transform(vectors)
    with pytest.raises(FAILURES, match="there is already a column 'id'"):
        ml.TorchModelTransformer(model="tiny", outputMapping={"features": "id"}).transform(vectors)
    with pytest.raises(FAILURES, match="FLAMBEAU_UNKNOWN_MODEL"):
        ml.DeepImageFeaturizer(inputCol="x", outputCol="f", modelName="nowhere").transform(vectors)
    with pytest.raises(FAILURES, match="use TorchModelTransformer"):
        ml.DeepImageFeaturizer(inputCol="x", outputCol="f", modelName="tiny").transform(vectors)
    with pytest.raises(FAILURES, match="handleInvalid"):
        ml.TorchModelTransformer(model="tiny", handleInvalid="ignore").transform(vectors)


def test_cross_validated_pipeline_in_a_new_process_without_the_package(colors: DataFrame, tmp_path: Path) -> None:
    shutil.copytree(PACKAGES / "image_tiny", tmp_path / "original")
    featurizer = ml.DeepImageFeaturizer(inputCol="content", outputCol="features", modelName=tmp_path / "original")
    regression = LogisticRegression(maxIter=10)
    validator = CrossValidator(
        estimator=Pipeline(stages=[featurizer, regression]),
        estimatorParamMaps=ParamGridBuilder().addGrid(regression.regParam, [0.0, 10.0]).build(),
        evaluator=MulticlassClassificationEvaluator(metricName="accuracy"),
        numFolds=2,
        seed=1,
    )
    fitted = validator.fit(colors)
    assert fitted.avgMetrics[0] == 1.0
    fitted.save(str(tmp_path / "fitted"))
    colors.write.parquet(str(tmp_path / "rows"))
    expected = predictions(fitted.transform(colors))
    shutil.rmtree(tmp_path / "original")

    elsewhere = program("load", tmp_path)
    assert elsewhere["predictions"] == expected
    module, _, name = elsewhere["class"].rpartition(".")
    assert module.startswith("flambeau.ml") and name == "DeepImageFeaturizer"
    assert elsewhere["modelName"].startswith("file:") and f"{tmp_path}/fitted/bestModel/" in elsewhere["modelName"]


def test_an_embedded_model_is_carried_too_or_only_named(photo_table: DataFrame, tmp_path: Path) -> None:
    photo = photo_table.where("file = 'chelsea.png'")
    stage = ml.DeepImageFeaturizer(inputCol="content", outputCol="features", modelName=MODEL, outputType="array")
    stage.write().overwrite().save(str(tmp_path / "carried"))
    assert (tmp_path / "carried" / "package" / "model.toml").is_file()
    carried = ml.DeepImageFeaturizer.load(str(tmp_path / "carried"))
    assert carried.uid == stage.uid and carried.getOutputType() == "array"
    assert carried.transform(photo).select("features").collect() == stage.transform(photo).select("features").collect()
    stage.setSavePackage(False).save(str(tmp_path / "named"))
    assert not (tmp_path / "named" / "package").exists()
    assert ml.DeepImageFeaturizer.load(str(tmp_path / "named")).getModelName() == MODEL


def test_over_connect(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    shutil.copytree(PACKAGES / "tiny", tmp_path / "models" / "tiny")
    result = program("connect", tmp_path)
    assert [row["f"] for row in result["kept"]] == [[2, 4, 6], None, None]
    assert [row["why"] is None for row in result["kept"]] == [True, False, False]
    assert result["loaded"] == result["kept"]
    assert result["loadedName"].endswith("/stage/package")
    assert len(result["fitted"]) == 40 and result["refitted"] == result["fitted"]
    assert result["metrics"][0] == 1.0 > result["metrics"][1]
    assert result["bestLoaded"] == result["best"]
    assert result["trained"] == result["labels"]
    assert (tmp_path / "trained" / "package" / "model.toml").is_file()


def test_a_session_without_the_extension_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    shutil.copytree(PACKAGES / "tiny", tmp_path / "models" / "tiny")
    assert "flambeau.configure" in program("bare", tmp_path)["error"]
