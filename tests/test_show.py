"""`flambeau.show` and `flambeau.progress`, as a notebook uses them. Pages are those of real photos and sounds, of rows that cannot be drawn,
and of rows that want to be scripts; bars are those of real jobs and trainings.

Pages are read with a parser of HTML, so that an element is one that a browser would make.
"""

from __future__ import annotations

import base64
import io
import json
import re
import struct
import sys
import wave
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
from PIL import Image

import flambeau
from flambeau import functions as F
from flambeau.drawing import Shown
from support import FAILURES, MODEL, PHOTOS, PROGRAMS, ROOT, connect_server, environment, run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text without the style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._open.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def content(self, tag: str) -> list[bytes]:
        """What the data URIs of these elements hold."""
        return [base64.b64decode(found["src"].partition(";base64,")[2]) for found in self.all(tag)]


def page(shown: Shown) -> Page:
    assert shown._repr_html_() == shown.html
    return Page(shown.html)


def picture(width: int = 40, height: int = 20, kind: str = "PNG", **more: Any) -> bytes:
    sink = io.BytesIO()
    Image.effect_noise((width, height), 90).convert("RGB").save(sink, kind, **more)
    return sink.getvalue()


def sound(seconds: float, rate: int = 16_000) -> bytes:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * int(seconds * rate)))
    return sink.getvalue()


def test_photos_with_labels_and_neighbors(photo_table: DataFrame, photos: dict[str, tuple[str, ...]]) -> None:
    described = photo_table.select(
        "file",
        "content",
        F.classify("content", MODEL, 3).alias("labels"),
        F.featurize("content", MODEL).alias("features"),
    ).cache()
    vectors = described.select("file", "features")
    near = flambeau.nearest(vectors, vectors, k=3).where("left_id <> right_id")
    named = near.join(described.selectExpr("file AS right_id", "content"), "right_id")
    lists = named.selectExpr("left_id AS file", "struct(similarity, right_id, content) AS one").groupBy("file")
    whole = described.join(lists.agg({"one": "collect_list"}).toDF("file", "nearest"), "file")
    shown = flambeau.show(whole, limit=100)
    described.unpersist()
    drawn = page(shown)
    assert shown.rows == len(photos) == len(drawn.all("article"))
    assert len(drawn.all("img")) == 28 + 28 * 2
    for content in drawn.content("img"):
        with Image.open(io.BytesIO(content)) as thumbnail:
            assert thumbnail.format == "JPEG" and max(thumbnail.size) <= 224
    assert len(shown.html) < 28 * 40_000, "thumbnails, and not the photos"
    assert re.search(r"cheetah 0\.9\d", drawn.text) and "chelsea.png" in drawn.text
    assert re.search(r"features: \[[-\d., e]+, …\] \(1280\)", drawn.text)
    assert str(shown) == "<28 rows: a notebook draws them; .html has the page>"


