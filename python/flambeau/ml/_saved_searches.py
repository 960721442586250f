"""Saving and loading of searches and of their results.

What lives here: the writers and readers of `RandomSearch`, `SuccessiveHalving` and `SearchModel`. A saved search is a folder on
any Hadoop file system. It has `metadata` as Spark writes it, with the search space in it, and a folder each for `estimator` and
`evaluator`. A saved model has `bestModel`, and its trials in `metadata`. The jar's searches for Scala use another format.
Only the driver runs this code.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReader, MLWritable, MLWriter

from ._spaces import reference, referred, restored, stored


def _check(owner: Any, **stages: Any) -> None:
    """Fails unless all can be saved, before anything is written."""
    for name, stage in stages.items():
        if not isinstance(stage, MLWritable):
            raise TypeError(f"{owner.uid} cannot be saved: its {name} {stage.uid} has no writer (MLWritable)")


class _Writer(MLWriter):
    def __init__(self, instance: Any) -> None:
        super().__init__()
        self.instance = instance

    def _stages(self) -> dict[str, Any]:
        raise TypeError(f"{type(self).__name__} does not say which stages it saves")

    def _extra(self) -> dict[str, Any]:
        raise TypeError(f"{type(self).__name__} does not say what it saves beside stages")

    def save(self, path: str) -> None:
        """Saves to this folder."""
        _check(self.instance, **self._stages())
        self._extra()
        super().save(path)

    def saveImpl(self, path: str) -> None:
        DefaultParamsWriter.saveMetadata(self.instance, path, self.sparkSession, self._extra())
        for name, stage in self._stages().items():
            stage.write().session(self.sparkSession).save(f"{path}/{name}")


class SearchWriter(_Writer):
    """Writes a search."""

    def _stages(self) -> dict[str, Any]:
        return {"estimator": self.instance.estimator, "evaluator": self.instance.evaluator}

    def _extra(self) -> dict[str, Any]:
        resource = getattr(self.instance, "resource", None)
        named = {} if resource is None else {"resource": reference(resource)}
        return {"space": stored(self.instance.space), **named}


class ModelWriter(_Writer):
    """Writes the result of a search."""

    def _stages(self) -> dict[str, Any]:
        return {"bestModel": self.instance.bestModel}

    def _extra(self) -> dict[str, Any]:
        return {"trials": [asdict(trial) for trial in self.instance._trials]}


class _Reader(MLReader[Any]):
    def __init__(self, kind: type[Any]) -> None:
        super().__init__()
        self.kind = kind

    def _metadata(self, path: str) -> dict[str, Any]:
        name = f"{self.kind.__module__}.{self.kind.__name__}"
        metadata = DefaultParamsReader.loadMetadata(path, self.sparkSession)
        if metadata["class"] != name:
            raise ValueError(f"{path} holds a {metadata['class']}, no {name}")
        return metadata

    def _stage(self, path: str, name: str) -> Any:
        return DefaultParamsReader.loadParamsInstance(f"{path}/{name}", self.sparkSession)

    def _filled(self, instance: Any, metadata: dict[str, Any]) -> Any:
        instance._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(instance, metadata)
        return instance


class SearchReader(_Reader):
    """Reads a search."""

    def load(self, path: str) -> Any:
        """The search that was saved to this folder."""
        metadata = self._metadata(path)
        estimator, evaluator = self._stage(path, "estimator"), self._stage(path, "evaluator")
        named = {"resource": referred(metadata["resource"], estimator)} if "resource" in metadata else {}
        return self._filled(self.kind(estimator, restored(metadata["space"], estimator), evaluator, **named), metadata)


class ModelReader(_Reader):
    """Reads the result of a search, whose trials are of class `trial`."""

    def __init__(self, kind: type[Any], trial: type[Any]) -> None:
        super().__init__(kind)
        self.trial = trial

    def load(self, path: str) -> Any:
        """The model that was saved to this folder."""
        metadata = self._metadata(path)
        trials = [self.trial(**trial) for trial in metadata["trials"]]
        return self._filled(self.kind(self._stage(path, "bestModel"), trials), metadata)
