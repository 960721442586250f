"""The tokenizer of a text input: found, read, and checked for everything that would stop an executor from loading it.

What lives here: `read_tokenizer` and `TokenizerFile`. `read_tokenizer` takes a `tokenizer.json`, the folder around it, or a
tokenizer object of `tokenizers` or `transformers`. `TokenizerFile` has the bytes that go into the package, and the facts about them that
the export needs. If the package `tokenizers` is installed, it must be able to load the bytes too. The checks below
find what the executors' tokenizer library rejects.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from .errors import ExportError

FILE = "tokenizer.json"
NO_LIMIT = 1_000_000
"""`model_max_length` at or above this stands for no limit (transformers writes 1e30)."""

WORD_CHARS, PIECE_BYTES = 1_000, 1_024
"""Bounds of the executors on WordPiece's longest word and Unigram's longest piece: time grows with a power of them."""

KINDS = {
    "model": "BPE WordPiece WordLevel Unigram",
    "normalizer": "BertNormalizer Strip StripAccents NFC NFD NFKC NFKD Sequence Lowercase Nmt Precompiled Replace "
    "Prepend ByteLevel",
    "pre_tokenizer": "BertPreTokenizer ByteLevel CharDelimiterSplit Metaspace Whitespace Sequence Split Punctuation "
    "WhitespaceSplit Digits UnicodeScripts FixedLength",
    "post_processor": "RobertaProcessing BertProcessing ByteLevel TemplateProcessing Sequence",
    "decoder": "BPEDecoder ByteLevel WordPiece Metaspace CTC Sequence Replace Fuse Strip ByteFallback",
}
"""Parts of a `tokenizer.json`, and their types in tokenizers 0.23, which the executors have."""


@dataclass(frozen=True)
class TokenizerFile:
    """A `tokenizer.json` that can be loaded.

    Args:
        place: where it came from, for messages.
        content: the file.
        highest_id: the greatest token id that it can give.
        special_tokens: how many tokens it puts around a text.
        pair_special_tokens: how many it puts around two texts.
        pair_type: the `token_type_ids` of the second text of a pair.
        longest: tokens that it keeps of a text by itself; None: all of them.
        pad_id, pads_left: how short rows are filled up.
    """

    place: str
    content: bytes
    highest_id: int
    special_tokens: int
    pair_special_tokens: int
    pair_type: int
    longest: int | None
    pad_id: int
    pads_left: bool


def read_tokenizer(source: Any) -> TokenizerFile:
    """The tokenizer in a file, a folder or an object.

    Raises:
        ExportError: there is none, or no executor could load it.
    """
    advised = None
    if isinstance(source, (str, PathLike)):
        path = _path(Path(fspath(source)))
        place, content, advised = str(path), path.read_bytes(), _advised_length(path.parent)
    else:
        place, content = f"the {type(source).__name__}", _serialized(source)
        declared = getattr(source, "model_max_length", None)
        advised = declared if isinstance(declared, int) and declared < NO_LIMIT else None
    return _checked(place, content, advised)


def _path(given: Path) -> Path:
    if given.is_dir():
        if (given / FILE).is_file():
            return given / FILE
        others = sorted(entry.name for entry in given.iterdir() if "token" in entry.name or "vocab" in entry.name)
        beside = f" (it has {', '.join(others[:4])})" if others else ""
        raise ExportError(f"the folder {given} has no {FILE}{beside}; {HOW_TO_SAVE}")
    if not given.is_file():
        raise ExportError(
            f"there is no tokenizer at {given}; give the path of a {FILE}, or of the folder that it lies in"
        )
    return given


HOW_TO_SAVE = f"AutoTokenizer.from_pretrained(…).save_pretrained(folder) of transformers writes a {FILE}"


def _serialized(source: Any) -> bytes:
    """The file that a tokenizer object of `tokenizers`, or a fast one of `transformers`, would write."""
    backend = getattr(source, "backend_tokenizer", None) or source
    to_str = getattr(backend, "to_str", None)
    if not callable(to_str):
        raise ExportError(
            f"tokenizer= takes the path of a {FILE}, the folder that it lies in, a tokenizers.Tokenizer or a fast tokenizer "
            f"of transformers, not a {type(source).__name__}; {HOW_TO_SAVE}"
        )
    return str(to_str()).encode("utf-8")


def _advised_length(folder: Path) -> int | None:
    """`model_max_length` of the `tokenizer_config.json` beside the tokenizer, if that is a limit."""
    try:
        declared = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("model_max_length")
    except (OSError, ValueError, AttributeError):
        return None
    return declared if isinstance(declared, int) and 0 < declared < NO_LIMIT else None


def _checked(place: str, content: bytes, advised: int | None) -> TokenizerFile:
    def refuse(reason: str) -> ExportError:
        return ExportError(f"{place} cannot be loaded as a tokenizer: {reason}; {HOW_TO_SAVE}")

    try:
        document = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise refuse(f"it is not JSON ({error})") from error
    if not isinstance(document, dict) or not isinstance(document.get("model"), dict):
        raise refuse(f"it is no {FILE}, which has an object 'model' with the vocabulary")
    try:
        ids = _vocabulary(document["model"])
        added = {entry["content"]: _token_id(entry["id"]) for entry in document.get("added_tokens") or []}
        _check_parts(document)
        processor = document.get("post_processor")
        special, of_pair = _special_tokens(processor, "single"), _special_tokens(processor, "pair")
        pair_type = _pair_type(processor)
        padding, truncation = document.get("padding"), document.get("truncation")
        longest = truncation["max_length"] if truncation else advised
        named = [{**ids, **added}.get(token) for token in ("[PAD]", "<pad>")]
        pad_id = padding["pad_id"] if padding else next((found for found in named if found is not None), 0)
        pads_left = padding.get("direction") == "Left" if padding else False
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise refuse(f"a part of it is missing or of the wrong type ({error!r})") from error
    except ValueError as error:
        raise refuse(str(error)) from error
    _load_for_real(content, refuse)
    highest = max([*ids.values(), *added.values()], default=0)
    return TokenizerFile(place, content, highest, special, of_pair, pair_type, longest, pad_id, pads_left)


def _token_id(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 32:
        raise ValueError(f"{value!r} is not the id of a token")
    return value


def _vocabulary(model: Mapping[str, Any]) -> dict[str, int]:
    """Token to id, by the model's type; checks what its loader checks."""
    kind = model.get("type")
    if kind is None:
        kind = "Unigram" if isinstance(model.get("vocab"), list) else "BPE" if "merges" in model else "WordPiece"
    _check_type("model", kind)
    if "vocab" not in model:
        raise ValueError("its model has no vocab")
    if kind == "Unigram":
        scored = [(str(token), float(score)) for token, score in model["vocab"]]
        unknown = model.get("unk_id")
        if unknown is not None and not 0 <= unknown < len(scored):
            raise ValueError(f"unk_id is {unknown}, but there are {len(scored)} tokens")
        if any(len(token.encode("utf-8", "surrogatepass")) > PIECE_BYTES for token, _ in scored):
            raise ValueError(f"a piece of its vocabulary is longer than {PIECE_BYTES} bytes")
        return {token: index for index, (token, _) in enumerate(scored)}
    ids = {str(token): _token_id(value) for token, value in model["vocab"].items()}
    if kind in ("WordPiece", "WordLevel"):
        for key in ("unk_token", *(("continuing_subword_prefix", "max_input_chars_per_word") * (kind == "WordPiece"))):
            if key not in model:
                raise ValueError(f"its {kind} model has no {key}")
    if kind == "WordPiece" and model["max_input_chars_per_word"] > WORD_CHARS:
        raise ValueError(
            f"max_input_chars_per_word is {model['max_input_chars_per_word']}, above {WORD_CHARS}: set it to 100"
        )
    if kind == "BPE":
        _check_merges(model, ids)
    return ids


