"""The stages over pretrained models: `featurize`, `classify` and `infer` in pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._generated_params import PredictorKeywords, PredictorParams, TransformerKeywords, TransformerParams
from ._stages import Featurizer, ModelStage

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


class DeepImagePredictor(ModelStage, PredictorParams):
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

    def __init__(self, **params: Unpack[PredictorKeywords]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[PredictorKeywords]) -> Self:
        """Sets the parameters that are given, as the constructor does."""
        return self._given(params)


class TorchModelTransformer(ModelStage, TransformerParams):
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

    def __init__(self, **params: Unpack[TransformerKeywords]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[TransformerKeywords]) -> Self:
        """Sets the parameters that are given, as the constructor does."""
        return self._given(params)
