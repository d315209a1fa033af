"""Vectors of words, averaged: the packaged ones of wordllama, which were distilled from a large model's input layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from safetensors import safe_open
from tokenizers import Tokenizer

from agentrt.semcache.embed.packaged import normalised, packaged, tokens

if TYPE_CHECKING:
    from agentrt.semcache.base import Vectors

_MODEL: Final = "l2_supercat"
_SIZE: Final = 256


class Static:
    """16 µs a question, on the caller's thread alone; 1 ms for 5,000 characters. May be used by several threads.

    The package's two files are read here: its own code would set up logging for the whole process, import an
    HTTP client, and pad each text to the longest one beside it. The vectors are the same.
    """

    def __init__(self) -> None:
        weights = packaged("wordllama", f"weights/{_MODEL}_{_SIZE}.safetensors", extra="semcache")
        words = packaged("wordllama", f"tokenizers/{_MODEL}_tokenizer_config.json", extra="semcache")
        self._tokenizer = Tokenizer.from_file(str(words))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        with safe_open(weights, framework="np") as file:
            self._words = file.get_tensor("embedding.weight").astype(np.float32)

    @property
    def name(self) -> str:
        """See ``Embedder``."""
        return f"wordllama/{_MODEL}_{_SIZE}"

    @property
    def size(self) -> int:
        """See ``Embedder``."""
        return _SIZE

    @property
    def quick(self) -> bool:
        """See ``Embedder``."""
        return True

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See ``Embedder``."""
        rows = np.zeros((len(texts), _SIZE), np.float32)
        for row, text in zip(rows, texts, strict=True):
            found = tokens(self._tokenizer, text, special=False) if text.strip() else ()
            if found:
                self._words.take(found, axis=0, mode="clip").mean(axis=0, out=row)
        return normalised(rows)
