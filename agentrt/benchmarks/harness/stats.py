"""How sure a figure is, and whether two runs differ: intervals and paired tests. Pure, and repeatable by their seed."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import fmean
from typing import Final, NamedTuple

_Z: Final = 1.959963984540054
"""The normal distribution's 97.5% point: intervals are of 95%."""

_RESAMPLES: Final = 4_000


class Interval(NamedTuple):
    """A figure and its 95% interval."""

    value: float
    low: float
    high: float


class Paired(NamedTuple):
    """How the second of two runs differs from the first on the same entries.

    ``difference`` is the mean of second minus first, with its interval; ``p`` how often chance alone would give one as
    large; ``pairs`` how many entries both have.
    """

    difference: Interval
    p: float
    pairs: int


def share(passed: float, of: int) -> Interval:
    """A share of successes with Wilson's score interval (Wilson, JASA 22, 1927), which holds near 0 and 1 too."""
    if of == 0:
        return Interval(0.0, 0.0, 1.0)
    p = passed / of
    shrink = 1 + _Z**2 / of
    middle = (p + _Z**2 / (2 * of)) / shrink
    half = _Z / shrink * math.sqrt(p * (1 - p) / of + _Z**2 / (4 * of**2))
    return Interval(p, max(0.0, middle - half), min(1.0, middle + half))


def mean(values: Sequence[float], seed: int = 0) -> Interval:
    """A mean with its bootstrap interval (percentiles of resampled means); nothing is assumed of the distribution."""
    if not values:
        return Interval(0.0, 0.0, 0.0)
    chance = random.Random(seed)  # noqa: S311 - no secret
    size = len(values)
    means = sorted(fmean(chance.choices(values, k=size)) for _ in range(_RESAMPLES))
    return Interval(fmean(values), means[int(0.025 * _RESAMPLES)], means[int(0.975 * _RESAMPLES) - 1])


def percentile(values: Sequence[float], part: float) -> float:
    """The value that this part of all do not exceed: the nearest rank; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """How often chance alone would turn as many entries one way: the exact test on the pairs that differ, two-sided
    (McNemar, Psychometrika 12, 1947)."""
    better = sum(late and not early for early, late in zip(first, second, strict=True))
    worse = sum(early and not late for early, late in zip(first, second, strict=True))
    differ = better + worse
    if differ == 0:
        return 1.0
    tail: float = sum(math.comb(differ, number) for number in range(min(better, worse) + 1)) / 2**differ
    return min(1.0, 2 * tail)


def paired(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Paired:
    """The mean difference with its bootstrap interval, and the sign-flip permutation test, two-sided.

    Raises ``ValueError`` when there is not one of each for every entry.
    """
    differences = [late - early for early, late in zip(first, second, strict=True)]
    if not differences:
        return Paired(Interval(0.0, 0.0, 0.0), 1.0, 0)
    seen = abs(fmean(differences))
    chance = random.Random(seed)  # noqa: S311 - no secret
    as_large = sum(
        abs(fmean([one if chance.random() < 0.5 else -one for one in differences])) >= seen - 1e-12
        for _ in range(_RESAMPLES)
    )
    return Paired(mean(differences, seed), (as_large + 1) / (_RESAMPLES + 1), len(differences))


def ratio(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Interval:
    """Second over first, of the sums over the same entries, with its bootstrap interval over entries."""
    pairs = list(zip(first, second, strict=True))
    whole = sum(early for early, _ in pairs)
    if not pairs or not whole:
        return Interval(0.0, 0.0, 0.0)
    chance = random.Random(seed)  # noqa: S311 - no secret
    found = []
    for _ in range(_RESAMPLES):
        drawn = chance.choices(pairs, k=len(pairs))
        below = sum(early for early, _ in drawn)
        found.append(sum(late for _, late in drawn) / below if below else 0.0)
    found.sort()
    value = sum(late for _, late in pairs) / whole
    return Interval(value, found[int(0.025 * _RESAMPLES)], found[int(0.975 * _RESAMPLES) - 1])
