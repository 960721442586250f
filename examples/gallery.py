"""Shows the demo's results: one HTML page without other files, and the same as a PNG contact sheet.

What lives here: `Result`, the query's result for one photo; `write_html` and `write_png`. Thumbnails are made with
Pillow and are in the page as data URIs.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from demo_cards import Search, Training


@dataclass(frozen=True)
class Result:
    """One photo's answer: labels best first with probabilities, neighbors nearest first with cosines."""

    path: Path
    title: str
    labels: Sequence[tuple[str, float]]
    neighbors: Sequence[tuple[Path, float]]
    right: bool

    @property
    def size(self) -> str:
        """Pixels and format, for people."""
        with Image.open(self.path) as image:
            return f"{image.width} x {image.height} {image.format}"


@dataclass(frozen=True)
class Page:
    """What the HTML page shows. `facts` are (name, value) for its head; `sources` says where the photos come from; `links` are
    (title, address) of pages to read next."""

    results: Sequence[Result]
    sql: str
    facts: Sequence[tuple[str, str]]
    sources: str
    search: Search
    training: Training
    links: Sequence[tuple[str, str]]


STYLE = """
:root{--ground:#faf7f2;--card:#fff;--ink:#241c15;--soft:#7d7166;--line:#ece4d9;--fire:#e25822;--fire2:#f5a623;--bar:#f3ece2}
@media (prefers-color-scheme:dark){:root{--ground:#16120f;--card:#211b17;--ink:#f4ece3;--soft:#a69888;--line:#362d26;--bar:#332a23}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1280px;margin:0 auto;padding:48px 24px 32px}
h1{font-size:38px;line-height:1.15;letter-spacing:-.02em;margin:0 0 10px}
h1 span{background:linear-gradient(90deg,var(--fire),var(--fire2));-webkit-background-clip:text;background-clip:text;color:transparent}
.lead{max-width:760px;color:var(--soft);font-size:17px;margin:0 0 26px}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:14px 24px;margin:0 0 26px;padding:0;align-items:end}
.facts dt{color:var(--soft);font-size:13px}
.facts dd{margin:0;font-size:26px;font-weight:650;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
pre{background:#241c15;color:#f6e9da;border-radius:12px;padding:18px 22px;overflow:auto;font:14px/1.6 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;margin:0 0 36px}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(272px,1fr));gap:22px}
article{background:var(--card);border:1px solid var(--line);border-radius:14px;overflow:hidden;display:flex;flex-direction:column}
article>img{width:100%;aspect-ratio:4/3;object-fit:cover;display:block;background:var(--bar)}
.text{padding:14px 16px 16px;display:flex;flex-direction:column;gap:12px;flex:1}
h2{font-size:16px;margin:0;display:flex;justify-content:space-between;align-items:baseline;gap:8px}
h2 small{font-weight:400;color:var(--soft);font-size:12px;white-space:nowrap}
ol{list-style:none;margin:0;padding:0;display:grid;gap:7px}
li{display:grid;grid-template-columns:1fr auto;font-size:14px;gap:2px 8px}
li:first-child{font-weight:600}
li b{font-weight:inherit;font-variant-numeric:tabular-nums}
li i{grid-column:1/-1;height:6px;border-radius:3px;background:var(--bar);overflow:hidden}
li i::after{content:"";display:block;height:100%;width:var(--p);border-radius:3px;background:linear-gradient(90deg,var(--fire),var(--fire2))}
.near{margin-top:auto;border-top:1px solid var(--line);padding-top:12px}
.near p{margin:0 0 6px;font-size:12px;color:var(--soft)}
.near div{display:grid;grid-template-columns:repeat(3,1fr);gap:8px}
figure{margin:0}
figure img{width:100%;aspect-ratio:1;object-fit:cover;border-radius:8px;display:block}
figcaption{font-size:11px;color:var(--soft);text-align:center;font-variant-numeric:tabular-nums;margin-top:2px}
.miss{color:var(--fire);font-size:12px;font-weight:400}
.wide{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:22px;margin:0 0 36px}
.wide pre{margin:0;font-size:12px;padding:12px 14px}
.wide p{margin:0;font-size:14px}
.wide svg{width:100%;height:90px;background:var(--bar);border-radius:8px}
nav a{color:var(--fire);margin-right:20px}
footer{color:var(--soft);font-size:13px;margin-top:36px}
"""


