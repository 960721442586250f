"""Small models of texts and pairs of texts, with random weights: rerankers, inference, entities, answers.

What lives here: tokenizers that know pairs, and `saved`, which makes a model of transformers and saves it with its tokenizer and a license, as
a folder that people download. Random weights: what is tested is the way from a row to the result.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tokenizers
import transformers as hf

import library_models

SENTENCES = [
    "Ada Lovelace lived in London, and wrote of the Analytical Engine.",
    "the quick brown fox jumps over the lazy dog in Berlin",
    "Zoe\u0301 \U0001f600 flew to Sa\u0303o Paulo \U0001f1e7\U0001f1f7 with \u674e\u96f7!",
    "",
    "   \t ",
    "Ada, Ada; London.  Berlin -- Paris?",
    "the river runs under London " * 12,
]
NLI = {0: "contradiction", 1: "neutral", 2: "ENTAILMENT"}
NAMES = dict(enumerate(["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC"]))


def word_pieces(types: bool) -> Any:
    """A fast WordPiece tokenizer for pairs, with pieces of words. `types`: whether it gives `token_type_ids`."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*library_models.WORDS, "in", "london", "berlin", "ada", "lived", "wrote", ",", ".", "!", "?", ";", "-"]
    pieces = [*library_models.SPECIAL, *words, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    names = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    marks = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return hf.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=48, model_input_names=names, **marks)


def bytes_of_words() -> Any:
    """A fast byte-level BPE tokenizer, as RoBERTa has, trained on the sentences."""
    made = tokenizers.ByteLevelBPETokenizer(add_prefix_space=True)
    made.train_from_iterator(
        SENTENCES, vocab_size=400, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], show_progress=False
    )
    made.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=True)
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=made._tokenizer,
        model_max_length=48,
        model_input_names=["input_ids", "attention_mask"],
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )


APART = {"initializer_range": 0.3}
"""Weights far from 0, so that the results of random weights differ from row to row."""
FAMILIES: dict[str, dict[str, Any]] = {
    "Bert": {},
    "Roberta": {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2},
    "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "Electra": {"embedding_size": 32},
}
"""Architectures, and the settings that they need beside those of every small text model."""


def saved(folder: Path, family: str, head: str, **settings: Any) -> tuple[Any, Any]:
    """The model `<family>For<head>` and its tokenizer, also saved in `folder`."""
    words = bytes_of_words() if family == "Roberta" else word_pieces(types=family in ("Bert", "Electra"))
    if "id2label" in settings:
        settings["label2id"] = {label: index for index, label in settings["id2label"].items()}
    known = {**library_models.TEXT, **APART, "vocab_size": len(words), **FAMILIES[family], **settings}
    network = library_models.made(f"{family}For{head}", f"{family}Config", known)
    network.save_pretrained(folder)
    words.save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n", encoding="utf-8")
    return network, words
