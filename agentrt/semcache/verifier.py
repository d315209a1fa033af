"""How likely a stored answer is right for another question: a small model, fitted on feedback.

Three parts, each of which adds to the log-odds what those before it lack: a rising line over the cosine, which is all
there is without feedback; trees over the measures of a pair; and a weight for each mark of a pair (which words differ,
what both are about, which stored question it is). Fitting has no chance in it: the same feedback gives the same
verifier. It is kept as plain arrays; nothing in a saved one is ever run.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agentrt.errors import ConfigError
from agentrt.semcache.features import MARKS, NAMES, Row
from agentrt.semcache.trees import Trees, grow, no_trees

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agentrt.semcache.trees import Floats

VERSION = 1
"""Of the saved form, and of what the features mean."""

_LINE = (20.0, -19.0)
"""Slope and height of the line over the cosine before anything was learned: even odds at 0.95."""

_TREES = 80
_ROWS_OF_A_TREE = 25
"""Feedback that each tree needs: little feedback grows few trees."""

_CALM = 8.0
"""The price of a mark's weight: one that was seen once says little."""

_ROUNDS = 30


class Verifier(NamedTuple):
    """Scores pairs of questions from 0 to 1; monotone in the cosine as long as it has learned nothing."""

    line: tuple[float, float] = _LINE
    trees: Trees = no_trees()
    scale: tuple[float, float] = (1.0, 0.0)
    weights: Floats = np.zeros(MARKS)

    def scores(self, rows: Sequence[Row]) -> Floats:
        """One for each pair."""
        dense = np.array([row.dense for row in rows], np.float32).reshape(-1, len(NAMES))
        odds = self._measured(dense) * self.scale[0] + self.scale[1]
        odds += [self.weights[row.marks].sum() for row in rows]
        whole: Floats = 1 / (1 + np.exp(-odds))
        return whole

    def _measured(self, dense: NDArray[np.float32]) -> Floats:
        """The log-odds before marks."""
        odds: Floats = dense[:, 0].astype(np.float64) * self.line[0] + self.line[1] + self.trees.add(dense)
        return odds

    def dump(self) -> bytes:
        """Plain arrays with a version."""
        out = io.BytesIO()
        used = np.flatnonzero(self.weights).astype(np.int32)
        np.savez_compressed(
            out,
            version=np.array([VERSION, MARKS, len(NAMES)]),
            line=np.array([*self.line, *self.scale]),
            columns=self.trees.columns,
            cuts=self.trees.cuts,
            leaves=self.trees.leaves,
            used=used,
            weights=self.weights[used],
        )
        return out.getvalue()


def load(data: bytes) -> Verifier:
    """A verifier as it was saved.

    Raises:
        ConfigError: it is damaged, or of another version; learn anew from the feedback.
    """
    again = "expected one of this version; learn it anew from the feedback"
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as saved:
            version = saved["version"].tolist()
            if version != [VERSION, MARKS, len(NAMES)]:
                raise ConfigError(f"the saved verifier is of version {version}: {again}")
            line = saved["line"].tolist()
            weights = np.zeros(MARKS)
            weights[saved["used"]] = saved["weights"]
            trees = Trees(saved["columns"], saved["cuts"], saved["leaves"])
            return Verifier((line[0], line[1]), trees, (line[2], line[3]), weights)
    except (ValueError, KeyError, OSError, EOFError, IndexError, zipfile.BadZipFile) as error:
        raise ConfigError(f"the saved verifier cannot be read ({error}): {again}") from error


