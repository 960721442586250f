"""Packages and fitted models as models of MLflow.

What lives here: the flavor `flambeau`. A model of MLflow is a folder with a file `MLmodel`. In ours, the folder `package` has the model
package as it is, and the flavor says which stage it was fitted as, with its parameters. So `models:/…` is a model like any other for SQL
and Scala, which read the package only, and `load_model` gives back the stage.

The jar looks for the package under the same name: jvm/src/main/scala/io/flambeau/models/MlflowModels.scala.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.types.schema import Array

from .. import models as packages
from ..session import FlambeauError
from ..version import __version__

if TYPE_CHECKING:
    from mlflow.models.model import ModelInfo
    from pyspark.ml import Transformer

    from ..ml import TorchClassificationModel, TorchEstimatorModel, TorchRegressionModel

    Loggable = str | os.PathLike[str] | TorchClassificationModel | TorchEstimatorModel | TorchRegressionModel

FLAVOR = "flambeau"
PACKAGE = "package"
"""The folder of the package in a model of MLflow."""
FITTED = ("TorchClassificationModel", "TorchEstimatorModel", "TorchRegressionModel")
"""Stages that are a package and parameters."""

_TYPES = {
    "f32": DataType.float,
    "f16": DataType.float,
    "bf16": DataType.float,
    "f64": DataType.double,
    "i64": DataType.long,
    "i32": DataType.integer,
    "i16": DataType.integer,
    "i8": DataType.integer,
    "u8": DataType.integer,
    "bool": DataType.boolean,
}
"""The type of a number in a package -> its type in a signature."""


def log_model(
    model: Loggable,
    name: str = "model",
    *,
    registered_model_name: str | None = None,
    signature: ModelSignature | None = None,
    **more: Any,
) -> ModelInfo:
    """Logs a package or a fitted model as a model of MLflow, to the active run if there is one.

    The result's `model_uri`, `runs:/<run id>/<name>` and, if it is registered, `models:/<registered name>/<version>` are then models like
    any other: in SQL, in `flambeau.register`, in stages.

    Args:
        model: a package (path of its folder or `.zip`, or the name of one in the jars), or a fitted `TorchClassificationModel`,
            `TorchRegressionModel` or `TorchEstimatorModel`.
        name: the model's name in the run.
        registered_model_name: also registers it, as a new version of this name.
        signature: inputs and outputs; default: those that the package declares.
        more: other arguments of `mlflow.models.Model.log`, such as `metadata`, `tags` and `run_id`.

    Raises:
        FlambeauError: it is not a package, or it is damaged. Or it is a fitted model of Spark Connect, whose files are on the server.
        mlflow.exceptions.MlflowException: the server cannot be reached, or refuses.
    """
    info: ModelInfo = Model.log(
        artifact_path=None,
        name=name,
        flavor=sys.modules[__package__],
        registered_model_name=registered_model_name,
        model=model,
        signature=signature,
        **more,
    )
    return info


def save_model(
    model: Loggable,
    path: str | os.PathLike[str],
    mlflow_model: Model | None = None,
    signature: ModelSignature | None = None,
) -> None:
    """Writes a package or a fitted model as a model of MLflow into a new local folder. Arguments and errors as for `log_model`.

    Args:
        path: the folder; it must be empty or not exist.
        mlflow_model: what else the file `MLmodel` says.
    """
    target = Path(path)
    if target.is_dir() and any(target.iterdir()):
        raise FlambeauError(f"{target} already has files")
    target.mkdir(parents=True, exist_ok=True)
    stage = _write_package(model, target / PACKAGE)
    described = Model() if mlflow_model is None else mlflow_model
    described.signature = signature or _signature(packages.open_package(target / PACKAGE).manifest())
    described.add_flavor(FLAVOR, package=PACKAGE, stage=stage, flambeau_version=__version__)
    described.save(os.fspath(target / MLMODEL_FILE_NAME))


def load_model(model_uri: str, dst_path: str | os.PathLike[str] | None = None) -> Transformer:
    """Downloads a model of MLflow, through MLflow's client, and gives it as a Spark ML stage.

    A model that was logged as a fitted model is that stage again, with its parameters. A model that was logged as a package is a
    `TorchModelTransformer` of it.

    Args:
        model_uri: `models:/…`, `runs:/…`, or any other URI of a model that MLflow knows.
        dst_path: existing folder for its files. Default: a temporary folder that is removed when Python ends.

    Raises:
        FlambeauError: it is not a model of Flambeau; or the session is of Spark Connect, whose server does not see the files.
        mlflow.exceptions.MlflowException: there is no such model, or the server cannot be reached.
    """
    from pyspark.sql.utils import is_remote

    if is_remote():
        raise FlambeauError(
            f"load_model downloads to this machine, and the Connect server cannot see that: give {model_uri!r} itself as the model, "
            "in SQL or in TorchModelTransformer(model=…)"
        )
    folder = Path(
        mlflow.artifacts.download_artifacts(
            artifact_uri=model_uri, dst_path=_temporary() if dst_path is None else os.fspath(dst_path)
        )
    )
    if (folder / packages.MANIFEST).is_file():
        return _stage({}, folder)
    flavors = Model.load(os.fspath(folder)).flavors if (folder / MLMODEL_FILE_NAME).is_file() else {}
    if FLAVOR not in flavors:
        found = f"its flavors are {', '.join(flavors)}" if flavors else f"it has no {MLMODEL_FILE_NAME}"
        raise FlambeauError(
            f"{model_uri} is not a model of Flambeau: {found}. Models for it are logged with flambeau.mlflow.log_model"
        )
    return _stage(flavors[FLAVOR].get("stage") or {}, folder / PACKAGE)


def _write_package(model: Any, target: Path) -> dict[str, Any] | None:
    """Copies the package; the class and the parameters of the stage, if it is one."""
    if type(model).__name__ in FITTED:
        return _write_fitted(model, target)
    if not isinstance(model, (str, os.PathLike)):
        raise FlambeauError(
            f"{type(model).__name__} cannot be logged as a package: log the path of one, or one of {', '.join(FITTED)}"
        )
    package = packages.find(os.fspath(model))
    problems = package.problems()
    if package.program is not None:
        problems = [f"{package.location} is a bare program: make a package of it (python -m flambeau.export)"]
    if problems:
        raise FlambeauError("; ".join(problems))
    target.mkdir()
    for name in (packages.MANIFEST, *package.hashes()):
        with (target / name).open("wb") as out, (package.root / name).open("rb") as source:
            shutil.copyfileobj(source, out)
    return None


def _write_fitted(model: Any, target: Path) -> dict[str, Any]:
    from pyspark.sql.utils import is_remote

    if is_remote():
        raise FlambeauError(
            "the files of a model that was fitted over Spark Connect are on the server: write them with model.savePackage to a folder "
            "that this machine sees too, and log that folder"
        )
    model.savePackage(target.absolute().as_uri())
    for checksum in target.glob(".*.crc"):
        checksum.unlink()
    params = {param.name: value for param, value in model.extractParamMap().items() if model.isSet(param)}
    return {"class": type(model).__name__, "uid": model.uid, "params": params}


def _stage(stage: Mapping[str, Any], package: Path) -> Transformer:
    """The stage over the files of a package."""
    from pyspark.ml.wrapper import JavaWrapper

    from .. import ml
    from .._names import JAVA_PACKAGE

    name = stage.get("class")
    if name is None:
        return ml.TorchModelTransformer(model=os.fspath(package))
    if name not in FITTED:
        raise FlambeauError(
            f"this model was logged as a {name}, which this version of Flambeau ({__version__}) does not have"
        )
    java = JavaWrapper._new_java_obj(f"{JAVA_PACKAGE}.{name}", stage["uid"])
    java.set(java.getParam("model"), os.fspath(package))
    fitted: Transformer = getattr(ml, name)(java)
    return fitted._set(**stage["params"])


def _temporary() -> str:
    folder = tempfile.mkdtemp(prefix="flambeau-mlflow-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _signature(manifest: Mapping[str, Any]) -> ModelSignature:
    """The inputs and outputs of `infer`, as MLflow writes them."""
    inputs: list[ColSpec | TensorSpec] = [ColSpec(_input_type(table), table["name"]) for table in manifest["input"]]
    outputs: list[ColSpec | TensorSpec] = [ColSpec(_tensor_type(table), table["name"]) for table in manifest["output"]]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _input_type(table: Mapping[str, Any]) -> DataType | Array:
    kinds = {"image": DataType.binary, "audio": DataType.binary, "text": DataType.string}
    return kinds.get(table["kind"]) or _tensor_type(table)


def _tensor_type(table: Mapping[str, Any]) -> DataType | Array:
    """A number, or arrays of them as deep as the shape; a list of a length that differs by row is one array deeper than its items."""
    dtype: DataType | Array = _TYPES[table.get("dtype", "f32")]
    for _ in [*table["shape"], *(["lengths"] if "lengths" in table else [])]:
        dtype = Array(dtype)
    return dtype
