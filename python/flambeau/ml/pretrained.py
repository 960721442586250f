"""The stages over pretrained models: `featurize`, `classify` and `infer` in pipelines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import Param, TypeConverters

from ._params import Model, mapping, model, param
from ._stages import Featurizer, ModelStage, OneColumnParams, OneColumnStage, StageParams

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class DeepImageFeaturizer(Featurizer):
    """The features of images: `featurize` as a pipeline stage.

    Parameters
    ----------
    inputCol : column of encoded images (BINARY) or of Spark's `image` struct
    outputCol : new column, with a vector per row
    modelName : an image model's name, path or URI
    outputType : `vector` (default) or `array`
    handleInvalid, errorCol, savePackage : see the module
    """


class DeepTextFeaturizer(Featurizer):
    """The features (embeddings) of texts: `featurize` as a pipeline stage.

    Parameters
    ----------
    inputCol : column of strings
    outputCol : new column, with a vector per row
    modelName : a text model's name, path or URI
    outputType : `vector` (default) or `array`
    handleInvalid, errorCol, savePackage : see the module
    """


class DeepAudioFeaturizer(Featurizer):
    """The features of sounds: `featurize` as a pipeline stage.

    Parameters
    ----------
    inputCol : column of encoded sounds (BINARY: WAV, FLAC, MP3, OGG)
    outputCol : new column, with a vector per row
    modelName : an audio model's name, path or URI
    outputType : `vector` (default) or `array`
    handleInvalid, errorCol, savePackage : see the module
    """


class PredictorParams(OneColumnParams, total=False):
    """Arguments of `DeepImagePredictor`."""

    decodePredictions: bool
    topK: int


class DeepImagePredictor(OneColumnStage):
    """The classes of images.

    With `decodePredictions` (default) a row gets the `topK` most probable classes, best first, as
    `array<struct<label: string, index: int, probability: float>>`, the same as `classify` in SQL. Without, it gets the
    probabilities of all classes in the model's order, as a vector (or an array, by `outputType`).

    Parameters
    ----------
    inputCol : column of encoded images (BINARY) or of Spark's `image` struct
    outputCol : new column
    modelName : the name, path or URI of an image model that has an output with the role scores
    decodePredictions : labels (default) or all probabilities
    topK : maximum number of labels per row; default 5
    outputType : type of the probabilities, `vector` (default) or `array`
    handleInvalid, errorCol, savePackage : see the module
    """

    decodePredictions: Param[bool] = param(
        "decodePredictions",
        "whether the result is the topK labels with their probabilities, or the probabilities of all classes in the model's order",
        TypeConverters.toBoolean,
    )
    topK: Param[int] = param("topK", "maximum number of labels per row, with decodePredictions", TypeConverters.toInt)

    def __init__(self, **params: Unpack[PredictorParams]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[PredictorParams]) -> Self:
        """Sets the parameters that are given, as the constructor does."""
        return self._given(params)

    def _defaults(self) -> dict[str, Any]:
        return {"decodePredictions": True, "topK": 5, "outputType": "vector"}


class TransformerParams(StageParams, total=False):
    """Arguments of `TorchModelTransformer`."""

    inputMapping: Mapping[str, str] | None
    outputMapping: Mapping[str, str] | None
    model: Model | None
    outputType: str


class TorchModelTransformer(ModelStage):
    """Any model over any columns: `infer` as a pipeline stage.

        TorchModelTransformer(
            model="/models/ranker", inputMapping={"user_vector": "user", "item_vector": "item"}, outputMapping={"score": "rank"})

    Parameters
    ----------
    inputMapping : column -> input of the model; default: every input reads the column of its own name
    outputMapping : output of the model -> column; default: every output becomes a column of its own name
    model : the model's name, path or URI
    outputType : type of outputs with one dimension, `array` (default) or `vector`
    handleInvalid, errorCol, savePackage : see the module
    """

    model: Param[str] = param(
        "model", "model: a name (looked up in spark.flambeau.models.path, then in jars), a path or a URI", model
    )
    inputMapping: Param[str] = param(
        "inputMapping",
        "which column feeds which input of the model, a JSON object from column to input; not set: columns named as the inputs",
        mapping,
    )
    outputMapping: Param[str] = param(
        "outputMapping",
        "which output of the model becomes which column, a JSON object from output to column; not set: all outputs, by their names",
        mapping,
    )
    outputType: Param[str] = param(
        "outputType", "type of numbers in a row: vector (Spark ML's) or array", TypeConverters.toString
    )

    def __init__(self, **params: Unpack[TransformerParams]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[TransformerParams]) -> Self:
        """Sets the parameters that are given, as the constructor does."""
        return self._given(params)

    def _defaults(self) -> dict[str, Any]:
        return {"outputType": "array"}

    def getInputMapping(self) -> dict[str, str]:
        """Column -> input of the model."""
        return dict(json.loads(self.getOrDefault(self.inputMapping)))

    def getOutputMapping(self) -> dict[str, str]:
        """Output of the model -> column."""
        return dict(json.loads(self.getOrDefault(self.outputMapping)))