def _added(entries: list[Mapping[str, Any]]) -> dict[str, int]:
    """Token to id, of the added tokens."""
    for entry in entries:
        missing = [key for key in ("single_word", "lstrip", "rstrip", "normalized", "special") if key not in entry]
        if missing:
            raise ValueError(f"the added token {entry['content']!r} lacks {missing[0]}")
    return {entry["content"]: _token_id(entry["id"]) for entry in entries}


def _check_merges(model: Mapping[str, Any], ids: Mapping[str, int]) -> None:
    """Every pair and what it makes are in the vocabulary."""
    prefix = model.get("continuing_subword_prefix") or ""
    for merge in model["merges"]:
        pair = merge.split(" ") if isinstance(merge, str) else list(merge)
        if len(pair) != 2:
            raise ValueError(f"the merge {merge!r} is no pair of tokens")
        made = pair[0] + pair[1].removeprefix(prefix) if prefix else pair[0] + pair[1]
        for token in (*pair, made):
            if token not in ids:
                raise ValueError(f"the merge {merge!r} needs the token {token!r}, which the vocabulary does not have")


def _check_type(part: str, kind: object) -> None:
    if kind not in KINDS[part].split():
        raise ValueError(f"its {part} is of the type {kind!r}; known are {', '.join(KINDS[part].split())}")


