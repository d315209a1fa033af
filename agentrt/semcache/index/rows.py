"""Vectors as they are kept: finite, of the right size, of length 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agentrt.errors import ConfigError
from agentrt.semcache.base import AnswerId, Near

if TYPE_CHECKING:
    from agentrt.semcache.base import Vector, Vectors


def units(vectors: Vectors, count: int, size: int) -> Vectors:
    """``count`` rows of ``size`` numbers, each of length 1; rows of zeros stay so."""
    rows = np.asarray(vectors, np.float32)
    if rows.shape != (count, size):
        raise ConfigError(
            f"vectors of shape {rows.shape} where {(count, size)} was expected; another embedder needs another index"
        )
    lengths = np.sqrt(np.vecdot(rows, rows))
    if not np.isfinite(lengths).all():
        raise ConfigError("a vector holds a number that is not finite; its embedder has a fault")
    lengths[lengths == 0] = 1
    unit_rows: Vectors = rows / lengths[:, None]
    return unit_rows


def unit(vector: Vector, size: int) -> Vector | None:
    """One vector of length 1; ``None`` for zeros, which are near nothing."""
    row = units(np.asarray(vector)[None], 1, size)[0]
    return row if row.any() else None


def newest(ids: Sequence[AnswerId], rows: Vectors) -> tuple[list[AnswerId], Vectors]:
    """What has to be kept of these: of an id that comes twice the last, and no row of zeros."""
    last = {one: place for place, one in enumerate(ids) if rows[place].any()}
    for place, one in enumerate(ids):
        if last.get(one, place) < place:  # zeros came after it
            del last[one]
    return list(last), rows[list(last.values())]


def nears(ids: Sequence[AnswerId], cosines: Sequence[float]) -> list[Near]:
    """The nearest first, equally near ones by their ids; rounding leaves no cosine beyond 1."""
    found = [Near(one, min(1.0, max(-1.0, cosine))) for one, cosine in zip(ids, cosines, strict=True)]
    return sorted(found, key=lambda near: (-near.cosine, near.answer))
