"""Vectors as questions have them: in clusters, with near ones in each; and the nearest of them the plain way."""

from __future__ import annotations

import numpy as np

from agentrt.semcache.base import Near

SIZE = 64


def questions(count: int, seed: int = 0, size: int = SIZE):
    """``count`` rows of length 1 around one middle for each fifty of them."""
    chance = np.random.default_rng(seed)
    middles = np.random.default_rng(1_000_000).standard_normal((max(1, count // 50), size))
    rows = middles[chance.integers(len(middles), size=count)] + 0.7 * chance.standard_normal((count, size))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def nearest(held, query, most: int) -> list[Near]:
    """The nearest of ``held``, vectors by their ids."""
    near = [Near(one, float(row @ query)) for one, row in held.items()]
    return sorted(near, key=lambda one: -one.cosine)[:most]
