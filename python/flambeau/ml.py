"""Models as Spark ML stages, for pipelines, cross-validation and saving.

    from flambeau.ml import DeepImageFeaturizer
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression

    featurizer = DeepImageFeaturizer(inputCol="content", outputCol="features", modelName="efficientnet_lite0")
    model = Pipeline(stages=[featurizer, LogisticRegression()]).fit(photos)

What lives here: thin wrappers of the stages in the jar (`io.flambeau.ml`), with the parameter names that users of Deep
Learning Pipelines know. All work is done by the executors' own process, no Python worker takes part. The session must
come from `flambeau.configure`.

Every stage adds columns, lazily. A row whose input is NULL or cannot be read is handled by `handleInvalid`: `error`
(default) fails the query, `skip` drops the row, `keep` gives NULL and, in the column `errorCol` if there is one, the
reason. A saved stage carries a copy of its model package and loads without the original; with `savePackage=False` it
holds the model's name or URI only (a saved `CrossValidatorModel` holds its estimator too, and with it a second copy).
The model of a loaded stage is the copy, so its `modelName` is the copy's URI.

`CrossValidator` reads its input again for every fold and every set of parameters, and with it a featurizer inside of the
pipeline. Where that costs too much, featurize first, cache, and cross-validate the estimator alone.

Over Spark Connect the stages run on the server, which needs the jars; files are read and written there.

Spark's own readers (`PipelineModel.load`, …) find these classes once `flambeau` is imported.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, TypeVar, Union

from pyspark import keyword_only
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import JavaMLReadable, JavaMLReader, JavaMLWritable
from pyspark.ml.wrapper import JavaTransformer

from ._java_package import JAVA_PACKAGE

__all__ = [
    "DeepAudioFeaturizer",
    "DeepImageFeaturizer",
    "DeepImagePredictor",
    "DeepTextFeaturizer",
    "TorchModelTransformer",
]

Model = Union[str, "os.PathLike[str]"]
Stage = TypeVar("Stage", bound="_ModelStage")


def _model(value: Any) -> str:
    """A name, path or URI as text."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"the model must be a name, path or URI, not {type(value).__name__}")
    return os.fspath(value)


def _mapping(value: Any) -> str:
    """A mapping of names as the JSON object that the parameter holds."""
    names = json.loads(value) if isinstance(value, str) else value
    if not isinstance(names, Mapping) or not all(isinstance(name, str) for pair in names.items() for name in pair):
        raise TypeError(f"the mapping must be a dict from names to names, not {value!r}")
    return json.dumps(dict(names))


def _param(name: str, doc: str, converter: Any) -> Any:
    """A parameter as a class attribute; Spark gives each instance a copy of its own."""
    return Param(Params._dummy(), name, doc, converter)


