"""The tokens of transformers' CTC models: the labels of their output, and how they become a text."""

from __future__ import annotations

from os import PathLike
from typing import Any

from ..decoding import Ctc
from ..errors import ExportError
from ..specs import Output
from .described import LOGITS
from .transformers_parts import part
from .transformers_sounds import FRAMES


def ctc_output(transformers: Any, network: Any, model: Any, given: Any, processor: Any, rate: int) -> Output:
    """The output of a network with the tokens of its tokenizer as labels.

    Args:
        model: the folder, if the network comes from one.
        given: the argument `tokenizer`, or None.
        processor: the argument `processor`; one of a CTC model has a tokenizer.
        rate: samples per second.

    Raises:
        ExportError: there is no tokenizer, or it decodes in another way.
    """
    tokenizer = given if given is not None else getattr(processor, "tokenizer", None)
    if tokenizer is None or isinstance(tokenizer, (str, PathLike)):
        tokenizer = part(transformers.AutoTokenizer, model, tokenizer, "tokenizer")
    kind = type(tokenizer).__name__
    if kind != "Wav2Vec2CTCTokenizer":
        raise ExportError(
            f"{type(network).__name__} with a {kind}: transcribe decodes as Wav2Vec2CTCTokenizer does. For the scores themselves, wrap "
            "the network in a module, and use package"
        )
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise ExportError(f"the tokenizer of {type(network).__name__} has no words: give tokenizer=")
    if tokenizer.replace_word_delimiter_char != " ":
        raise ExportError(
            f"the tokenizer puts {tokenizer.replace_word_delimiter_char!r} between words: transcribe puts a space"
        )
    if tokenizer.clean_up_tokenization_spaces:
        raise ExportError(
            "the tokenizer removes spaces before punctuation (clean_up_tokenization_spaces): set it to False"
        )
    tokens = [str(tokenizer.convert_ids_to_tokens(index)) for index in range(network.config.vocab_size)]
    blank, delimiter = str(tokenizer.pad_token), str(tokenizer.word_delimiter_token)
    if tokenizer.do_lower_case:
        tokens, blank, delimiter = _lower(tokens), blank.lower(), delimiter.lower()
    decoding = Ctc(network.config.inputs_to_logits_ratio / rate, blank, delimiter if delimiter in tokens else None)
    return Output(LOGITS, "ctc", labels=tokens, lengths=FRAMES, ctc=decoding)


def _lower(tokens: list[str]) -> list[str]:
    """Tokens of a text in small letters. Two that would become one are a mistake: between equal tokens a blank is needed."""
    small = [token.lower() for token in tokens]
    if len(set(small)) != len(set(tokens)):
        raise ExportError("the tokenizer has do_lower_case, and tokens that differ in nothing else")
    return small
