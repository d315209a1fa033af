"""From feedback to a threshold: the share of wrong hits that is promised, and with how much confidence.

A threshold on a score promises that, of pairs drawn like those of the feedback, at most ``max_error_rate`` of the
hits are wrong. Candidates are tried from a strict one down, each by an exact upper limit (Clopper and Pearson 1934)
of the error above it. The first that fails ends it, so that the confidence holds for the one that is chosen, and having
tried many costs nothing (fixed-sequence testing: Angelopoulos et al., *Learn then test*, arXiv:2110.01052). Which
candidates there are is laid down by the scores alone, without a look at what was right.

While it serves, ``Watch`` bets against the promise with every answer that was checked, and closes the threshold
when it would have won too much (Waudby-Smith and Ramdas, *Estimating means of bounded random variables by betting*,
arXiv:2010.09686): a false alarm at any time whatever has at most the chance ``1 - confidence``.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from agentrt.errors import ConfigError

_ROOM = 1.6
"""The strictest candidate has so many times the fewest hits: room for one mistake."""

_GROWTH = 1.03
"""How many more hits the next candidate has."""


class Scored(NamedTuple):
    """A pair whose truth is known: the verifier's score, and whether the stored answer was right.

    Pairs with the same number in ``topic`` share questions, so what is true of one is likely true of the others; -1 is
    a topic of its own.
    """

    score: float
    right: bool
    topic: int = -1


@dataclass(frozen=True, slots=True)
class Threshold:
    """Scores from ``score`` on are hits. ``limit`` is the upper limit of their error that was shown."""

    score: float
    limit: float
    hits: int
    wrong: int
    of: int

    @property
    def hit_rate(self) -> float:
        """The share of the feedback that would have been hits."""
        return self.hits / self.of


def upper_limit(wrong: int, hits: int, confidence: float) -> float:
    """The exact (Clopper-Pearson) one-sided upper limit of an error, ``wrong`` of ``hits`` seen.

    It is the rate at which so few wrong ones, or fewer, have only the chance ``1 - confidence``.
    """
    if wrong >= hits:
        return 1.0
    low, high = wrong / hits, 1.0
    doubt = 1 - confidence
    for _ in range(50):
        middle = (low + high) / 2
        if at_most(wrong, hits, middle) > doubt:
            low = middle
        else:
            high = middle
    return high


def at_most(wrong: int, hits: int, rate: float) -> float:
    """The chance of ``wrong`` or fewer among ``hits`` when each is wrong with chance ``rate``: a binomial tail.

    Summed from its largest term down, which is the last one where ``wrong`` is below the mean.
    """
    if rate <= 0.0 or wrong >= hits:
        return 1.0
    if rate >= 1.0:
        return 0.0
    if wrong > hits * rate:
        return 1.0 - at_most(hits - wrong - 1, hits, 1 - rate)
    term = math.exp(
        math.lgamma(hits + 1)
        - math.lgamma(wrong + 1)
        - math.lgamma(hits - wrong + 1)
        + wrong * math.log(rate)
        + (hits - wrong) * math.log1p(-rate)
    )
    total, odds = term, (1 - rate) / rate
    for count in range(wrong, 0, -1):
        term *= count / (hits - count + 1) * odds
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, total)


def fewest(max_error_rate: float, confidence: float) -> int:
    """How many hits without a mistake show that the error is within the bound: fewer never do."""
    return math.ceil(math.log(1 - confidence) / math.log1p(-max_error_rate))


def threshold(scored: Sequence[Scored], max_error_rate: float, confidence: float = 0.95) -> Threshold | None:
    """The lowest score from which on the promise holds; ``None`` when nothing can be promised.

    The first candidate is the one that the scores themselves, read as chances, say will hold the most surely: a few
    hits at the top show little, however good they are. Equal scores are taken together. The scores must come from
    a verifier that has not seen these pairs.

    Pairs about the same say less than as many about different things: hits and wrong ones are divided by how much more
    the error varies than it would if all were independent (the design effect of cluster sampling, estimated as in
    Liang and Zeger's robust variance, 1986), and then tested as if they were. That part is no exact test.
    """
    _check(max_error_rate, confidence)
    ranked = sorted(scored, key=lambda pair: -pair.score)
    missing = [0.0, *accumulate(1 - pair.score for pair in ranked)]
    wrong = [0, *accumulate(not pair.right for pair in ranked)]
    counts = _candidates([pair.score for pair in ranked], fewest(max_error_rate, confidence))

    def surety(hits: int) -> float:
        return (max_error_rate * hits - missing[hits]) / math.sqrt(hits)

    found = 0
    for hits in counts[counts.index(max(counts, key=surety)) :] if counts else ():
        if at_most(*_worth(ranked[:hits], wrong[hits]), max_error_rate) > 1 - confidence:
            break
        found = hits
    if not found:
        return None
    limit = upper_limit(*_worth(ranked[:found], wrong[found]), confidence)
    return Threshold(ranked[found - 1].score, limit, found, wrong[found], len(ranked))


def _worth(hits: Sequence[Scored], wrong: int) -> tuple[int, int]:
    """How many independent wrong ones and hits these are worth, rounded to the safe side."""
    rate = wrong / len(hits)
    off: dict[int, float] = defaultdict(float)
    sizes: Counter[int] = Counter()
    for at, pair in enumerate(hits):
        topic = pair.topic if pair.topic >= 0 else -1 - at
        off[topic] += (not pair.right) - rate
        sizes[topic] += 1
    if wrong:
        effect = sum(one * one for one in off.values()) / (len(hits) * rate * (1 - rate)) if rate < 1 else 1.0
    else:
        effect = sum(size * size for size in sizes.values()) / len(hits)  # nothing is known: a topic counts once
    effect = max(1.0, effect)
    return math.ceil(wrong / effect - 1e-9), math.floor(len(hits) / effect + 1e-9)


def _candidates(scores: Sequence[float], least: int) -> list[int]:
    """How many hits the candidates have, the strictest first, on a grid that is the same for all; scores fall."""
    counts: list[int] = []
    wanted = 1.0
    while wanted <= len(scores):
        hits = math.ceil(wanted)
        while hits < len(scores) and scores[hits] == scores[hits - 1]:
            hits += 1
        if hits >= _ROOM * least:
            counts.append(hits)
        wanted = max(hits, wanted) * _GROWTH
    return counts


def _check(max_error_rate: float, confidence: float) -> None:
    """Both are shares, and neither is all or nothing."""
    for name, value in (("max_error_rate", max_error_rate), ("confidence", confidence)):
        if not 0 < value < 1:
            raise ConfigError(f"{name} is {value}: it must lie between 0 and 1, such as 0.02 or 0.95")


class Watch:
    """Bets against a promise with every hit that was checked; ``broken`` when it has won too much to be luck.

    A stake is multiplied by ``1 + bet * (wrong - max_error_rate)``, which does not grow on average while the promise
    holds: the chance that it ever passes ``1 / (1 - confidence)`` is at most ``1 - confidence`` (Ville). A part of the
    money is kept back for every later beginning, so that a long good time does not hide that it has ended (Shin, Ramdas
    and Rinaldo, *E-detectors*, arXiv:2203.03532), and bets of several sizes run side by side.
    """

    def __init__(self, max_error_rate: float, confidence: float = 0.95) -> None:
        _check(max_error_rate, confidence)
        self._rate = max_error_rate
        self._alarm = 1 / (1 - confidence)
        self._bets = tuple(share / max_error_rate for share in (0.05, 0.2, 0.6))
        self._stakes = [0.0] * len(self._bets)
        self.checked = 0
        self.wrong = 0
        self.broken = False

    def see(self, right: bool) -> bool:
        """One more hit was checked; whether the promise is broken, now or before."""
        self.checked += 1
        self.wrong += not right
        part = 1 / (self.checked * (self.checked + 1))
        miss = (not right) - self._rate
        self._stakes = [(stake + part) * (1 + bet * miss) for stake, bet in zip(self._stakes, self._bets, strict=True)]
        kept = 1 / (self.checked + 1)
        self.broken = self.broken or kept + sum(self._stakes) / len(self._bets) >= self._alarm
        return self.broken
