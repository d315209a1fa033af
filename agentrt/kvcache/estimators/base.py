"""What an estimate is, and what can be asked of the distribution of a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HALF_SURE: Final = 8
"""Observations after which an estimate is half sure."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A guess, and how sure it is.

    ``samples`` counts the observations of the very thing asked for. ``confidence`` is from 0, a guess out of nothing,
    to 1: ``samples / (samples + 8)``, times what the estimator knows against itself (an answer borrowed from a wider
    class counts half at each step, a fit counts for what it explains).
    """

    value: float
    samples: int = 0
    confidence: float = 0.0


def sureness(samples: float) -> float:
    """``samples / (samples + 8)``: 0 without any, a half at 8, 0.93 at 100."""
    return samples / (samples + HALF_SURE)


class Distribution(ABC):
    """How long something takes (or how often it happens), in seconds (or times). Immutable: safe to keep.

    ``samples`` and ``confidence`` as in ``Estimate``. Every distribution has a heavy tail beyond what was observed, so
    ``residual`` grows without end for what is overdue.
    """

    __slots__ = ("confidence", "samples")

    samples: int
    confidence: float

    @property
    @abstractmethod
    def mean(self) -> float:
        """E[T], the tail included."""

    @property
    @abstractmethod
    def points(self) -> Sequence[float]:
        """The observed values, smallest first."""

    @abstractmethod
    def survival(self, t: float) -> float:
        """P(T > t)."""

    @abstractmethod
    def residual(self, t: float) -> float:
        """E[T - t | T > t]: how much is still to go of what has taken ``t`` so far."""

    @abstractmethod
    def quantile(self, q: float) -> float:
        """The smallest time with ``cdf(time) >= q``. Raises ``ValueError`` unless ``0 <= q < 1``."""

    def cdf(self, t: float) -> float:
        """P(T <= t)."""
        return 1 - self.survival(t)
