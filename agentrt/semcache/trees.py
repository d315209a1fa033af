"""Boosted trees over a few dozen numbers: each asks the same questions on each of its levels, so that scoring a row is
one comparison of arrays (oblivious trees, as in Prokhorenkova et al., *CatBoost*, arXiv:1706.09516)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Dense: TypeAlias = NDArray[np.float32]

_DEPTH = 4
_BINS = 32
_RATE = 0.15
_LOOK = 5000
"""Rows that the questions of a tree are chosen by; its leaves are of all rows."""

_CALM = 20.0
"""What is added to the weight of a leaf: leaves of few pairs say little."""


class Trees(NamedTuple):
    """Is the column's number above the cut? ``columns``, ``cuts``: (trees, depth); ``leaves``: (trees, 2**depth)."""

    columns: NDArray[np.int64]
    cuts: Dense
    leaves: Floats

    def add(self, rows: Dense) -> Floats:
        """What the trees add to the log-odds of each row."""
        if not len(self.columns):
            return np.zeros(len(rows))
        above = rows[:, self.columns] > self.cuts
        leaf = above @ (1 << np.arange(_DEPTH)[::-1])
        total: Floats = self.leaves[np.arange(len(self.leaves)), leaf].sum(1)
        return total


def no_trees() -> Trees:
    """They add nothing."""
    return Trees(np.zeros((0, _DEPTH), np.int64), np.zeros((0, _DEPTH), np.float32), np.zeros((0, 1 << _DEPTH)))


def grow(rows: Dense, right: Floats, odds: Floats, trees: int) -> Trees:
    """Grow trees that add to the log-odds ``odds`` what these lack; each looks at some rows, in turns."""
    cuts = [_cuts(rows[:, column]) for column in range(rows.shape[1])]
    bins = np.stack([np.searchsorted(cut, rows[:, at]) for at, cut in enumerate(cuts)], 1)
    open_ = np.array([[at < len(cut) for at in range(_BINS)] for cut in cuts])
    columns, limits, leaves = [], [], []
    every = max(2, len(rows) // _LOOK)
    odds = odds.copy()
    for number in range(trees):
        sure = 1 / (1 + np.exp(-odds))
        slope, bend = right - sure, sure * (1 - sure)
        seen = slice(number % every, None, every)
        splits = _splits(bins[seen], slope[seen], bend[seen], open_)
        leaf = np.zeros(len(rows), np.int64)
        for column, cut in splits:
            leaf = leaf * 2 + (bins[:, column] > cut)
        gone = np.bincount(leaf, slope, 1 << _DEPTH)
        value = _RATE * gone / (np.bincount(leaf, bend, 1 << _DEPTH) + _CALM)
        odds += value[leaf]
        columns.append([column for column, _ in splits])
        limits.append([cuts[column][cut] for column, cut in splits])
        leaves.append(value)
    return Trees(np.array(columns), np.array(limits, np.float32), np.array(leaves)) if trees else no_trees()


def _cuts(column: Dense) -> Dense:
    """Up to 31 limits, each half-way between two values, with as many rows between them as the column allows."""
    values = np.unique(column)
    at = np.searchsorted(values, np.quantile(column, np.linspace(0, 1, _BINS + 1)[1:-1], method="lower"))
    below = np.unique(at[at < len(values) - 1])
    return ((values[below] + values[below + 1]) / 2).astype(np.float32)


def _splits(bins: NDArray[np.int64], slope: Floats, bend: Floats, open_: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The question of each level: the one that explains most of ``slope``."""
    rows, columns = bins.shape
    flat = bins + np.arange(columns) * _BINS
    wide = columns * _BINS
    leaf = np.zeros(rows, np.int64)
    slopes, bends = np.repeat(slope, columns), np.repeat(bend, columns)
    found: list[tuple[int, int]] = []
    for level in range(_DEPTH):
        place = (flat + (leaf * wide)[:, None]).ravel()
        shape = (1 << level, columns, _BINS)
        low_slope = np.bincount(place, slopes, wide << level).reshape(shape).cumsum(2)
        low_bend = np.bincount(place, bends, wide << level).reshape(shape).cumsum(2)
        high_slope, high_bend = low_slope[:, :, -1:] - low_slope, low_bend[:, :, -1:] - low_bend
        gain = (low_slope**2 / (low_bend + _CALM) + high_slope**2 / (high_bend + _CALM)).sum(0)
        column, cut = divmod(int(np.where(open_, gain, -1.0).argmax()), _BINS)
        found.append((column, cut))
        leaf = leaf * 2 + (bins[:, column] > cut)
    return found
