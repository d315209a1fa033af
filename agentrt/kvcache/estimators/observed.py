"""A distribution from observations: an empirical body, a Pareto tail behind it."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

from agentrt.kvcache.estimators.base import Distribution

TINY: Final = 1e-3
"""The smallest time told apart from none, in seconds."""

_TAIL_PRIOR: Final = (4.0, 2.0)
"""A gamma prior of the tail's exponent: four exceedances whose logarithms sum to 2, so 2 before any is seen. At 2, what
has outlasted all that was ever seen is expected to take as long again."""

_TAIL_BOUNDS: Final = (1.25, 8.0)
"""Above 1, so that the mean exists."""


class Observed(Distribution):
    """Weighted observations, and a Pareto tail beyond the largest.

    ``points`` are (value, weight); weights need no unit. ``tail`` is the probability that the next value is larger than
    all these: 1/(n+1) for n draws, whatever they are drawn from. The tail's exponent is Hill's estimate over the
    largest tenth (Hill 1975, Annals of Statistics 3:1163), held by a prior of 2.
    """

    __slots__ = ("_above", "_largest", "_moment", "_values", "alpha", "tail")

    def __init__(
        self, points: Iterable[tuple[float, float]], *, tail: float, samples: int = 0, confidence: float = 0.0
    ) -> None:
        ordered = sorted((max(value, TINY), weight) for value, weight in points)
        if not ordered:
            raise ValueError("a distribution needs at least one point")
        self.samples = samples
        self.confidence = confidence
        self.tail = tail
        self._values = [value for value, _ in ordered]
        self._largest = self._values[-1]
        self.alpha = _exponent(self._values)
        share = (1 - tail) / sum(weight for _, weight in ordered)
        # The probability of points i and later with the tail, and that probability times their values.
        self._above = _suffix_sums([share * weight for _, weight in ordered], tail)
        self._moment = _suffix_sums([share * weight * value for value, weight in ordered], tail * self._beyond(0))

    @property
    def mean(self) -> float:
        """E[T], the tail included."""
        return self._moment[0]

    @property
    def points(self) -> Sequence[float]:
        """The observed values, smallest first."""
        return self._values

    def survival(self, t: float) -> float:
        """P(T > t)."""
        if t < self._largest:
            return self._above[bisect_right(self._values, t)]
        return self.tail * float((self._largest / t) ** self.alpha)

    def residual(self, t: float) -> float:
        """E[T - t | T > t]."""
        if t >= self._largest:
            return self._beyond(t) - t
        after = bisect_right(self._values, t)
        return self._moment[after] / self._above[after] - t

    def quantile(self, q: float) -> float:
        """The smallest time with ``cdf(time) >= q``. Raises ``ValueError`` unless ``0 <= q < 1``."""
        beyond = 1 - share_below_one(q)
        if beyond < self.tail:
            return self._largest * float((self.tail / beyond) ** (1 / self.alpha))
        return self._values[bisect_left(self._above, -beyond, lo=1, key=lambda above: -above) - 1]

    def _beyond(self, t: float) -> float:
        """E[T | T > t] in the tail."""
        return max(t, self._largest) * self.alpha / (self.alpha - 1)


def share_below_one(q: float) -> float:
    """``q`` itself. Raises ``ValueError`` unless ``0 <= q < 1``."""
    if not 0 <= q < 1:
        raise ValueError(f"q = {q!r}: expected a share from 0 to below 1")
    return q


def _suffix_sums(values: list[float], last: float) -> list[float]:
    return list(accumulate(reversed(values), initial=last))[::-1]


def _exponent(values: Sequence[float]) -> float:
    """Hill's estimate over the largest tenth of sorted values, shrunk to the prior."""
    top = max(1, len(values) // 10)
    threshold = values[max(len(values) - top - 1, 0)]
    excess = sum(math.log(value / threshold) for value in values[-top:])
    count, total = _TAIL_PRIOR
    low, high = _TAIL_BOUNDS
    return min(max((count + top) / (total + excess), low), high)
