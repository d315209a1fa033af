"""Made-up feedback, so that a judge has learned something, and costs what one costs that has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from agentrt.benchmarks.semcache.questions import several
from agentrt.semcache.base import Embedder, Feedback, Shelf

if TYPE_CHECKING:
    from agentrt.semcache.base import Vectors

_SEED: Final = 7
_LEARNED: Final = 1_500
"""Questions, each with one pair that is right and two that are wrong: enough for all the trees of a verifier."""


def feedback(shelf: Shelf, embedder: Embedder, count: int = _LEARNED) -> list[Feedback]:
    """The same question in other words is right; almost the same words, and what a search finds, are wrong."""
    asked = several(_SEED, count)
    texts = [one.text for one in asked]
    rows = embedder.embed(texts)
    judged = [
        ([one.again for one in asked], True),
        ([one.other for one in asked], False),
        ([texts[near] for near in _nearest(rows)], False),
    ]
    return [told for others, right in judged for told in _told(shelf, texts, others, rows, embedder, right=right)]


def _told(
    shelf: Shelf, texts: Sequence[str], others: Sequence[str], rows: Vectors, embedder: Embedder, *, right: bool
) -> list[Feedback]:
    cosines = (rows * embedder.embed(others)).sum(axis=1).tolist()
    return [
        Feedback(shelf, number, other, text, cosine, cosine, right, "person", float(number))
        for number, (other, text, cosine) in enumerate(zip(others, texts, cosines, strict=True))
    ]


def _nearest(rows: Vectors) -> list[int]:
    """For each question the other one that is nearest: what a search finds where nothing fits."""
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -1.0)
    found: list[int] = cosines.argmax(axis=1).tolist()
    return found
