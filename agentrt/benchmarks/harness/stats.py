"""How sure a figure is, and whether two runs differ: intervals and paired tests. Pure, and repeatable by their seed."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import compress, product
from statistics import NormalDist, fmean, stdev
from typing import Final, NamedTuple

_Z: Final = 1.959963984540054
"""The normal distribution's 97.5% point: intervals are of 95%."""

_RESAMPLES: Final = 4_000

_MANY: Final = 200
"""Of more values than that, means are as good as normally distributed, and nothing is drawn."""

_FEW: Final = 15
"""Of so many values all ways to flip their signs are tried."""


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
    return Interval(
        p, min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half))
    )  # rounding must not leave p out


def mean(values: Sequence[float], seed: int = 0) -> Interval:
    """A mean with its interval: percentiles of resampled means (bootstrap), so that nothing is assumed of the
    distribution, taken as much further out as few values ask for; of many values by the central limit theorem."""
    if not values:
        return Interval(0.0, 0.0, 0.0)
    size, value = len(values), fmean(values)
    if size > _MANY:
        return _around(value, stdev(values) / math.sqrt(size))
    chance = random.Random(seed)  # noqa: S311 - no secret
    return _middle(value, [fmean(chance.choices(values, k=size)) for _ in range(_RESAMPLES)], size)


def percentile(values: Sequence[float], part: float) -> float:
    """The value that this part of all do not exceed: the nearest rank; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def gain(first: Sequence[bool], second: Sequence[bool]) -> Interval:
    """By how much the share of passes grew, on the same entries: the adjusted Wald interval of Bonett and Price
    (Journal of Educational and Behavioral Statistics 37, 2012), which is no point where no entry changed sides."""
    better, worse = _turned(first, second)
    size = len(first)
    if not size:
        return Interval(0.0, -1.0, 1.0)
    up, down = (better + 1) / (size + 2), (worse + 1) / (size + 2)
    value, middle = (better - worse) / size, up - down
    half = _Z * math.sqrt((up + down - middle**2) / (size + 2))
    return Interval(value, min(value, max(-1.0, middle - half)), max(value, min(1.0, middle + half)))


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """How often chance alone would turn as many entries one way: the exact test on the pairs that differ, two-sided
    (McNemar, Psychometrika 12, 1947)."""
    better, worse = _turned(first, second)
    differ = better + worse
    if differ == 0:
        return 1.0
    tail: float = sum(math.comb(differ, number) for number in range(min(better, worse) + 1)) / 2**differ
    return min(1.0, 2 * tail)


def paired(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Paired:
    """The mean difference with its interval, and the sign-flip permutation test, two-sided.

    Raises ``ValueError`` when there is not one of each for every entry.
    """
    differences = [late - early for early, late in zip(first, second, strict=True)]
    if not differences:
        return Paired(Interval(0.0, 0.0, 0.0), 1.0, 0)
    return Paired(mean(differences, seed), _flipped(differences, seed), len(differences))


def ratio(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Interval:
    """Second over first, of the sums over the same entries, with its interval over entries: bootstrap, of many by the
    delta method. Raises ``ValueError`` as ``paired`` does."""
    pairs = list(zip(first, second, strict=True))
    whole, size = sum(first), len(pairs)
    if not whole:
        return Interval(0.0, 0.0, 0.0)
    value = sum(second) / whole
    if size > _MANY:
        error = stdev(late - value * early for early, late in pairs) / math.sqrt(size)
        return _around(value, error / (whole / size))
    chance = random.Random(seed)  # noqa: S311 - no secret
    found = []
    for _ in range(_RESAMPLES):
        early, late = (sum(each) for each in zip(*chance.choices(pairs, k=size), strict=True))
        found.append(late / early if early else 0.0)
    return _middle(value, found, size)


def _turned(first: Sequence[bool], second: Sequence[bool]) -> tuple[int, int]:
    """How many entries turned for the better, and for the worse."""
    pairs = list(zip(first, second, strict=True))
    return pairs.count((False, True)), pairs.count((True, False))


def _flipped(differences: Sequence[float], seed: int) -> float:
    """How often a mean as large comes out when each difference has its sign by chance."""
    size, whole = len(differences), math.fsum(differences)
    if size > _MANY:
        spread = math.sqrt(math.fsum(one * one for one in differences))
        return math.erfc(abs(whole) / spread / math.sqrt(2)) if spread else 1.0
    least = abs(whole) - 1e-9 * math.fsum(map(abs, differences))  # sums in another order differ in the last digits
    if size <= _FEW:
        sums = [math.fsum(signed) for signed in product(*((one, -one) for one in differences))]
        return sum(abs(one) >= least for one in sums) / len(sums)
    chance = random.Random(seed)  # noqa: S311 - no secret
    sums = [whole - 2 * sum(compress(differences, _bits(chance, size))) for _ in range(_RESAMPLES)]
    return (sum(abs(one) >= least for one in sums) + 1) / (_RESAMPLES + 1)


def _bits(chance: random.Random, size: int) -> bytes:
    """Zeros and ones, each by chance."""
    return f"{chance.getrandbits(size):0{size}b}".encode().translate(_BITS)


def _middle(value: float, drawn: list[float], size: int) -> Interval:
    drawn.sort()
    cut = int(_tail(size) * len(drawn))
    return Interval(value, drawn[cut], drawn[-cut - 1])


def _tail(size: int) -> float:
    """How much to leave out at either end of means of so many resampled values. They lie too close together by
    ``sqrt(1 - 1 / size)``, and as if the spread were known; so it is less than 2.5% (Hesterberg's expanded percentile
    interval, The American Statistician 69, 2015), with Student's quantile by its expansion in the normal one."""
    if size < 2:
        return 0.0
    z, free = _Z, size - 1
    student = z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
    student += (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    return NormalDist().cdf(-student * math.sqrt(size / free))


def _around(value: float, error: float) -> Interval:
    return Interval(value, value - _Z * error, value + _Z * error)


_BITS: Final = bytes.maketrans(b"01", b"\x00\x01")
