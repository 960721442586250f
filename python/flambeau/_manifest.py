"""Whether a `model.toml` is valid, for those who look into a package without the engine.

What lives here: `problem`, and format 1 as tables of keys. The engine is the judge (`rust/engine/src/package`); these are its rules
again. `tests/manifests.json` lists manifests that are valid and others that are not, and tests of Rust, Scala and Python agree on each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

FORMAT = 1
MOST_COUNT = 2**64 - 1
LIMITS = (-(2**63), 2**63 - 1)
LARGEST_SIDE = 1 << 14
SAMPLE_RATES = (1_000, 384_000)
LONGEST_SECONDS = 86_400
SEPARATORS = "\x1c\x1d\x1e\x1f"
"""White space to Python, but not to Unicode."""
CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
WHOLE = ("i64", "i32", "i16", "i8", "u8")
DTYPES = ("f32", "f64", "f16", "bf16", *WHOLE, "bool")


class _Invalid(Exception):
    """The message says what is wrong, and where."""


Check = Callable[[Any], None]


def problem(tables: Mapping[str, Any]) -> str | None:
    """What is wrong with a manifest, or None if the engine accepts it."""
    try:
        _manifest(tables)
    except _Invalid as cause:
        return str(cause)
    return None


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise _Invalid(message)


# types of values


def _text(value: Any) -> None:
    _require(isinstance(value, str), f"{value!r:.100} is not a text")


def _flag(value: Any) -> None:
    _require(isinstance(value, bool), f"{value!r:.100} is not true or false")


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _whole(least: int, most: int) -> Check:
    return lambda value: _require(
        _is_whole(value, least, most), f"{value!r:.100} is not a whole number from {least} to {most}"
    )


def _number(value: Any) -> None:
    _require(isinstance(value, float) or _is_whole(value, LIMITS[0], MOST_COUNT), f"{value!r:.100} is not a number")


def _one_of(*names: str) -> Check:
    return lambda value: _require(
        isinstance(value, str) and value in names, f"{value!r:.100} is none of {', '.join(names)}"
    )


def _list_of(check: Check, length: int | None = None) -> Check:
    def checked(value: Any) -> None:
        _require(
            isinstance(value, list) and length in (None, len(value)), f"{value!r:.100} is not a list as it should be"
        )
        for one in value:
            check(one)

    return checked


def _table(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    def checked(value: Any) -> None:
        _require(isinstance(value, dict), f"{value!r:.100} is not a table")
        for key in required:
            _require(key in value, f"{key} is missing")
        for key, one in value.items():
            check = required.get(key) or optional.get(key)
            if check is None:
                raise _Invalid(f"{key} is not a key of format {FORMAT}")
            try:
                check(one)
            except _Invalid as cause:
                raise _Invalid(f"{key}: {cause}") from cause

    return checked


def _side(value: Any) -> None:
    """One number, or height and width; `_image` checks how large they are."""
    if isinstance(value, list):
        _list_of(_whole(0, 2**32 - 1), 2)(value)
    else:
        _whole(0, 2**32 - 1)(value)


_count = _whole(0, MOST_COUNT)
_limit = _whole(*LIMITS)
_dtype = _one_of(*DTYPES)

IMAGE = _table(
    {},
    {
        "resize": _side,
        "crop": _side,
        "interpolation": _one_of("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"),
        "channels": _one_of(*CHANNELS),
        "scale": _number,
        "mean": _list_of(_number),
        "std": _list_of(_number),
        "exif_orientation": _flag,
        "background": _list_of(_whole(0, 255), 3),
    },
)
TEXT = _table(
    {},
    {
        "tokenizer": _text,
        "max_length": _count,
        "inputs": _list_of(_one_of("input_ids", "attention_mask", "token_type_ids")),
        "pair_of": _text,
        "truncation": _one_of("longest_first", "only_first", "only_second"),
    },
)
AUDIO = _table(
    {"sample_rate": _whole(0, 2**32 - 1)},
    {
        "max_seconds": _number,
        "window_samples": _count,
        "hop_samples": _count,
        "pool": _one_of("mean", "max", "first"),
        "inputs": _list_of(_one_of("samples", "lengths")),
    },
)
KINDS = ("image", "text", "audio")
INPUT = _table(
    {"name": _text, "kind": _one_of(*KINDS, "tensor")},
    {
        "dtype": _dtype,
        "shape": _list_of(_count),
        "min": _limit,
        "max": _limit,
        "image": IMAGE,
        "text": TEXT,
        "audio": AUDIO,
    },
)
CTC = _table({"pad_token": _text, "frame_seconds": _number}, {"word_delimiter_token": _text})
BOXES = _table({"format": _one_of("xyxy", "cxcywh"), "unit": _one_of("relative", "pixels")}, {})
MOST_CLASSES = 65535
TOKEN_ROLES = ("token_scores", "start_scores", "end_scores")
ROLES = ("features", "scores", "ctc", "boxes", "box_scores", "box_classes", "pixel_scores", *TOKEN_ROLES, "other")
OUTPUT = _table(
    {"name": _text, "role": _one_of(*ROLES), "shape": _list_of(_count)},
    {
        "lengths": _text,
        "dtype": _dtype,
        "labels": _text,
        "activation": _one_of("softmax", "sigmoid", "none"),
        "ctc": CTC,
        "boxes": BOXES,
        "no_object": _flag,
    },
)
HEAD = _table({"file": _text, "sha256": _text, "reads": _text}, {"index": _count})
VARIANT = _table(
    {"file": _text, "engine": _one_of("torchscript", "aot_inductor"), "precision": _text, "sha256": _text},
    {"requires": _list_of(_text), "libtorch": _text, "cosine": _number, "head": HEAD},
)


def _files(value: Any) -> None:
    _require(isinstance(value, dict), f"{value!r:.100} is not a table")
    for sha256 in value.values():
        _text(sha256)


MANIFEST = _table(
    {
        "format": _whole(0, 2**32 - 1),
        "name": _text,
        "license": _text,
        "input": _list_of(INPUT),
        "output": _list_of(OUTPUT),
        "variant": _list_of(VARIANT),
    },
    {"description": _text, "trainable": _flag, "batch_rows": _whole(1, MOST_COUNT), "files": _files},
)


# what the types cannot say


def _manifest(tables: Mapping[str, Any]) -> None:
    MANIFEST(tables)
    _require(tables["format"] == FORMAT, f"format is {tables['format']}, this version reads {FORMAT}")
    _require(bool(tables["name"].strip()) or bool(set(SEPARATORS) & set(tables["name"])), "name is empty")
    _unique("input", (table["name"] for table in tables["input"]))
    _unique("output", (table["name"] for table in tables["output"]))
    _unique("variant", (table["file"] for table in tables["variant"]))
    files = tables.get("files", {})
    for table in tables["input"]:
        _of("input", table, _input)
        _of("input", table, lambda of_text: _pair(of_text, tables["input"]))
    for table in tables["output"]:
        _of("output", table, lambda output: _output(output, tables, files))
    for variant in tables["variant"]:
        cosine = variant.get("cosine", 1)
        _require(-1 <= cosine <= 1, f"variant {variant['file']!r}: cosine is {cosine}, which is outside -1 to 1")
        if variant["engine"] == "aot_inductor":
            complete = "libtorch" in variant and bool(variant.get("requires")) and "head" not in variant
            _require(
                complete,
                f"variant {variant['file']!r} is compiled code: it needs libtorch and requires, and cannot have a head",
            )
    heads = [variant["head"] for variant in tables["variant"] if "head" in variant]
    for head in heads:
        _require(
            not set(head["reads"]) & set('"\\\n'),
            f"head.reads is {head['reads']!r}, which is not the name of an output",
        )
    for name in [*files, *(program["file"] for program in [*tables["variant"], *heads])]:
        inside = bool(name) and not name.startswith(".") and not set(name) & set("/\\\0")
        _require(inside, f"{name!r} is not the name of a file in the package's folder")


def _of(what: str, table: dict[str, Any], check: Callable[[dict[str, Any]], None]) -> None:
    try:
        check(table)
    except _Invalid as cause:
        raise _Invalid(f"{what} {table['name']!r}: {cause}") from cause


def _unique(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        _require(name not in seen, f"two {what}s are called {name!r}")
        seen.add(name)
    _require(bool(seen), f"there is no [[{what}]]")


def _input(table: dict[str, Any]) -> None:
    _shape(table.get("shape", []))
    for kind in KINDS:
        present = kind in table
        verb = "must not have" if present else "needs"
        _require(present == (table["kind"] == kind), f"an input of kind {table['kind']} {verb} a table [input.{kind}]")
    low, high = table.get("min"), table.get("max")
    if low is not None or high is not None:
        limited = table["kind"] == "tensor" and table.get("dtype", "f32") in WHOLE
        _require(limited, f"min and max are for tensors of whole numbers ({', '.join(WHOLE)})")
        _require(low is None or high is None or low <= high, f"min is {low}, which is above max, {high}")
    if "image" in table:
        _image(table["image"])
    if "text" in table:
        _tokens(table["text"])
    if "audio" in table:
        _sound(table["audio"])


def _pair(table: dict[str, Any], inputs: list[dict[str, Any]]) -> None:
    if "text" not in table:
        return
    seconds = [other["text"]["pair_of"] for other in inputs if "pair_of" in other.get("text", {})]
    first = table["text"].get("pair_of")
    if first is None:
        used = "truncation" not in table["text"] or table["name"] in seconds
        _require(used, "truncation is for pairs of texts: no input has pair_of with this one's name")
        return
    before = inputs[: inputs.index(table)]
    named = any(other["name"] == first and "pair_of" not in other.get("text", {"pair_of": ""}) for other in before)
    _require(named, f"pair_of = {first!r} does not name a text input before it")
    _require(seconds.count(first) == 1, f"pair_of = {first!r} is the second text of {first!r}, which has another one")


def _shape(shape: list[int]) -> None:
    values = 1
    for side in shape:
        values *= side
        _require(values < 2**64, f"the shape is {shape}, but a row has less than 2^31 values")
    _require(values < 2**31, f"the shape is {shape}, but a row has less than 2^31 values")


def _image(spec: dict[str, Any]) -> None:
    for key in ("resize", "crop"):
        size = spec.get(key, 1)
        fits = all(1 <= side <= LARGEST_SIDE for side in (size if isinstance(size, list) else [size]))
        _require(fits, f"{key}: sides must be 1 to {LARGEST_SIDE}, not {size}")
    known = "crop" in spec or isinstance(spec.get("resize"), list)
    _require(known, "the size is unknown: give crop, or resize = [height, width]")
    channels = CHANNELS[spec.get("channels", "RGB")]
    for key in ("mean", "std"):
        values = spec.get(key, [1] * channels)
        _require(len(values) == channels, f"{key}: {len(values)} values for {channels} channels")
        _require(all(math.isfinite(value) for value in values), f"{key}: values must be finite")
    _require(0 not in spec.get("std", []), "std: values must not be 0")
    scale = spec.get("scale", 1)
    _require(math.isfinite(scale) and scale != 0, f"scale: must be finite and not 0, not {scale}")


def _tokens(spec: dict[str, Any]) -> None:
    tokenizer = spec.get("tokenizer", "tokenizer.json")
    parts = tokenizer.split("/")
    inside = bool(tokenizer) and parts[0] not in ("", ".") and ".." not in parts
    _require(inside, f"tokenizer = {tokenizer!r} is not a file of the package")
    _require(spec.get("max_length") != 0, "max_length = 0 leaves no token")
    inputs = spec.get("inputs", ["input_ids"])
    _require("input_ids" in inputs, "inputs lacks 'input_ids'")
    _require(len(set(inputs)) == len(inputs), "inputs names a tensor twice")
    if "pair_of" in spec:
        usual = {"tokenizer": "tokenizer.json", "inputs": ["input_ids", "attention_mask"]}
        alone = all(key == "pair_of" or usual.get(key) == value for key, value in spec.items())
        _require(alone, "with pair_of there is no other key: the tokenizer of the first text encodes both")


def _sound(spec: dict[str, Any]) -> None:
    low, high = SAMPLE_RATES
    _require(low <= spec["sample_rate"] <= high, f"sample_rate = {spec['sample_rate']} is outside {low} to {high}")
    seconds = spec.get("max_seconds", 600)
    _require(0 < seconds <= LONGEST_SECONDS, f"max_seconds = {seconds} is outside 0 to {LONGEST_SECONDS}")
    window, hop = spec.get("window_samples"), spec.get("hop_samples")
    _require(window != 0, "window_samples = 0")
    _require(hop != 0, "hop_samples = 0")
    _require(window is not None or hop is None, "hop_samples needs window_samples")
    _require(
        window is None or hop is None or hop <= window, f"hop_samples = {hop} skips samples between windows of {window}"
    )
    _require(window is not None or "pool" not in spec, "pool needs window_samples")
    inputs = spec.get("inputs", ["samples", "lengths"])
    _require(
        sorted(inputs) in (["samples"], ["lengths", "samples"]), 'inputs must be "samples", and "lengths" at most once'
    )
    _require("lengths" in inputs or window is not None, 'inputs without "lengths" needs window_samples')


def _output(table: dict[str, Any], tables: Mapping[str, Any], files: Mapping[str, str]) -> None:
    _shape(table["shape"])
    if "lengths" in table:
        _lengths(table, tables)
    if table["role"] in ("scores", "token_scores"):
        _require(len(table["shape"]) == 1, f"scores have one dimension; the shape is {table['shape']}")
    if table["role"] in TOKEN_ROLES:
        texts = [one for one in tables["input"] if one["kind"] == "text" and "pair_of" not in one["text"]]
        _require(
            "lengths" in table and len(texts) == 1,
            f"{table['role']} are one for each token of a text: they need lengths, and one input of kind text (or a pair)",
        )
    if table["role"] in ("start_scores", "end_scores"):
        _require(not table["shape"], f"{table['role']} are one number for each token; the shape is {table['shape']}")
    labels = table.get("labels")
    _require(labels is None or labels in files, f"labels are in {labels!r}, which [files] does not list")
    _require(("ctc" in table) == (table["role"] == "ctc"), "the role ctc and a table [output.ctc] belong together")
    _require(
        ("boxes" in table) == (table["role"] == "boxes"), "the role boxes and a table [output.boxes] belong together"
    )
    _require(not table.get("no_object") or table["role"] == "box_scores", "no_object is for the role box_scores")
    if table["role"] == "pixel_scores":
        _pixels(table, tables)
    if table["role"] == "boxes":
        _detector(table, tables)
    if "ctc" in table:
        seconds = table["ctc"]["frame_seconds"]
        _require(len(table["shape"]) == 1, f"a frame has one score per token; the shape is {table['shape']}")
        _require("lengths" in table and "labels" in table, "the role ctc needs lengths and labels")
        _require(math.isfinite(seconds) and seconds > 0, f"ctc: frame_seconds = {seconds} must be above 0")


def _pixels(scores: dict[str, Any], tables: Mapping[str, Any]) -> None:
    """A map of scores for each of several classes."""
    _require(
        any(table["kind"] == "image" for table in tables["input"]),
        "pixel_scores are of a picture, but no input is an image",
    )
    shape = scores["shape"]
    _require(
        len(shape) == 3 and 2 <= shape[0] <= MOST_CLASSES and 0 not in shape and "lengths" not in scores,
        f"pixel_scores have the shape [classes, height, width], with 2 to {MOST_CLASSES} classes, not {shape}",
    )


def _detector(boxes: dict[str, Any], tables: Mapping[str, Any]) -> None:
    """As many scores as boxes, and a class for each box."""
    _require(
        any(table["kind"] == "image" for table in tables["input"]), "boxes are in a picture, but no input is an image"
    )
    counted = 0 if "lengths" in boxes else 1
    shape = boxes["shape"]
    _require(len(shape) == counted + 1 and shape[-1] == 4, f"a box has 4 numbers, but the shape is {shape}")
    scores = next((table for table in tables["output"] if table["role"] == "box_scores"), None)
    classes = next((table for table in tables["output"] if table["role"] == "box_classes"), None)
    for other in (scores, classes):
        same = other is None or (
            other.get("lengths") == boxes.get("lengths") and other["shape"][:counted] == shape[:counted]
        )
        _require(same, "an output does not have as many items as there are boxes")
    _require(scores is not None, "boxes need an output with the role box_scores")
    if scores is None:
        return
    rest = scores["shape"][counted:]
    if classes is None:
        least = 2 if scores.get("no_object") else 1
        _require(
            len(rest) == 1 and rest[0] >= least, "box_scores need one score per class, or another output the classes"
        )
        return
    _require(
        not rest and "labels" not in scores, "box_scores have one score per box and no labels, as box_classes are given"
    )
    whole = classes.get("dtype", "f32") in ("i64", "i32")
    _require(classes["shape"][counted:] == [] and whole, "box_classes have one whole number per box")


def _lengths(table: dict[str, Any], tables: Mapping[str, Any]) -> None:
    _require(
        table["role"] not in ("features", "scores"),
        "rows that differ in length (lengths = …) are not for outputs with the role features or scores",
    )
    counts = [
        output["name"]
        for output in tables["output"]
        if not output["shape"] and "lengths" not in output and output.get("dtype", "f32") in ("i64", "i32")
    ]
    _require(
        table["lengths"] in counts,
        f"lengths = {table['lengths']!r} does not name an output of shape [] and dtype i64 or i32",
    )
    windows = any("window_samples" in table.get("audio", {}) for table in tables["input"])
    _require(not windows, "lengths cannot be combined with window_samples")
