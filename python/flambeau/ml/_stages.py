"""Shared by the stages over pretrained models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml.wrapper import JavaTransformer

from .. import _setup
from .._names import JAVA_PACKAGE
from ._generated_params import FeaturizerKeywords, FeaturizerParams
from ._params import Keywords, Saved

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class ModelStage(Keywords, JavaTransformer, Saved):
    """A transformer over a pretrained model. It comes before the class of its parameters."""

    def __init__(self, **given: Any) -> None:
        super().__init__()
        _setup.require_stages(type(self).__name__)
        self._java_obj = self._new_java_obj(f"{JAVA_PACKAGE}.{type(self).__name__}", self.uid)
        self._setDefault(**self._defaults())
        self._given(given)


class Featurizer(ModelStage, FeaturizerParams):
    """A stage that returns the model's features."""

    def __init__(self, **params: Unpack[FeaturizerKeywords]) -> None:
        super().__init__(**params)

    def setParams(self, **params: Unpack[FeaturizerKeywords]) -> Self:
        """Sets the parameters that are given, as the constructor does."""
        return self._given(params)
