"""What the stages over pretrained models share: bad rows, what a saved stage carries, the column that is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from pyspark.ml.param import Param, TypeConverters
from pyspark.ml.wrapper import JavaTransformer

from .. import _setup
from .._java_package import JAVA_PACKAGE
from ._params import Keywords, Model, Saved, model, param

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class HasInvalid(Keywords):
    """What happens to rows that the model cannot take."""

    handleInvalid: Param[str] = param(
        "handleInvalid",
        "what happens to a row whose input is NULL or cannot be read: error (the query fails), skip (the row is dropped), "
        "keep (the result is NULL)",
        TypeConverters.toString,
    )
    errorCol: Param[str] = param(
        "errorCol",
        "new column with the reason why a row has no result, NULL for the others; only with handleInvalid = keep",
        TypeConverters.toString,
    )


class StageParams(TypedDict, total=False):
    """Arguments of every stage over a pretrained model."""

    handleInvalid: str
    errorCol: str | None
    savePackage: bool


class ModelStage(HasInvalid, JavaTransformer, Saved):
    """A transformer over a pretrained model."""

    savePackage: Param[bool] = param(
        "savePackage",
        "whether a saved stage carries a copy of its model package, or only the model's name or URI",
        TypeConverters.toBoolean,
    )

    def __init__(self, **given: Any) -> None:
        super().__init__()
        _setup.require_active(type(self).__name__)
        self._java_obj = self._new_java_obj(f"{JAVA_PACKAGE}.{type(self).__name__}", self.uid)
        self._setDefault(handleInvalid="error", savePackage=True)
        self._setDefault(**self._defaults())
        self._given(given)

    def _defaults(self) -> dict[str, Any]:
        return {}


class OneColumnParams(StageParams, total=False):
    """Arguments of the stages over a model with one input."""

    inputCol: str | None
    outputCol: str | None
    modelName: Model | None
    outputType: str


class OneColumnStage(ModelStage):
    """A stage over a model with one input."""

    inputCol: Param[str] = param("inputCol", "column that the model reads", TypeConverters.toString)
    outputCol: Param[str] = param("outputCol", "new column; must not exist yet", TypeConverters.toString)
    modelName: Param[str] = param(
        "modelName", "model: a name (looked up in spark.flambeau.models.path, then in jars), a path or a URI", model
    )
    outputType: Param[str] = param(
        "outputType", "type of numbers in a row: vector (Spark ML's) or array", TypeConverters.toString
    )

    def _defaults(self) -> dict[str, Any]:
        return {"outputType": "vector"}


class Featurizer(OneColumnStage):
    """A stage that gives the model's features."""

    def __init__(self, **params: Unpack[OneColumnParams]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[OneColumnParams]) -> Self:
        """Sets the parameters that are given, as the constructor does."""
        return self._given(params)
