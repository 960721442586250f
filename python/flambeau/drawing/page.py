"""The HTML of `show`: a card for each row.

What lives here: the card, its parts by role, and the style. Every text from a row, a column's name or an error passes through `_text`.
There is no script, and nothing is loaded from elsewhere. Colors are those of the notebook around it, dark or light.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from . import media
from .columns import MOST_CHARACTERS, NEARNESS, Bytes, Drawn, Failed, Items, Role

SCORES = ("probability", "score", "similarity", "cosine")
"""Fields beside a label that say how sure it is."""
NEIGHBOR_SIZE = 96
NO_RESULT = "NULL: the input is NULL, or a try_ function could not read it"

STYLE = """<style>
.flambeau{display:grid;grid-template-columns:repeat(auto-fill,minmax(224px,1fr));gap:12px;font:13px/1.4 system-ui,sans-serif;align-items:start}
.flambeau article{border:1px solid color-mix(in srgb,currentColor 20%,transparent);border-radius:8px;padding:10px;overflow:hidden}
.flambeau .picture{position:relative;display:inline-block;max-width:100%}
.flambeau .picture>img{display:block;max-width:100%;height:auto;margin:0}
.flambeau .picture>i{position:absolute;box-sizing:border-box;border:2px solid #e25822}
.flambeau .picture>i>b{position:absolute;left:0;top:0;background:#e25822;color:#fff;font:11px/1.3 system-ui,sans-serif;padding:0 3px;white-space:nowrap}
.flambeau audio{width:100%;height:36px}
.flambeau p{margin:4px 0;overflow-wrap:anywhere}
.flambeau .title{font-weight:650}
.flambeau .bad{color:#c0392b}
.flambeau .bar{display:flex;justify-content:space-between;gap:8px;margin:3px 0;padding:1px 4px;border-radius:3px;overflow-wrap:anywhere}
.flambeau .near{display:flex;flex-wrap:wrap;gap:6px}
.flambeau figure{margin:0;max-width:96px;font-size:11px;overflow-wrap:anywhere}
.flambeau figure img{display:block;max-width:96px;height:auto;border-radius:4px;margin:0}
</style>"""


def of(columns: Sequence[Drawn], rows: Sequence[Sequence[Any]], size: int) -> str:
    """The page."""
    cards = "\n".join(_card(columns, row, size) for row in rows)
    return f'{STYLE}\n<div class="flambeau">\n{cards or "<p>no rows</p>"}\n</div>'


def _card(columns: Sequence[Drawn], row: Sequence[Any], size: int) -> str:
    boxes = [value for column, value in zip(columns, row) if column.role is Role.BOXES]
    media_parts, parts = [], []
    for column, value in zip(columns, row):
        if column.role in (Role.IMAGE, Role.SOUND, Role.MEDIA):
            drawn = _media(value, size)
            if isinstance(drawn, media.Picture):
                media_parts.append(_boxed(drawn, boxes))
                boxes = []
            else:
                media_parts.append(_player_or_cause(column.name, drawn))
        elif column.role is Role.LABELS:
            parts.append(_labels(column, value))
        elif column.role is Role.NEIGHBORS:
            parts.append(_neighbors(column.name, value))
        elif column.role is Role.TEXT:
            parts.append(f"<p>{_text(column.name)}: {_plain_text(value)}</p>")
    parts += [f'<p class="bad">boxes without a picture: {len(value.first)}</p>' for value in boxes if value is not None]
    return f"<article>{''.join(media_parts + parts)}</article>"


def _media(value: Any, size: int) -> media.Media | None:
    if value is None:
        return None
    if isinstance(value, Failed):
        return media.Undrawable(value.cause)
    return media.of_bytes(value, size) if isinstance(value, Bytes) else media.of_image_struct(value, size)


def _player_or_cause(name: str, drawn: media.Media | None) -> str:
    if isinstance(drawn, media.Sound):
        cut = f"<p>the first {drawn.seconds:.1f} s</p>" if drawn.seconds is not None else ""
        return f'<audio controls preload="none" src="{drawn.uri}"></audio>{cut}'
    cause = drawn.cause if isinstance(drawn, media.Undrawable) else "NULL"
    return f'<p class="bad">{_text(name)}: {_text(cause)}</p>'


def _boxed(picture: media.Picture, boxes: Iterable[Items | None]) -> str:
    found = [item for value in boxes if value is not None for item in value.first if item is not None]
    drawn = "".join(_box(picture, item, _whole_side(found)) for item in found)
    return f'<div class="picture"><img src="{picture.uri}" alt="">{drawn}</div>'


def _corners(item: Any) -> list[float]:
    box = item["box"] if isinstance(item, dict) else item
    return [float(number) for number in box.first if number is not None] if isinstance(box, Items) else []


def _whole_side(items: Sequence[Any]) -> bool:
    """Whether the unit of the boxes is the whole side of the picture, and not the pixel."""
    return all(abs(number) <= 1 for item in items for number in _corners(item))


def _box(picture: media.Picture, item: Any, whole_side: bool) -> str:
    corners = _corners(item)
    width, height = (1, 1) if whole_side else (picture.width, picture.height)
    if len(corners) != 4:
        return ""
    left, right = (min(max(corners[at] / width, 0.0), 1.0) for at in (0, 2))
    top, bottom = (min(max(corners[at] / height, 0.0), 1.0) for at in (1, 3))
    place = f"left:{left:.2%};top:{top:.2%};width:{max(right - left, 0):.2%};height:{max(bottom - top, 0):.2%}"
    caption = _caption(item) if isinstance(item, dict) else ""
    return f'<i style="{place}">{f"<b>{caption}</b>" if caption else ""}</i>'


def _score(item: dict[str, Any], names: Sequence[str] = SCORES) -> float | None:
    found = next((item[name] for name in names if item.get(name) is not None), None)
    return float(found) if isinstance(found, (int, float)) else None


def _caption(item: dict[str, Any]) -> str:
    score = _score(item)
    words = [] if item.get("label") is None else [_text(item["label"])]
    return " ".join(words + ([] if score is None else [f"{score:.2f}"]))


def _labels(column: Drawn, value: Any) -> str:
    if value is None:
        return f'<p class="bad">{_text(column.name)}: {NO_RESULT}</p>'
    if not isinstance(value, (Items, dict)):
        return f'<p class="title">{_text(value)}</p>'
    items = value.first if isinstance(value, Items) else [value]
    return "".join(_bar(item) for item in items if item is not None) + _more(value)


def _bar(item: dict[str, Any]) -> str:
    score, label = _score(item), _text(item["label"])
    if score is None:
        return f'<div class="bar"><span>{label}</span></div>'
    full = f"{min(max(score, 0.0), 1.0):.1%}"
    fill = f"background:linear-gradient(90deg,rgba(226,88,34,.35) {full},transparent {full})"
    return f'<div class="bar" style="{fill}"><span>{label}</span><span>{score:.2f}</span></div>'


def _neighbors(name: str, value: Items | None) -> str:
    if value is None:
        return f'<p class="bad">{_text(name)}: {NO_RESULT}</p>'
    drawn = "".join(_neighbor(item) for item in value.first if item is not None)
    return f'<p>{_text(name)}{" (none)" if value.length == 0 else ""}</p><div class="near">{drawn}</div>{_more(value)}'


def _neighbor(item: dict[str, Any]) -> str:
    pictures, words = [], []
    for name, value in item.items():
        if isinstance(value, Bytes) or (isinstance(value, dict) and "nChannels" in value):
            drawn = _media(value, NEIGHBOR_SIZE)
            if isinstance(drawn, media.Picture):
                pictures.append(f'<img src="{drawn.uri}" alt="">')
            else:
                pictures.append(_player_or_cause(name, drawn))
        elif name in (*NEARNESS, *SCORES) and isinstance(value, float):
            words.append(f"{value:.2f}")
        elif value is not None:
            words.append(_plain_text(value))
    caption = " · ".join(words)
    return (
        f"<figure>{''.join(pictures)}<figcaption>{caption}</figcaption></figure>" if pictures else f"<p>{caption}</p>"
    )


def _more(value: Any) -> str:
    hidden = value.length - len(value.first) if isinstance(value, Items) else 0
    return f"<p>and {hidden} more</p>" if hidden > 0 else ""


def _plain_text(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, Items):
        more = ", …" if value.length > len(value.first) else ""
        return f"[{', '.join(_plain_text(item) for item in value.first)}{more}] ({value.length})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(name)}: {_plain_text(item)}" for name, item in value.items()) + "}"
    if isinstance(value, Bytes):
        return f"{value.length} bytes"
    return _text(f"{value:.4g}" if isinstance(value, float) else value)


def _text(value: object) -> str:
    """A text of unknown origin, escaped; what is too long is cut."""
    text = str(value)
    return html.escape(text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…")
