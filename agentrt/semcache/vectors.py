"""Vectors as bytes: 16-bit floats, which change a cosine by a thousandth at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentrt.semcache.base import Vector, Vectors


def packed(vector: Vector) -> bytes:
    """A vector as bytes, two for each number."""
    import numpy as np

    return vector.astype("<f2").tobytes() if np.any(vector) else b""


def unpacked(data: bytes, rows: int) -> Vectors:
    """So many vectors from their bytes, one after the other."""
    import numpy as np

    return np.frombuffer(data, "<f2").astype(np.float32).reshape(rows, -1)