def fit(rows: Sequence[Row], right: Sequence[bool]) -> Verifier:
    """Learn from feedback: these pairs, and whether the stored answer was right for each."""
    if len(rows) != len(right):
        raise ConfigError(f"{len(rows)} pairs with {len(right)} verdicts: expected one for each")
    if not rows:
        return Verifier()
    dense = np.array([row.dense for row in rows], np.float32)
    truth = np.array(right, np.float64)
    line = rising(dense[:, 0].astype(np.float64), truth)
    start = Verifier(line)
    trees = grow(dense, truth, start._measured(dense), min(_TREES, len(rows) // _ROWS_OF_A_TREE))
    odds = Verifier(line, trees)._measured(dense)
    scale, weights = _weigh(odds, [row.marks for row in rows], truth)
    return Verifier(line, trees, scale, weights)


def rising(cosine: Floats, truth: Floats) -> tuple[float, float]:
    """Logistic regression on the cosine, held near the line of before by what some ten pairs weigh; never falling."""
    price = np.array([0.05, 1.0])
    begin = np.array(_LINE)

    def cost(line: Floats) -> tuple[float, Floats]:
        odds = cosine * line[0] + line[1]
        off = line - begin
        value = np.logaddexp(0, odds).sum() - _dot(truth, odds) + 0.5 * (price * off * off).sum()
        miss = _chance(odds) - truth
        return float(value), np.array([_dot(miss, cosine), miss.sum()]) + price * off

    slope, height = lowest(cost, begin)
    return max(float(slope), 0.5), float(height)


def _weigh(odds: Floats, marks: Sequence[NDArray[np.int32]], truth: Floats) -> tuple[tuple[float, float], Floats]:
    """Logistic regression on the log-odds so far and the marks; marks of a single pair stay without weight."""
    sizes = np.array([len(some) for some in marks])
    row_of = np.repeat(np.arange(len(marks)), sizes)
    names, which, counts = np.unique(np.concatenate(marks), return_inverse=True, return_counts=True)
    often = counts > 1
    place = np.cumsum(often) - 1
    kept = often[which]
    row_of, column = row_of[kept], place[which[kept]]
    count = int(often.sum())
    price = np.concatenate([np.full(2, 10.0), np.full(count, _CALM)])
    begin = np.concatenate([[1.0, 0.0], np.zeros(count)])

    def cost(weights: Floats) -> tuple[float, Floats]:
        total = odds * weights[0] + weights[1] + np.bincount(row_of, weights[2:][column], len(odds))
        off = weights - begin
        value = np.logaddexp(0, total).sum() - _dot(truth, total) + 0.5 * (price * off * off).sum()
        miss = _chance(total) - truth
        slopes = np.concatenate([[_dot(miss, odds), miss.sum()], np.bincount(column, miss[row_of], count)])
        return float(value), slopes + price * off

    found = lowest(cost, begin)
    weights = np.zeros(MARKS)
    weights[names[often]] = found[2:]
    return (max(float(found[0]), 0.1), float(found[1])), weights


def _dot(one: Floats, other: Floats) -> float:
    """Not by BLAS, which takes every core for it, and sums in another order each time it is given others."""
    return float(np.einsum("i,i", one, other))


def _chance(odds: Floats) -> Floats:
    """Log-odds as a chance."""
    chance: Floats = 1 / (1 + np.exp(-odds))
    return chance


def lowest(cost: Callable[[Floats], tuple[float, Floats]], begin: Floats) -> Floats:
    """Where a smooth cost is lowest: L-BFGS (Nocedal 1980), eight steps remembered; ``cost`` gives its slope too."""
    at, steps = begin, list[tuple["Floats", "Floats"]]()
    value, slope = cost(at)
    for _ in range(_ROUNDS):
        way = _downhill(slope, steps)
        length, fall = 1.0, _dot(way, slope)
        while True:
            further = at + length * way
            new_value, new_slope = cost(further)
            if new_value <= value + 1e-4 * length * fall or length < 1e-6:
                break
            length /= 2
        step, turn = further - at, new_slope - slope
        if _dot(step, turn) > 1e-12:
            steps = [*steps[-7:], (step, turn)]
        done = value - new_value <= 1e-6 * abs(value)
        at, value, slope = further, new_value, new_slope
        if done:
            break
    return at


def _downhill(slope: Floats, steps: Sequence[tuple[Floats, Floats]]) -> Floats:
    """The way down, as the last steps show how the slope bends."""
    way, parts = -slope, list[float]()
    for step, turn in reversed(steps):
        part = _dot(step, way) / _dot(step, turn)
        parts.append(part)
        way = way - part * turn
    if steps:
        step, turn = steps[-1]
        way = way * (_dot(step, turn) / _dot(turn, turn))
    else:
        way = way / max(1.0, _dot(slope, slope) ** 0.5)
    for (step, turn), part in zip(steps, reversed(parts), strict=True):
        way = way + step * (part - _dot(turn, way) / _dot(step, turn))
    return way
