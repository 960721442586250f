"""How the columns of a DataFrame are drawn, and a few rows of them.

What lives here: `roles` gives each column a `Role` by its type, or as the user says, and `fetch` brings rows to the driver. Values are
cut to what is drawn by expressions in the query, so no more than that leaves the executors. An array becomes its length and its first
items, and a long binary its length alone. Python gets `Bytes`, `Items`, dictionaries for structs, and plain values.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    NumericType,
    StringType,
    StructType,
    UserDefinedType,
)

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

MOST_BYTES = 16 << 20
"""Of a file that comes to the driver."""
MOST_CHARACTERS = 300
ITEMS, BOXES, NESTED = 8, 100, 4
"""First items of an array, boxes of a picture, and items of an array within an item."""
GLOB = re.compile(r"[*?\[\]{}\\]")
"""What Spark would take for a pattern of several files."""
IMAGE_STRUCT = {"origin", "height", "width", "nChannels", "mode", "data"}
NEARNESS = ("similarity", "cosine", "dot", "distance")
"""Fields of a neighbor that say how near it is."""


class Role(enum.Enum):
    """How a column is drawn."""

    IMAGE = "image"
    SOUND = "sound"
    MEDIA = "picture or sound"
    LABELS = "label"
    BOXES = "boxes"
    NEIGHBORS = "neighbors"
    TEXT = "text"


class Drawn(NamedTuple):
    """A column: where it is in the row, and how it is drawn."""

    name: str
    kind: DataType
    role: Role


class Bytes(NamedTuple):
    """A binary value; its content is None if it is too long."""

    length: int
    content: bytes | None


class Items(NamedTuple):
    """An array: its length and its first items."""

    length: int
    first: list[Any]


class Failed(NamedTuple):
    """A value that could not be read."""

    cause: str


def _fields(kind: DataType) -> dict[str, DataType]:
    """The fields of a struct, or of the structs in an array."""
    kind = kind.elementType if isinstance(kind, ArrayType) else kind
    return {field.name: field.dataType for field in kind.fields} if isinstance(kind, StructType) else {}


def is_media(kind: DataType) -> bool:
    """A binary, or Spark's image struct."""
    return isinstance(kind, BinaryType) or (isinstance(kind, StructType) and set(kind.fieldNames()) == IMAGE_STRUCT)


def _role(kind: DataType) -> Role:
    fields = _fields(kind)
    if is_media(kind):
        return Role.MEDIA
    if isinstance(kind, ArrayType) and "box" in fields:
        return Role.BOXES
    if isinstance(kind, ArrayType) and any(is_media(field) for field in fields.values()):
        return Role.NEIGHBORS
    if "label" in fields:
        return Role.LABELS
    if isinstance(kind, ArrayType) and any(name in fields for name in NEARNESS):
        return Role.NEIGHBORS
    return Role.TEXT


def _can_be(kind: DataType, role: Role) -> bool:
    fields = _fields(kind)
    if role in (Role.IMAGE, Role.SOUND):
        return is_media(kind) or isinstance(kind, StringType)
    if role is Role.BOXES:
        inner = kind.elementType if isinstance(kind, ArrayType) else None
        box = fields.get("box", inner)
        return isinstance(box, ArrayType) and isinstance(box.elementType, NumericType)
    if role is Role.NEIGHBORS:
        return isinstance(kind, ArrayType) and bool(fields)
    return "label" in fields or isinstance(kind, (StringType, NumericType, BooleanType))


WANTED = {
    Role.IMAGE: "a binary, Spark's image struct, or a string with a path",
    Role.SOUND: "a binary, or a string with a path",
    Role.LABELS: "a string, a number, or an array of structs with a field label",
    Role.BOXES: "an array of structs with a field box, or of arrays; a box has four numbers",
    Role.NEIGHBORS: "an array of structs",
}


