"""What a Python worker does with texts: tokenize, sort by length, run 32 at a time padded to the longest of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

import runtimes

ROWS = 32
MAX_TOKENS = 128


def worker(network: str, runtime: str) -> Callable[[Sequence[str]], np.ndarray]:
    """Texts to f32 `[n, width]`; a runtime's name may end in `+unsorted`, which leaves the rows as they come."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import data

    runtime, _, unsorted = runtime.partition("+")
    run, tokenizer = runtimes.load(runtime, network), data.tokenizer()

    def work(texts: Sequence[str]) -> np.ndarray:
        tokenizer.no_padding()
        encodings = tokenizer.encode_batch(list(texts))
        lengths = np.array([len(encoding.ids) for encoding in encodings])
        order = np.arange(len(texts)) if unsorted else np.argsort(lengths, kind="stable")
        found: np.ndarray | None = None
        for first in range(0, len(texts), ROWS):
            chosen = order[first : first + ROWS]
            ids = np.zeros((len(chosen), lengths[chosen].max()), np.int64)
            mask = np.zeros_like(ids)
            for row, index in enumerate(chosen):
                ids[row, : lengths[index]] = encodings[index].ids
                mask[row, : lengths[index]] = 1
            features = run(ids, mask)
            found = np.empty((len(texts), features.shape[1]), np.float32) if found is None else found
            found[chosen] = features
        assert found is not None, "no text"
        return found

    return work
