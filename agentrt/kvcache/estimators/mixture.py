"""A mixture of distributions: what is known of the very thing, and what is known of its wider classes."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import merge
from typing import Final

from agentrt.kvcache.estimators.base import Distribution
from agentrt.kvcache.estimators.observed import TINY, share_below_one

_HALVINGS: Final = 50
"""Enough to find a quantile to the last digit that matters."""


class Mixture(Distribution):
    """T drawn from one of several distributions; ``parts`` are (distribution, share), and the shares sum to 1."""

    __slots__ = ("_known", "_parts")

    def __init__(
        self, parts: Sequence[tuple[Distribution, float]], *, samples: int = 0, confidence: float = 0.0
    ) -> None:
        self._parts = tuple(parts)
        self._known: dict[float, float] = {}
        self.samples = samples
        self.confidence = confidence

    @property
    def mean(self) -> float:
        """E[T]."""
        return sum(share * part.mean for part, share in self._parts)

    @property
    def points(self) -> Sequence[float]:
        """The observed values of all parts, smallest first."""
        return list(merge(*(part.points for part, _ in self._parts)))

    def survival(self, t: float) -> float:
        """P(T > t)."""
        return sum(share * part.survival(t) for part, share in self._parts)

    def residual(self, t: float) -> float:
        """E[T - t | T > t]: each part counts by how likely it is to have lasted this long."""
        above = [share * part.survival(t) for part, share in self._parts]
        going = sum(weight * part.residual(t) for weight, (part, _) in zip(above, self._parts, strict=True))
        return going / (sum(above) or 1.0)

    def quantile(self, q: float) -> float:
        """A time with ``cdf(time) >= q``, within a billionth of the smallest. ``ValueError`` unless ``0 <= q < 1``."""
        if share_below_one(q) not in self._known:
            self._known[q] = self._search(q)
        return self._known[q]

    def _search(self, q: float) -> float:
        ends = [part.quantile(q) for part, _ in self._parts]
        low, high = min(ends), max(ends)
        for _ in range(_HALVINGS):
            if high - low <= TINY * 1e-6:
                break
            middle = (low + high) / 2
            low, high = (low, middle) if self.cdf(middle) >= q else (middle, high)
        return high
