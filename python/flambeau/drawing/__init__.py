"""Rows of a DataFrame as cards in a notebook: pictures, sounds, labels, boxes, neighbors, and text.

What lives here: `show` and what it returns. `columns` says how each column is drawn and fetches a few bounded rows, `media` makes
thumbnails and players, and `page` writes the HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MOST_ROWS = 1000


class Shown:
    """Some rows of a DataFrame, ready to be drawn. A notebook draws it if it is the last line of a cell."""

    def __init__(self, rows: int, html: str) -> None:
        self.rows = rows
        """Number of rows."""
        self.html = html
        """HTML that needs nothing else: no script, no file, no network. For `displayHTML` on Databricks, or to write to a file."""

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"<{self.rows} rows: a notebook draws them; .html has the page>"


def show(
    rows: DataFrame,
    limit: int = 20,
    *,
    image: str | None = None,
    sound: str | None = None,
    label: str | None = None,
    boxes: str | None = None,
    neighbors: str | None = None,
    size: int = 224,
) -> Shown:
    """Draws the first rows of a DataFrame in a notebook.

        flambeau.show(photos.select("content", F.classify("content", "efficientnet_lite0", 3).alias("labels")))

    Runs the query for `limit` rows, in a classic session or over Spark Connect. Every column is drawn by its type:

    - Binary values and Spark's image struct are pictures or sounds, by their first bytes.
    - Arrays of structs with a `label` are labels; a `probability` or `score` beside it is a bar.
    - Arrays of structs with a `box` (four numbers: left, top, right, bottom) are boxes on the row's picture. The unit is the pixel, or
      the whole side if no number of the row is above 1.
    - Arrays of structs with a picture, or with a `similarity`, `cosine` or `distance`, are neighbors.
    - Other columns are text.

    A value that cannot be drawn is shown as such, with the cause. Thumbnails are made by Pillow, which must be installed here.

    What comes to the driver is bounded: files of at most 16 MiB, the beginning of texts, the first items of arrays. What is drawn is
    smaller: thumbnails, and sounds of at most 1 MiB. A longer WAV file is cut; a longer file of another format is not played.

    Args:
        rows: any DataFrame.
        limit: maximum number of rows, at most 1000.
        image: the column of the picture. It may also hold paths or URIs, which Spark reads.
        sound: the column of the sound. Likewise.
        label: the column of the title: a string, a number, or labels.
        boxes: the column of the boxes: an array of structs with a `box`, or an array of arrays of four numbers.
        neighbors: the column of the neighbors, an array of structs.
        size: longest side of a picture in pixels, from 16 to 1024.

    Returns:
        What a notebook draws; `.html` is the page.

    Raises:
        ValueError: there is no such column, or a number is out of its range.
        TypeError: a named column does not have a type that can be drawn in this way.
        ImportError: a picture is to be drawn, and there is no Pillow.
    """
    for name, number, low, high in (("limit", limit, 1, MOST_ROWS), ("size", size, 16, 1024)):
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise ValueError(f"{name} must be a whole number from {low} to {high}, not {number!r}")
    from . import page
    from .columns import Role, fetch, roles

    named = {
        Role.IMAGE: image,
        Role.SOUND: sound,
        Role.LABELS: label,
        Role.BOXES: boxes,
        Role.NEIGHBORS: neighbors,
    }
    columns = roles(rows.schema, {role: name for role, name in named.items() if name is not None})
    fetched = fetch(rows, columns, limit)
    return Shown(len(fetched), page.of(columns, fetched, size))