class _ModelStage(JavaTransformer, JavaMLReadable, JavaMLWritable):
    """What all stages share: handling of bad rows, saving."""

    handleInvalid: Param[str] = _param(
        "handleInvalid",
        "what happens to a row whose input is NULL or cannot be read: error (the query fails), skip (the row is dropped), "
        "keep (the result is NULL)",
        TypeConverters.toString,
    )
    errorCol: Param[str] = _param(
        "errorCol",
        "column that is added with the reason why a row has no result, NULL for the others; only with handleInvalid = keep",
        TypeConverters.toString,
    )
    savePackage: Param[bool] = _param(
        "savePackage",
        "whether a saved stage carries a copy of its model package, or only the model's name or URI",
        TypeConverters.toBoolean,
    )

    # Spark's destructor reads it, even of a stage whose constructor refused its arguments.
    _java_obj: Any = None

    def __init__(self, **given: Any) -> None:
        super().__init__()
        self._java_obj = self._new_java_obj(f"{JAVA_PACKAGE}.{type(self).__name__}", self.uid)
        self._setDefault(handleInvalid="error", savePackage=True)
        self._setDefault(**self._defaults())
        self._set(**given)

    def _defaults(self) -> dict[str, Any]:
        return {}

    @classmethod
    def read(cls: type[Stage]) -> JavaMLReader[Stage]:
        """The reader of saved stages of this class."""
        # Spark derives the Java class from the Python one's module, so it gets a class that says the Java package.
        as_java = type(cls.__name__, (cls,), {"__module__": JAVA_PACKAGE})
        return JavaMLReadable.read.__func__(as_java)  # type: ignore[attr-defined]

    def getHandleInvalid(self) -> str:
        """`error`, `skip` or `keep`; default `error`."""
        return self.getOrDefault(self.handleInvalid)

    def setHandleInvalid(self: Stage, value: str) -> Stage:
        """`error`: a row that is NULL or cannot be read fails the query; `skip`: it is dropped; `keep`: it gives NULL."""
        return self._set(handleInvalid=value)

    def getErrorCol(self) -> str:
        """The column with the reason why a row has no result; no default."""
        return self.getOrDefault(self.errorCol)

    def setErrorCol(self: Stage, value: str) -> Stage:
        """Adds a column with the reason why a row has no result; only with `handleInvalid="keep"`."""
        return self._set(errorCol=value)

    def getSavePackage(self) -> bool:
        """Whether a saved stage carries its model package; default True."""
        return self.getOrDefault(self.savePackage)

    def setSavePackage(self: Stage, value: bool) -> Stage:
        """Whether a saved stage carries a copy of its model package, or only the model's name or URI."""
        return self._set(savePackage=value)


class _OneColumnStage(_ModelStage):
    """A stage over a model with one input."""

    inputCol: Param[str] = _param("inputCol", "column that the model reads", TypeConverters.toString)
    outputCol: Param[str] = _param("outputCol", "column that is added; must not exist yet", TypeConverters.toString)
    modelName: Param[str] = _param(
        "modelName", "model: a name (looked up in spark.flambeau.models.path, then in jars), a path or a URI", _model
    )
    outputType: Param[str] = _param(
        "outputType", "type of numbers in a row: vector (Spark ML's) or array", TypeConverters.toString
    )

    def _defaults(self) -> dict[str, Any]:
        return {"outputType": "vector"}

    def getInputCol(self) -> str:
        """The column that the model reads."""
        return self.getOrDefault(self.inputCol)

    def setInputCol(self: Stage, value: str) -> Stage:
        """The column that the model reads."""
        return self._set(inputCol=value)

    def getOutputCol(self) -> str:
        """The column that is added."""
        return self.getOrDefault(self.outputCol)

    def setOutputCol(self: Stage, value: str) -> Stage:
        """The column that is added, which must not exist yet."""
        return self._set(outputCol=value)

    def getModelName(self) -> str:
        """The model: a name, path or URI."""
        return self.getOrDefault(self.modelName)

    def setModelName(self: Stage, value: Model) -> Stage:
        """The model: a name (looked up in `spark.flambeau.models.path`, then in jars), a path or a URI."""
        return self._set(modelName=value)

    def getOutputType(self) -> str:
        """`vector` or `array`; default `vector`."""
        return self.getOrDefault(self.outputType)

    def setOutputType(self: Stage, value: str) -> Stage:
        """`vector`: Spark ML's vector, what its estimators take; `array`: what SQL has."""
        return self._set(outputType=value)


class _Featurizer(_OneColumnStage):
    """A stage that gives the model's features."""

    @keyword_only
    def __init__(
        self,
        *,
        inputCol: str | None = None,
        outputCol: str | None = None,
        modelName: Model | None = None,
        outputType: str = "vector",
        handleInvalid: str = "error",
        errorCol: str | None = None,
        savePackage: bool = True,
    ) -> None:
        super().__init__(**self._input_kwargs)

    @keyword_only
    def setParams(
        self: Stage,
        *,
        inputCol: str | None = None,
        outputCol: str | None = None,
        modelName: Model | None = None,
        outputType: str = "vector",
        handleInvalid: str = "error",
        errorCol: str | None = None,
        savePackage: bool = True,
    ) -> Stage:
        """Sets the parameters that are given, as the constructor does."""
        return self._set(**self._input_kwargs)