def _check_parts(document: Mapping[str, Any]) -> None:
    """Types of all parts, those inside of sequences too."""
    inside = {
        "normalizer": "normalizers",
        "pre_tokenizer": "pretokenizers",
        "post_processor": "processors",
        "decoder": "decoders",
    }
    if document.get("version", "1.0") != "1.0":
        raise ValueError(f"its version is {document['version']!r}, not '1.0'")
    for part, members in inside.items():
        waiting = [document.get(part)]
        while waiting:
            item = waiting.pop()
            if item is not None:
                _check_type(part, item["type"])
                if item["type"] == "Sequence":
                    waiting.extend(item[members])


def _special_tokens(post_processor: Mapping[str, Any] | None, texts: str) -> int:
    """How many tokens the post-processor puts around `texts`, "single" or "pair"; those that it names exist."""
    if post_processor is None:
        return 0
    kind = post_processor["type"]
    if kind == "Sequence":
        return sum(_special_tokens(item, texts) for item in post_processor["processors"])
    if kind in ("BertProcessing", "RobertaProcessing"):
        ends = {"single": 1, "pair": 2 if kind == "BertProcessing" else 3}[texts]
        return (len(post_processor["cls"]) == 2) + ends * (len(post_processor["sep"]) == 2)
    if kind != "TemplateProcessing":
        return 0
    named = post_processor["special_tokens"]
    count = 0
    for piece in [*post_processor["single"], *post_processor.get("pair", [])]:
        token = piece.get("SpecialToken", {}).get("id")
        if token is not None and token not in named:
            raise ValueError(f"its post_processor puts {token!r} into texts, but special_tokens does not list it")
    for piece in post_processor.get(texts, []):
        if "SpecialToken" in piece:
            count += len(named[piece["SpecialToken"]["id"]]["ids"])
    return count


def _pair_type(post_processor: Mapping[str, Any] | None) -> int:
    """The segment of the second text of a pair: 1 unless the post-processor says something else."""
    found = 1
    for item in (post_processor or {}).get("processors", [post_processor] if post_processor else []):
        if item["type"] == "RobertaProcessing":
            found = 0
        for piece in item.get("pair", []):
            if piece.get("Sequence", {}).get("id") == "B":
                found = int(piece["Sequence"]["type_id"])
    return found


def _load_for_real(content: bytes, refuse: Any) -> None:
    """Loads the bytes with `tokenizers`, if that is installed, and tokenizes two short texts. A text may be an
    error, since the vocabulary may lack a token for it. A panic of the library is not allowed: it would happen for
    every row.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return
    try:
        tokenizer = Tokenizer.from_str(content.decode("utf-8"))
        for text in ("", "a"):
            with contextlib.suppress(Exception):
                tokenizer.encode(text)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # The library's panics are no Exceptions.
        raise refuse(str(error)) from error