def _thumbnail(path: Path, size: tuple[int, int]) -> Image.Image:
    with Image.open(path) as image:
        return ImageOps.fit(image.convert("RGB"), size, Image.Resampling.LANCZOS)


def _data_uri(path: Path, size: tuple[int, int]) -> str:
    stream = io.BytesIO()
    _thumbnail(path, size).save(stream, "JPEG", quality=82, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _card(result: Result, small: dict[Path, str], titles: dict[Path, str]) -> str:
    name = html.escape(result.title)
    bars = "".join(
        f'<li><span>{html.escape(label)}</span><b>{probability:.0%}</b><i style="--p:{probability:.1%}"></i></li>'
        for label, probability in result.labels
    )
    near = "".join(
        f'<figure><img src="{small[path]}" alt="{html.escape(titles[path])}" title="{html.escape(titles[path])}">'
        f"<figcaption>{cosine:.2f}</figcaption></figure>"
        for path, cosine in result.neighbors
    )
    shown = f"<p>Nearest by feature (cosine)</p><div>{near}</div>" if near else "<p>No other photo is similar</p>"
    miss = "" if result.right else '<span class="miss">not what is on the photo</span>'
    return (
        f'<article><img src="{_data_uri(result.path, (544, 408))}" alt="{name}" loading="lazy"><div class="text">'
        f"<h2>{name}<small>{result.size}</small></h2>{miss}<ol>{bars}</ol>"
        f'<div class="near">{shown}</div></div></article>'
    )


def _search_card(search: Search, small: dict[Path, str]) -> str:
    pictures = {path.name: uri for path, uri in small.items()}
    found = "".join(
        f'<figure><img src="{pictures[photo]}" alt="{html.escape(photo)}"><figcaption>{html.escape(label)} {cosine:.2f}</figcaption></figure>'
        for photo, label, cosine in search.found
    )
    return (
        f'<article><div class="text"><h2>Search by text: {html.escape(search.question)}</h2><p>all-MiniLM-L6-v2 compares the question '
        f"with the labels of each photo.</p><pre>{html.escape(search.sql)}</pre>"
        f'<div class="near"><div>{found}</div></div></div></article>'
    )


def _training_card(training: Training) -> str:
    highest, last = max(training.losses), max(1, len(training.losses) - 1)
    points = " ".join(
        f"{400 * epoch / last:.1f},{84 - 78 * loss / highest:.1f}" for epoch, loss in enumerate(training.losses)
    )
    return (
        f'<article><div class="text"><h2>Train: animal or not<small>{training.right} of {training.tested} right</small></h2>'
        f"<p>A classifier over the features, trained in a Spark job. A hash of the file's name divides the photos into {training.folds} "
        f"parts. Each part is tested with a classifier that was trained on the others. The loss of the first one over {len(training.losses)} "
        f"epochs, from {training.losses[0]:.2f} to {training.losses[-1]:.2f}:</p>"
        f'<svg viewBox="0 0 400 90" preserveAspectRatio="none" role="img" aria-label="loss by epoch">'
        f'<polyline points="{points}" fill="none" stroke="#e25822" stroke-width="2" vector-effect="non-scaling-stroke"/></svg>'
        f"<pre>{html.escape(training.code)}</pre></div></article>"
    )


def write_html(out: Path, page: Page, near: float) -> None:
    """The page. `near` is the least cosine of the neighbors in it."""
    small = {result.path: _data_uri(result.path, (120, 120)) for result in page.results}
    titles = {result.path: result.title for result in page.results}
    cards = "\n".join(_card(result, small, titles) for result in page.results)
    listed = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in page.facts
    )
    links = "".join(f'<a href="{html.escape(address)}">{html.escape(title)}</a>' for title, address in page.links)
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Flambeau: photos through Spark SQL</title><style>{STYLE}</style></head><body><main>
<h1><span>Flambeau</span> looks at {len(page.results)} photos</h1>
<p class="lead">Labels and features came out of the Spark SQL statement below, the neighbors (cosine of at least {near}) out of a second
one over the features. EfficientNet-Lite0 ran inside the Spark executor, on libtorch; no Python worker took part. The other speed is
that of the same network and photos in a pandas UDF, on the same cores.</p>
<dl class="facts">{listed}</dl>
<pre>{html.escape(page.sql)}</pre>
<div class="wide">
{_search_card(page.search, small)}
{_training_card(page.training)}
</div>
<div class="grid">
{cards}
</div>
<footer><nav>{links}</nav><p>{html.escape(page.sources)}</p></footer></main></body></html>
"""
    out.write_text(text, encoding="utf-8")


CELL_WIDTH, PICTURE_HEIGHT, CELL_HEIGHT, GAP, COLUMNS = 296, 210, 384, 18, 7
INK, SOFT, LINE, FIRE, BAR = "#241c15", "#7d7166", "#ece4d9", "#e25822", "#f3ece2"


def write_png(out: Path, results: Sequence[Result], facts: Sequence[tuple[str, str]]) -> None:
    """The contact sheet: the same cards on one picture, seven a row."""
    rows = -(-len(results) // COLUMNS)
    width = COLUMNS * (CELL_WIDTH + GAP) + GAP
    head = 104
    sheet = Image.new("RGB", (width, head + rows * (CELL_HEIGHT + GAP) + GAP), "#faf7f2")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 20), f"Flambeau looks at {len(results)} photos", fill=FIRE, font=ImageFont.load_default(34))
    line = "     ".join(f"{name}: {value}" for name, value in facts)
    draw.text((GAP, 68), line, fill=SOFT, font=ImageFont.load_default(18))
    for index, result in enumerate(results):
        x = GAP + index % COLUMNS * (CELL_WIDTH + GAP)
        y = head + index // COLUMNS * (CELL_HEIGHT + GAP)
        _draw_card(sheet, draw, x, y, result)
    sheet.save(out, optimize=True)


def _draw_card(sheet: Image.Image, draw: ImageDraw.ImageDraw, x: int, y: int, result: Result) -> None:
    bold, plain = ImageFont.load_default(17), ImageFont.load_default(14)
    draw.rounded_rectangle((x, y, x + CELL_WIDTH, y + CELL_HEIGHT), 10, fill="white", outline=LINE)
    sheet.paste(_thumbnail(result.path, (CELL_WIDTH - 1, PICTURE_HEIGHT)), (x + 1, y + 1))
    title = result.title if result.right else f"{result.title} (missed)"
    draw.text((x + 12, y + PICTURE_HEIGHT + 8), title, fill=INK if result.right else FIRE, font=bold)
    for rank, (label, probability) in enumerate(result.labels):
        top = y + PICTURE_HEIGHT + 34 + rank * 24
        percent = f"{probability:.0%}"
        draw.text((x + 12, top), label, fill=INK, font=plain)
        draw.text((x + CELL_WIDTH - 12 - draw.textlength(percent, plain), top), percent, fill=INK, font=plain)
        draw.rectangle((x + 12, top + 18, x + CELL_WIDTH - 12, top + 21), fill=BAR)
        draw.rectangle((x + 12, top + 18, x + 12 + round((CELL_WIDTH - 24) * probability), top + 21), fill=FIRE)
    top = y + PICTURE_HEIGHT + 112
    for rank, (path, cosine) in enumerate(result.neighbors):
        left = x + 12 + rank * 92
        sheet.paste(_thumbnail(path, (48, 48)), (left, top))
        draw.text((left + 52, top + 16), f"{cosine:.2f}", fill=SOFT, font=plain)