class DeepImageFeaturizer(_Featurizer):
    """The features of images: `featurize` as a pipeline stage.

    Parameters
    ----------
    inputCol : column of encoded images (BINARY) or of Spark's `image` struct
    outputCol : column that is added, with a vector a row
    modelName : an image model's name, path or URI
    outputType : `vector` (default) or `array`
    handleInvalid, errorCol, savePackage : see the module
    """


class DeepTextFeaturizer(_Featurizer):
    """The features (embeddings) of texts: `featurize` as a pipeline stage.

    Parameters
    ----------
    inputCol : column of strings
    outputCol : column that is added, with a vector a row
    modelName : a text model's name, path or URI
    outputType : `vector` (default) or `array`
    handleInvalid, errorCol, savePackage : see the module
    """


class DeepAudioFeaturizer(_Featurizer):
    """The features of sounds: `featurize` as a pipeline stage.

    Parameters
    ----------
    inputCol : column of encoded sounds (BINARY: WAV, FLAC, MP3, OGG)
    outputCol : column that is added, with a vector a row
    modelName : an audio model's name, path or URI
    outputType : `vector` (default) or `array`
    handleInvalid, errorCol, savePackage : see the module
    """


class DeepImagePredictor(_OneColumnStage):
    """The classes of images.

    With `decodePredictions` (default) a row gets the `topK` most probable classes, best first, as
    `array<struct<label: string, index: int, probability: float>>`, the same as `classify` in SQL. Without, it gets the
    probabilities of all classes in the model's order, as a vector (or an array, by `outputType`).

    Parameters
    ----------
    inputCol : column of encoded images (BINARY) or of Spark's `image` struct
    outputCol : column that is added
    modelName : the name, path or URI of an image model that has an output with the role scores
    decodePredictions : labels (default) or all probabilities
    topK : labels a row at the most; default 5
    outputType : of all probabilities, `vector` (default) or `array`
    handleInvalid, errorCol, savePackage : see the module
    """

    decodePredictions: Param[bool] = _param(
        "decodePredictions",
        "whether the result is the topK labels with their probabilities, or the probabilities of all classes in the model's order",
        TypeConverters.toBoolean,
    )
    topK: Param[int] = _param(
        "topK", "how many labels a row gets at the most, with decodePredictions", TypeConverters.toInt
    )

    @keyword_only
    def __init__(
        self,
        *,
        inputCol: str | None = None,
        outputCol: str | None = None,
        modelName: Model | None = None,
        decodePredictions: bool = True,
        topK: int = 5,
        outputType: str = "vector",
        handleInvalid: str = "error",
        errorCol: str | None = None,
        savePackage: bool = True,
    ) -> None:
        super().__init__(**self._input_kwargs)

    @keyword_only
    def setParams(
        self,
        *,
        inputCol: str | None = None,
        outputCol: str | None = None,
        modelName: Model | None = None,
        decodePredictions: bool = True,
        topK: int = 5,
        outputType: str = "vector",
        handleInvalid: str = "error",
        errorCol: str | None = None,
        savePackage: bool = True,
    ) -> DeepImagePredictor:
        """Sets the parameters that are given, as the constructor does."""
        return self._set(**self._input_kwargs)

    def _defaults(self) -> dict[str, Any]:
        return {"decodePredictions": True, "topK": 5, "outputType": "vector"}

    def getDecodePredictions(self) -> bool:
        """Whether the result is labels; default True."""
        return self.getOrDefault(self.decodePredictions)

    def setDecodePredictions(self, value: bool) -> DeepImagePredictor:
        """Whether the result is the `topK` labels with their probabilities, or the probabilities of all classes."""
        return self._set(decodePredictions=value)

    def getTopK(self) -> int:
        """Labels a row at the most; default 5."""
        return self.getOrDefault(self.topK)

    def setTopK(self, value: int) -> DeepImagePredictor:
        """How many labels a row gets at the most."""
        return self._set(topK=value)