def roles(schema: StructType, named: Mapping[Role, str]) -> list[Drawn]:
    """How each column is drawn: as `named` says, the others by their types.

    Raises:
        ValueError: there is no such column, or one is named twice.
        TypeError: a named column cannot be drawn in this way.
    """
    said = {name: role for role, name in named.items()}
    if len(said) < len(named):
        raise ValueError(f"a column can be drawn in one way only: {', '.join(map(repr, named.values()))}")
    for name, role in said.items():
        if name not in schema.names:
            raise ValueError(f"{role.value}={name!r}: there is no such column, only {', '.join(schema.names)}")
        if not _can_be(schema[name].dataType, role):
            raise TypeError(f"{role.value}={name!r} must be {WANTED[role]}, not {schema[name].dataType.simpleString()}")
    return [Drawn(field.name, field.dataType, said.get(field.name, _role(field.dataType))) for field in schema.fields]


def _cut(value: Column, kind: DataType, items: int) -> Column:
    if isinstance(kind, BinaryType):
        count = F.octet_length(value)
        return F.struct(count.alias("count"), F.when(count <= MOST_BYTES, value).alias("content"))
    if isinstance(kind, ArrayType):
        inner = kind.elementType
        first = F.transform(F.slice(value, 1, items), lambda item: _cut(item, inner, NESTED))
        return F.when(value.isNotNull(), F.struct(F.size(value).alias("count"), first.alias("first")))
    if isinstance(kind, StructType):
        fields = [_cut(value.getField(field.name), field.dataType, items).alias(field.name) for field in kind.fields]
        return F.when(value.isNotNull(), F.struct(*fields))
    if isinstance(kind, (NumericType, BooleanType, UserDefinedType)):
        return value
    return F.substring(value.cast("string"), 1, MOST_CHARACTERS + 1)


def _plain(value: Any, kind: DataType) -> Any:
    """A value of `_cut`, as Python draws it."""
    if value is None:
        return None
    if isinstance(kind, BinaryType):
        return Bytes(value[0], None if value[1] is None else bytes(value[1])) if value[0] is not None else None
    if isinstance(kind, ArrayType):
        return Items(value[0], [_plain(item, kind.elementType) for item in value[1]])
    if isinstance(kind, StructType):
        return {field.name: _plain(item, field.dataType) for field, item in zip(kind.fields, value)}
    return value


def fetch(rows: DataFrame, columns: Sequence[Drawn], limit: int) -> list[list[Any]]:
    """At most `limit` rows, cut. Paths in columns of pictures and sounds are replaced by the files' bytes."""
    places = [f"c{at}" for at in range(len(columns))]
    chosen = [
        _cut(F.col(place), column.kind, BOXES if column.role is Role.BOXES else ITEMS).alias(place)
        for place, column in zip(places, columns)
    ]
    fetched = rows.limit(limit).toDF(*places).select(*chosen).collect()
    values = [[_plain(value, column.kind) for value, column in zip(row, columns)] for row in fetched]
    for at, column in enumerate(columns):
        if column.role in (Role.IMAGE, Role.SOUND) and isinstance(column.kind, StringType):
            files = _read(rows, [row[at] for row in values if row[at] is not None])
            for row in values:
                row[at] = row[at] if row[at] is None else files[row[at]]
    return values


def _read(rows: DataFrame, paths: Sequence[str]) -> dict[str, Any]:
    """Path -> its file's bytes, or why it cannot be read. One query for each, so that a missing file does not hide the others."""
    reader = rows.sparkSession.read.format("binaryFile")
    found: dict[str, Any] = {}
    for path in dict.fromkeys(paths):
        try:
            cut = (
                reader.load(GLOB.sub(r"\\\g<0>", path))
                .select(_cut(F.col("content"), BinaryType(), 0).alias("file"))
                .head()
            )
            found[path] = Failed(f"there is no file in {path}") if cut is None else _plain(cut.file, BinaryType())
        except Exception as error:  # Spark's own, and what its file systems say through the gateway
            found[path] = Failed(f"the file cannot be read: {str(error).splitlines()[0]}")
    return found