def test_rows_that_cannot_be_drawn_say_why(spark: SparkSession) -> None:
    bad = picture(400, 300, kind="JPEG")
    huge = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 0, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
    rows = [("cut", bad[: len(bad) // 2]), ("text", b"no picture"), ("empty", b""), ("null", None), ("good", bad)]
    rows += [("huge", huge), ("damaged", b"\x89PNG\r\n\x1a\n" + bytes(100))]
    table = spark.createDataFrame(rows, "name string, content binary")
    drawn = page(flambeau.show(table.withColumn("labels", F.try_classify("content", MODEL, 1))))
    assert len(drawn.all("img")) == 1
    for said in (
        r"content: a picture that cannot be drawn: image file is truncated \(\d+ bytes not processed\) name: cut labels: NULL",
        "content: a picture that cannot be drawn: cannot identify image file name: damaged",
        "content: 10 bytes, neither a picture nor a sound; they begin with 6e 6f 20 70 69 63 74 75",
        "content: 0 bytes, neither a picture nor a sound; they begin with nothing",
        "content: NULL",
        "labels: NULL: the input is NULL, or a try_ function could not read it",
        r"cannot be drawn: Image size \(3600000000 pixels\)",
    ):
        assert re.search(said, drawn.text), drawn.text
    with pytest.raises(FAILURES, match="FLAMBEAU_BAD_INPUT"):
        flambeau.show(table.select(F.classify("content", MODEL, 1)))


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><h1>out</h1>",
    "</div></article><iframe src='http://example.com'>",
    "&lt;b&gt; stays as it is",
    "\0\x1b[31m\u202e",
    "javascript:alert(1)",
)


def test_hostile_texts_stay_texts(spark: SparkSession) -> None:
    """As labels, titles, names of columns and of fields, keys of maps, captions of boxes and neighbors, paths, and bytes."""
    rows = [
        (
            text,
            [(text, 0.5)],
            [(text, [0.0, 0.0, 9.0, 9.0])],
            [(text, 0.9, text.encode())],
            {text: text},
            picture(),
            text.encode(),
        )
        for text in HOSTILE
    ]
    schema = (
        "title string, labels array<struct<label: string, probability: double>>, boxes array<struct<label: string, box: array<double>>>, "
        "near array<struct<`<i>name`: string, similarity: double, content: binary>>, m map<string, string>, p binary, `<b onclick=x>` binary"
    )
    table = spark.createDataFrame(rows, schema).selectExpr("*", "title AS file", "title AS `<u>`")
    drawn = page(flambeau.show(table, label="title", sound="file"))
    assert {tag for tag, _ in drawn.elements} == {
        "style", "div", "article", "p", "img", "i", "b", "span", "figure", "figcaption",
    }  # fmt: skip
    allowed = {"class", "style", "src", "alt"}
    assert {name for _, attributes in drawn.elements for name in attributes} <= allowed
    assert all(found["src"].startswith("data:image/jpeg;base64,") for found in drawn.all("img"))
    styles = {found["style"] for _, found in drawn.elements if "style" in found}
    assert all(re.fullmatch(r"[a-z0-9:;%.,() -]+", style) for style in styles), styles
    for text in HOSTILE[:5]:
        assert drawn.text.count(" ".join(text.split())) >= 6


def test_boxes_are_where_they_belong(spark: SparkSession) -> None:
    """In pixels of the whole photo, also of one that a camera stored sideways; in parts of its sides; outside of it; not boxes."""
    sideways = Image.Exif()
    sideways[0x0112] = 6
    kind = "content binary, found array<struct<label: string, score: float, box: array<float>>>"
    wide, turned = picture(400, 200, "JPEG"), picture(400, 200, "JPEG", exif=sideways)
    one = ("cat", 0.75, [100.0, 50.0, 300.0, 200.0])
    rows = [
        (wide, [one, ("dog", None, [-50.0, 0.0, 900.0, 100.0])]),
        (turned, [one]),
        (wide, [("cat", 0.75, [0.25, 0.25, 0.75, 1.0])]),
        (wide, [("none", 0.5, [1.0, 2.0]), (None, None, None), None]),
        (None, [one]),
    ]
    shown = page(flambeau.show(spark.createDataFrame(rows, kind).coalesce(1)))
    places = [tuple(map(float, re.findall(r"([\d.]+)%", found["style"]))) for found in shown.all("i")]
    assert places == [(25, 25, 50, 75), (0, 0, 100, 50), (50, 12.5, 50, 37.5), (25, 25, 50, 75)]
    assert "cat 0.75 dog cat 0.75 cat 0.75" in shown.text and "boxes without a picture: 1" in shown.text
    plain = spark.createDataFrame([(wide, [[0.0, 0.0, 200.0, 100.0]])], "p binary, b array<array<double>>")
    assert "width:50.00%;height:50.00%" in flambeau.show(plain, boxes="b").html


def test_sounds_are_played_and_long_ones_cut(spark: SparkSession) -> None:
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16, 3, 1, 8000, 32_000, 4, 32, b"data", 2 << 20
    )
    rows = [("short", sound(1)), ("long", sound(90)), ("floats", head + struct.pack("<f", 1.5) * (1 << 19))]
    rows += [("flac", b"fLaC" + bytes(2 << 20)), ("mp3", b"ID3" + bytes(100))]
    rows += [("broken", sound(1)[:30] + b"\xff" * (2 << 20))]
    drawn = page(flambeau.show(spark.createDataFrame(rows, "name string, content binary")))
    short, cut, floats, mp3 = drawn.content("audio")
    assert short == sound(1) and mp3 == rows[4][1]
    with wave.open(io.BytesIO(cut)) as file:
        assert (file.getframerate(), file.getnframes()) == (16_000, (1 << 20) // 2)
    numbers, rate = soundfile.read(io.BytesIO(floats), dtype="float32")
    assert rate == 8000 and numbers.tolist() == [1.5] * (1 << 18)
    assert drawn.text.count("the first 32.8 s") == 2
    assert "a sound of 2.0 MiB: only WAV files above 1.0 MiB can be cut" in drawn.text
    assert "a WAV file of 2.0 MiB without a format or without samples" in drawn.text
    kinds = [found["src"].partition(";")[0] for found in drawn.all("audio")]
    assert kinds == ["data:audio/wav"] * 3 + ["data:audio/mpeg"]


def test_what_comes_to_the_driver_is_bounded(spark: SparkSession) -> None:
    """Of a million long rows, a few without their longest values."""
    rows = spark.range(1_000_000).selectExpr(
        "id", "CAST(repeat('x', 17 * 1024 * 1024) AS BINARY) AS file", "repeat('y', 100000) AS words", "sequence(1, 100000) AS numbers",
        "array_repeat(named_struct('label', repeat('z', 5000), 'probability', 0.5), 1000) AS labels",
    )  # fmt: skip
    shown = flambeau.show(rows, limit=3)
    text = page(shown).text
    assert shown.rows == 3 and len(shown.html) < 40_000
    assert text.count("17.0 MiB: files above 16.0 MiB are not drawn") == 3
    assert "y" * 300 + "…" in text and "y" * 301 not in text
    assert "numbers: [1, 2, 3, 4, 5, 6, 7, 8, …] (100000)" in text and "and 992 more" in text


def test_columns_of_every_type(spark: SparkSession) -> None:
    """Also two of one name, names with dots and backticks, an ML vector, and NULL in each."""
    rows = spark.sql(
        "SELECT "
        "1 AS n, 1.5D AS n, true AS `a.b`, timestamp'2026-01-02 03:04:05' AS `back``tick`, map('k', array(1)) AS m, "
        "named_struct('x', 1, 'label', 'cat') AS best, named_struct('y', named_struct('z', array(NULL, 2))) AS deep, "
        "INTERVAL 1 DAY AS i, array('u', NULL) AS words, CAST(NULL AS VOID) AS nothing"
    )
    text = page(flambeau.show(rows)).text
    for said in (
        "n: 1 n: 1.5",
        "a.b: True",
        "back`tick: 2026-01-02 03:04:05",
        "m: {k -> [1]}",
        "deep: {y: {z: [NULL, 2] (2)}}",
    ):
        assert said in text
    assert "cat" in text and "words: [u, NULL] (2)" in text and "nothing: NULL" in text
    empty = spark.createDataFrame(
        [(None,) * 5], "b binary, l array<struct<label: string>>, s struct<a: int>, d double, t array<int>"
    )
    assert (
        page(flambeau.show(empty)).text
        == "b: NULL l: NULL: the input is NULL, or a try_ function could not read it s: NULL d: NULL t: NULL"
    )
    assert page(flambeau.show(empty.limit(0))).text == "no rows"
    vectors = spark.sql("SELECT array(1.0D, 2.0D) AS x").select(_vector("x"))
    assert "v: [1.0,2.0]" in page(flambeau.show(vectors)).text


def _vector(name: str) -> Any:
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql.functions import col

    return array_to_vector(col(name)).alias("v")


def test_paths_and_images_of_spark(spark: SparkSession, photos: dict[str, tuple[str, ...]]) -> None:
    paths = [f"{PHOTOS.as_uri()}/lion.jpg", str(PHOTOS / "chelsea.png"), f"{PHOTOS}/absent.jpg", None]
    rows = spark.createDataFrame([(path,) for path in paths], "file string").coalesce(1)
    drawn = page(flambeau.show(rows, image="file"))
    assert len(drawn.all("img")) == 2 and "absent.jpg" in drawn.text and "file: NULL" in drawn.text
    images = spark.read.format("image").load(str(PHOTOS / "chelsea.png"))
    (thumbnail,) = page(flambeau.show(images)).content("img")
    with Image.open(io.BytesIO(thumbnail)) as image, Image.open(PHOTOS / "chelsea.png") as cat:
        small = cat.convert("RGB").resize(image.size)
        near = [abs(a - b) for a, b in zip(image.resize((8, 8)).tobytes(), small.resize((8, 8)).tobytes())]
    assert max(near) < 40, "red and blue are where they belong"


def test_mistakes_are_named(spark: SparkSession) -> None:
    rows = spark.sql("SELECT 1 AS number, 'x' AS word, array(1.0) AS list")
    for arguments, error, said in (
        ({"limit": 0}, ValueError, "limit must be a whole number from 1 to 1000, not 0"),
        ({"size": 5000}, ValueError, "size must be"),
        ({"image": "nope"}, ValueError, "image='nope': there is no such column, only number, word, list"),
        ({"image": "word", "label": "word"}, ValueError, "in one way only"),
        (
            {"image": "number"},
            TypeError,
            "image='number' must be a binary, Spark's image struct, or a string with a path, not int",
        ),
        ({"boxes": "list"}, TypeError, "boxes='list' must be an array of structs with a field box"),
        ({"neighbors": "word"}, TypeError, "neighbors='word' must be an array of structs, not string"),
        ({"label": "list"}, TypeError, "label='list' must be"),
    ):
        with pytest.raises(error, match=re.escape(said)):
            flambeau.show(rows, **arguments)


def test_without_pillow_and_tqdm(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = spark.createDataFrame([(picture(),)], "content binary")
    for name in ("PIL", "PIL.Image", "PIL.ImageOps", "tqdm"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="pip install pillow"):
        flambeau.show(rows)
    assert "id: 0" in page(flambeau.show(spark.range(1))).text
    with pytest.raises(ImportError, match="pip install tqdm"):
        flambeau.progress(spark)


def bars(printed: str) -> dict[str, str]:
    """Title -> how its bar looked in the end."""
    return {line.partition(": ")[0]: line for line in re.split(r"[\r\n]+", printed) if ": " in line}


def test_progress_of_jobs_and_trainings(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    from flambeau.ml import TorchClassifier

    rows = spark.range(400).selectExpr("array(float(sin(id)), float(id % 2)) AS features", "double(id % 2) AS label")
    capsys.readouterr()
    with flambeau.progress(spark):
        classifier = TorchClassifier(maxEpochs=7)
        loss = classifier.fit(rows).summary.history.where("epoch = 7").head(1)[0].trainLoss
        spark.range(0, 100, 1, 23).count()
    drawn = capsys.readouterr().err
    epochs = [line for line in re.split(r"[\r\n]+", drawn) if line.startswith(f"{classifier.uid}: epochs")]
    assert "100%" in epochs[-1] and "7/7" in epochs[-1] and f"loss {loss:.4g}" in epochs[-1], epochs
    done, total = map(int, re.findall(r"Spark tasks: 100%.*?(\d+)/(\d+)", drawn)[-1])
    assert done == total >= 23 + 1 + 1

    spark.range(0, 100, 1, 5).count()
    with pytest.raises(ZeroDivisionError), flambeau.progress(spark):
        spark.range(0, 100, 1, 3).count()
        raise ZeroDivisionError
    drawn = capsys.readouterr().err
    assert re.findall(r"(\d+)/(\d+)", drawn)[-1] == ("4", "4"), "jobs before the block are not counted"
    assert "epochs" not in drawn


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, photos: dict[str, tuple[str, ...]]) -> Iterator[dict[str, Any]]:
    """What a Connect client shows, and the last line of its bar."""
    folder: Path = tmp_path_factory.mktemp("connect")
    with connect_server(folder, {}) as address:
        command: list[str | Path] = [sys.executable, PROGRAMS / "connect_notebook.py", address, PHOTOS.as_uri()]
        done = run(command, folder, environment(PYTHONPATH=str(ROOT / "python")))
    yield json.loads(done.stdout.splitlines()[-1]) | {"bar": re.split(r"[\r\n]+", done.stderr.strip())[-1]}


def test_over_spark_connect(client: dict[str, Any], photo_table: DataFrame) -> None:
    labeled = photo_table.select("file", "content", F.classify("content", MODEL, 2).alias("labels")).orderBy("file")
    assert client["html"] == flambeau.show(labeled, limit=3).html
    assert re.search(r"Spark tasks: 100%.*?(\d+)/\1\b", client["bar"]), client["bar"]