class TorchModelTransformer(_ModelStage):
    """Any model over any columns: `infer` as a pipeline stage.

        TorchModelTransformer(
            model="/models/ranker", inputMapping={"user_vector": "user", "item_vector": "item"}, outputMapping={"score": "rank"})

    Parameters
    ----------
    inputMapping : column -> input of the model; not given: every input reads the column of its own name
    outputMapping : output of the model -> column; not given: every output becomes a column of its own name
    model : the model's name, path or URI
    outputType : of outputs with one dimension, `array` (default) or `vector`
    handleInvalid, errorCol, savePackage : see the module
    """

    model: Param[str] = _param(
        "model", "model: a name (looked up in spark.flambeau.models.path, then in jars), a path or a URI", _model
    )
    inputMapping: Param[str] = _param(
        "inputMapping",
        "which column feeds which input of the model, a JSON object from column to input; not set: columns named as the inputs",
        _mapping,
    )
    outputMapping: Param[str] = _param(
        "outputMapping",
        "which output of the model becomes which column, a JSON object from output to column; not set: all outputs, by their names",
        _mapping,
    )
    outputType: Param[str] = _param(
        "outputType", "type of numbers in a row: vector (Spark ML's) or array", TypeConverters.toString
    )

    @keyword_only
    def __init__(
        self,
        *,
        inputMapping: Mapping[str, str] | None = None,
        outputMapping: Mapping[str, str] | None = None,
        model: Model | None = None,
        outputType: str = "array",
        handleInvalid: str = "error",
        errorCol: str | None = None,
        savePackage: bool = True,
    ) -> None:
        super().__init__(**self._input_kwargs)

    @keyword_only
    def setParams(
        self,
        *,
        inputMapping: Mapping[str, str] | None = None,
        outputMapping: Mapping[str, str] | None = None,
        model: Model | None = None,
        outputType: str = "array",
        handleInvalid: str = "error",
        errorCol: str | None = None,
        savePackage: bool = True,
    ) -> TorchModelTransformer:
        """Sets the parameters that are given, as the constructor does."""
        return self._set(**self._input_kwargs)

    def _defaults(self) -> dict[str, Any]:
        return {"outputType": "array"}

    def getModel(self) -> str:
        """The model: a name, path or URI."""
        return self.getOrDefault(self.model)

    def setModel(self, value: Model) -> TorchModelTransformer:
        """The model: a name (looked up in `spark.flambeau.models.path`, then in jars), a path or a URI."""
        return self._set(model=value)

    def getInputMapping(self) -> dict[str, str]:
        """Column -> input of the model."""
        return json.loads(self.getOrDefault(self.inputMapping))

    def setInputMapping(self, value: Mapping[str, str]) -> TorchModelTransformer:
        """Which column feeds which input of the model."""
        return self._set(inputMapping=value)

    def getOutputMapping(self) -> dict[str, str]:
        """Output of the model -> column."""
        return json.loads(self.getOrDefault(self.outputMapping))

    def setOutputMapping(self, value: Mapping[str, str]) -> TorchModelTransformer:
        """Which output of the model becomes which column."""
        return self._set(outputMapping=value)

    def getOutputType(self) -> str:
        """`vector` or `array`; default `array`."""
        return self.getOrDefault(self.outputType)

    def setOutputType(self, value: str) -> TorchModelTransformer:
        """`vector`: outputs with one dimension become Spark ML's vectors; `array`: all stay as they are."""
        return self._set(outputType=value)
