"""What it costs to compute a prompt, learnt from turns: seconds against new tokens and what they attend to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

from agentrt.kvcache.estimators.base import Estimate, sureness

_FORGET: Final = 0.99
"""What an observation's weight is multiplied by with each new one: half after 69."""

_PRIOR: Final = (0.02, 0.5, 0.0)
"""Seconds a request, a thousand tokens, a million pairs, before anything is seen."""

_PRIOR_WEIGHT: Final = 0.01
_TERMS: Final = 3


class Prefill:
    """Seconds of prefill: ``a + b * new + c * pairs``, none of them negative.

    ``pairs`` are the (query, key) pairs that attention computes: ``new * prefix + new * (new + 1) / 2``, so the cost
    grows with the square of what is computed at once, and with the length of the cached prefix before it. Least squares
    of the relative error, so that a request that waited behind others does not pull up the fit; observations are
    forgotten by half after 69.
    """

    def __init__(self) -> None:
        self._count = 0
        self._error = 0.0
        self._unfitted = 0
        self._fit = _PRIOR
        # The normal equations: sums of x x^T and of x y over observations, weighted.
        self._xx = [[0.0] * _TERMS for _ in range(_TERMS)]
        self._xy = [0.0] * _TERMS
        for term, value in enumerate(_PRIOR):
            self._xx[term][term] = _PRIOR_WEIGHT
            self._xy[term] = _PRIOR_WEIGHT * value

    def observe(self, new_tokens: int, prefix_tokens: int, seconds: float) -> None:
        """Learn that computing ``new_tokens`` behind ``prefix_tokens`` cached ones took so many seconds.

        Nonsense (no tokens, no time) is dropped.
        """
        if new_tokens <= 0 or prefix_tokens < 0 or not 0 < seconds < float("inf"):
            return
        terms = _terms(new_tokens, prefix_tokens)
        if self._count:
            error = min(abs(_dot(self._fit, terms) - seconds) / seconds, 1.0)
            self._error += max(0.1, 1 / self._count) * (error - self._error)
        self._count += 1
        self._learn([term / seconds for term in terms])
        self._unfitted += 1
        if self._unfitted * 16 >= min(self._count, 256):  # always at first, then when there is something to learn
            self._refit()

    def seconds(self, new_tokens: int, prefix_tokens: int = 0) -> Estimate:
        """The seconds it takes; sure as far as its last predictions came true. 0 for no tokens."""
        value = _dot(self._fit, _terms(new_tokens, prefix_tokens)) if new_tokens > 0 else 0.0
        return Estimate(value, self._count, sureness(self._count) * (1 - self._error))

    def dump(self) -> dict[str, Any]:
        """All that is kept as plain JSON."""
        return {"count": self._count, "error": self._error, "xx": self._xx, "xy": self._xy}

    def fill(self, dumped: object) -> None:
        """Take in what ``dump`` gave. Raises ``ValueError``, ``TypeError`` or ``KeyError`` if it is something else."""
        found: Any = dumped
        xx = [[float(found["xx"][i][j]) for j in range(_TERMS)] for i in range(_TERMS)]
        xy = [float(found["xy"][i]) for i in range(_TERMS)]
        if not all(0 <= one < float("inf") for one in (*xy, *(cell for row in xx for cell in row))):
            raise ValueError("prefill: expected finite sums, none negative")
        self._count, self._error = int(found["count"]), min(max(float(found["error"]), 0.0), 1.0)
        self._xx, self._xy = xx, xy
        self._refit()

    def _refit(self) -> None:
        self._fit = _non_negative(self._xx, self._xy)
        self._unfitted = 0

    def _learn(self, row: Sequence[float]) -> None:
        """Add the equation ``row . fit = 1``, the observation divided by its seconds."""
        for i in range(_TERMS):
            self._xy[i] = _FORGET * self._xy[i] + row[i]
            for j in range(_TERMS):
                self._xx[i][j] = _FORGET * self._xx[i][j] + row[i] * row[j]


def _terms(new: int, prefix: int) -> tuple[float, float, float]:
    return 1.0, new / 1e3, (new * prefix + new * (new + 1) / 2) / 1e6


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _non_negative(xx: list[list[float]], xy: list[float]) -> tuple[float, float, float]:
    """The best fit without negative terms: of all choices of terms, the best whose plain least squares has none."""
    best, least = [0.0] * _TERMS, 0.0
    for size in range(1, _TERMS + 1):
        for chosen in combinations(range(_TERMS), size):
            found = _solve([[xx[i][j] for j in chosen] for i in chosen], [xy[i] for i in chosen])
            if found is None or min(found) < 0:
                continue
            # At a solution of the normal equations the squared error is a constant less this.
            error = -_dot(found, [xy[i] for i in chosen])
            if error < least:
                least, best = error, [0.0] * _TERMS
                for i, value in zip(chosen, found, strict=True):
                    best[i] = value
    return best[0], best[1], best[2]


def _solve(matrix: list[list[float]], right: list[float]) -> list[float] | None:
    """Solve a small symmetric system by elimination; ``None`` if it has no single solution."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i, row in enumerate(rows):
        if row[i] <= 1e-12 * matrix[i][i]:
            return None
        for lower in rows[i + 1 :]:
            factor = lower[i] / row[i]
            lower[i:] = [a - factor * b for a, b in zip(lower[i:], row[i:], strict=True)]
    found = [0.0] * len(rows)
    for i in reversed(range(len(rows))):
        found[i] = (rows[i][-1] - _dot(rows[i][i + 1 : -1], found[i + 1 :])) / rows[i][i]
    return found
