"""The SQL functions of Flambeau as Column functions.

    from flambeau import functions as F
    df.withColumn("f", F.featurize("content", "efficientnet_lite0"))

What lives here: one thin function for each SQL function, built on `call_function`, so that the same code runs in classic
PySpark and over Spark Connect. Models are looked up later, when Spark analyzes the query. In a session without
Flambeau's extension the functions raise a FlambeauError that names what is missing.

`input` is the name of a column or a Column. Image models take encoded bytes (JPEG, PNG, WebP, GIF, BMP, TIFF) or Spark's `image`
struct. Text models take a string. Audio models take encoded bytes. Tensor models take a number or an array.

`model` is a name (`efficientnet_lite0`), a path or a URI; it must be a constant. NULL in, NULL out. A row that cannot be read fails the
query. The `try_` functions return NULL for it instead, and the Spark UI counts it.

Calls with the same input and model in one query share one forward pass.

`rerank`, `entities`, `answer` and `zero_shot` are for models of texts. Positions in a text count characters as Python's strings do.

`cosine_similarity`, `dot` and `l2_distance` compare vectors, and take no model. `read_bytes` gives the content
of files.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Union

from pyspark.sql.functions import array, call_function, col, lit

from . import _setup

if TYPE_CHECKING:
    from pyspark.sql import Column

    ColumnOrName = Union[Column, str]
    Model = Union[str, os.PathLike[str]]

__all__ = [
    "answer",
    "classify",
    "cosine_similarity",
    "detect",
    "dot",
    "entities",
    "featurize",
    "infer",
    "l2_distance",
    "read_bytes",
    "rerank",
    "segment",
    "transcribe",
    "try_answer",
    "try_classify",
    "try_detect",
    "try_entities",
    "try_featurize",
    "try_infer",
    "try_read_bytes",
    "try_rerank",
    "try_segment",
    "try_transcribe",
    "try_zero_shot",
    "zero_shot",
]

HYPOTHESIS_TEMPLATE = "This example is {}."
"""What `zero_shot` says of a text, with `{}` for the label."""


def featurize(input: ColumnOrName, model: Model) -> Column:
    """The model's features of each row: `array<float>`. Its length is that of the model's output with the role features."""
    return _call("featurize", _column(input), _model(model))


def try_featurize(input: ColumnOrName, model: Model) -> Column:
    """`featurize`, with NULL for a row that cannot be read."""
    return _call("try_featurize", _column(input), _model(model))


def classify(input: ColumnOrName, model: Model, k: int = 5) -> Column:
    """The `k` most probable classes of each row, best first.

    `array<struct<label: string, index: int, probability: float>>` with `k` elements, fewer if the model has fewer
    classes. `label` is the index as text when the model has no labels.
    """
    return _call("classify", _column(input), _model(model), lit(_k(k)))


def try_classify(input: ColumnOrName, model: Model, k: int = 5) -> Column:
    """`classify`, with NULL for a row that cannot be read."""
    return _call("try_classify", _column(input), _model(model), lit(_k(k)))


def infer(model: Model, *inputs: ColumnOrName) -> Column:
    """Every output of the model, by name: a struct of float arrays nested by shape, scalars for shape `[]`.

    One column for each input of the model, in its order.
    """
    return _call("infer", _model(model), *_columns(inputs))


def try_infer(model: Model, *inputs: ColumnOrName) -> Column:
    """`infer`, with NULL for a row that cannot be read."""
    return _call("try_infer", _model(model), *_columns(inputs))


def detect(image: ColumnOrName, model: Model, threshold: float = 0.5) -> Column:
    """The objects in each picture with a score above `threshold`, best first.

    `array<struct<label: string, index: int, score: float, box: struct<xmin: float, ymin: float, xmax: float, ymax: float>>>`. Boxes are
    in pixels of the picture, after its EXIF orientation if the model's package applies that. An array without elements: nothing was found.
    """
    return _call("detect", _column(image), _model(model), lit(_threshold(threshold)))


def try_detect(image: ColumnOrName, model: Model, threshold: float = 0.5) -> Column:
    """`detect`, with NULL for a picture that cannot be read."""
    return _call("try_detect", _column(image), _model(model), lit(_threshold(threshold)))


def segment(image: ColumnOrName, model: Model) -> Column:
    """The class of each pixel of each picture, and the classes that it has, the largest first.

    `struct<map: binary, segments: array<struct<label: string, index: int, pixels: bigint, share: float>>>`. `map` is a grayscale PNG of the
    picture's size, after its EXIF orientation if the model's package applies that. Its values are the indices of classes. Pixels that the
    package's crop cuts off have 255 (65535 in a model of more than 255 classes). `share` is of all pixels.
    """
    return _call("segment", _column(image), _model(model))


def try_segment(image: ColumnOrName, model: Model) -> Column:
    """`segment`, with NULL for a picture that cannot be read."""
    return _call("try_segment", _column(image), _model(model))


def transcribe(audio: ColumnOrName, model: Model) -> Column:
    """The text of each clip, and its words with their times in seconds.

    `struct<text: string, words: array<struct<word: string, start: double, end: double>>>`. The model's output has the role ctc; a clip
    without speech gives an empty text and no words.
    """
    return _call("transcribe", _column(audio), _model(model))


def try_transcribe(audio: ColumnOrName, model: Model) -> Column:
    """`transcribe`, with NULL for a clip that cannot be read."""
    return _call("try_transcribe", _column(audio), _model(model))


def rerank(query: ColumnOrName, text: ColumnOrName, model: Model) -> Column:
    """How well each text fits the query of its row: a float, the model's score after its activation.

    For models of pairs of texts with one score; what `CrossEncoder.predict` of sentence-transformers gives.
    """
    return _call("rerank", _column(query), _column(text), _model(model))


def try_rerank(query: ColumnOrName, text: ColumnOrName, model: Model) -> Column:
    """`rerank`, with NULL for a row that cannot be read."""
    return _call("try_rerank", _column(query), _column(text), _model(model))


def entities(text: ColumnOrName, model: Model) -> Column:
    """What each text names, in its order: `array<struct<label: string, score: float, start: int, end: int, text: string>>`.

    Neighboring tokens of one label are one entity, as with `aggregation_strategy="simple"` of transformers' token classification.
    """
    return _call("entities", _column(text), _model(model))


def try_entities(text: ColumnOrName, model: Model) -> Column:
    """`entities`, with NULL for a row that cannot be read."""
    return _call("try_entities", _column(text), _model(model))


def answer(question: ColumnOrName, context: ColumnOrName, model: Model) -> Column:
    """The part of each context that answers its question: `struct<answer: string, score: float, start: int, end: int>`.

    The end of a context that does not fit into the model's `max_length` is not read.
    """
    return _call("answer", _column(question), _column(context), _model(model))


def try_answer(question: ColumnOrName, context: ColumnOrName, model: Model) -> Column:
    """`answer`, with NULL for a row that cannot be read."""
    return _call("try_answer", _column(question), _column(context), _model(model))


def zero_shot(
    text: ColumnOrName,
    labels: Sequence[str],
    model: Model,
    multi_label: bool = False,
    hypothesis_template: str = HYPOTHESIS_TEMPLATE,
) -> Column:
    """Labels that the model need not know, best first: `array<struct<label: string, index: int, probability: float>>`.

    Args:
        text: a column of strings.
        labels: at least one.
        model: of natural language inference: it takes pairs of texts, and one of its labels is "entailment".
        multi_label: whether several labels may be right. Otherwise the probabilities add up to 1.
        hypothesis_template: what is said of the text, with `{}` for the label.
    """
    return _zero_shot("zero_shot", text, labels, model, multi_label, hypothesis_template)


def try_zero_shot(
    text: ColumnOrName,
    labels: Sequence[str],
    model: Model,
    multi_label: bool = False,
    hypothesis_template: str = HYPOTHESIS_TEMPLATE,
) -> Column:
    """`zero_shot`, with NULL for a row that cannot be read."""
    return _zero_shot("try_zero_shot", text, labels, model, multi_label, hypothesis_template)


def cosine_similarity(left: ColumnOrName, right: ColumnOrName) -> Column:
    """The cosine of the angle between two vectors: a double from -1 to 1.

    A vector is an array of numbers or an ML vector. NULL if an argument or an element is NULL, or if a vector has length 0. Vectors that
    differ in their number of elements fail the query (FLAMBEAU_BAD_INPUT).
    """
    return _call("cosine_similarity", _column(left), _column(right))


def dot(left: ColumnOrName, right: ColumnOrName) -> Column:
    """The sum of the products of the elements of two vectors, a double. Vectors as for `cosine_similarity`."""
    return _call("dot", _column(left), _column(right))


def l2_distance(left: ColumnOrName, right: ColumnOrName) -> Column:
    """The Euclidean distance of two vectors, a double. Vectors as for `cosine_similarity`."""
    return _call("l2_distance", _column(left), _column(right))


def read_bytes(path: ColumnOrName) -> Column:
    """The content of the file at a path or URI, as binary. NULL for NULL.

    Files of the next rows are read at the same time (`spark.flambeau.read.parallelism`), on any file system of Hadoop. A path without a
    scheme is on the default file system. A file that cannot be read fails the query (FLAMBEAU_BAD_INPUT).
    """
    return _call("read_bytes", _column(path))


def try_read_bytes(path: ColumnOrName) -> Column:
    """`read_bytes`, with NULL for a file that cannot be read."""
    return _call("try_read_bytes", _column(path))


def _zero_shot(
    function: str, text: ColumnOrName, labels: Sequence[str], model: Model, multi_label: bool, template: str
) -> Column:
    if isinstance(labels, str) or not labels or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"labels must be a list of strings, at least one, not {labels!r}")
    constants = array(*(lit(label) for label in labels))
    return _call(function, _column(text), constants, _model(model), lit(bool(multi_label)), lit(template))


def _call(function: str, *arguments: Column) -> Column:
    _setup.require_active(function)
    return call_function(function, *arguments)


def _column(input: ColumnOrName) -> Column:
    from pyspark.sql import Column

    if isinstance(input, str):
        return col(input)
    if not isinstance(input, Column):
        raise TypeError(
            f"an input must be a Column or the name of one, not {type(input).__name__}; lit(value) makes a Column"
        )
    return input


def _columns(inputs: tuple[ColumnOrName, ...]) -> list[Column]:
    if not inputs:
        raise TypeError("infer needs the model's inputs after its name: infer(model, column, ...)")
    return [_column(input) for input in inputs]


def _model(model: Model) -> Column:
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(
            f"the model must be a name, path or URI (a string), not {type(model).__name__}: it is one constant for all rows"
        )
    text = os.fspath(model)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"the model must be a name, path or URI, not {text!r}")
    return lit(text)


def _k(k: int) -> int:
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k < 2**31:
        raise ValueError(f"k must be a whole number of at least 1 and below 2**31, not {k!r}")
    return k


def _threshold(threshold: float) -> float:
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be a number from 0 to 1, not {threshold!r}")
    return float(threshold)
