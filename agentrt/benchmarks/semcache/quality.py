"""How many questions are answered from others, and how often wrongly, on pairs of questions whose truth is known.

Three quarters of the pairs are feedback, from which verifiers and thresholds are learned as in use. The last quarter is
unseen. Beside it stands the best single threshold on the cosine: one that keeps the same promise by the
same test on all of the feedback; and, as a limit of what any threshold could do, the lowest one that has the error on
the unseen pairs themselves. All of it for many random splits, of pairs or of questions (``apart``: no question of an
unseen pair is in the feedback).

The pairs are a file that the user has, JSON lines with ``text_a``, ``text_b`` and ``label`` (1: the same question),
compressed or not.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from agentrt.errors import ConfigError
from agentrt.semcache.base import Embedder, Feedback, Shelf
from agentrt.semcache.bound import Scored, threshold
from agentrt.semcache.features import words
from agentrt.semcache.regions import Lesson, taught
from agentrt.semcache.verifier import rising

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agentrt.semcache.base import Vectors

BOUNDS = (0.02, 0.05, 0.10)
_UNSEEN = 0.25
_BATCH = 512
_SHELF = Shelf("global", "pairs", "")


class Pair(NamedTuple):
    """Two questions, and whether they are the same."""

    asked: str
    stored: str
    same: bool


class Outcome(NamedTuple):
    """What a threshold did with unseen pairs."""

    hits: int
    wrong: int
    of: int

    @property
    def error(self) -> float:
        """The share of hits that were wrong."""
        return self.wrong / self.hits if self.hits else 0.0


class Split(NamedTuple):
    """One split and bound: the verifier, the single threshold on the cosine, and the best that one could have been."""

    bound: float
    verifier: Outcome
    cosine: Outcome
    limit: Outcome


@dataclass(frozen=True, slots=True)
class Side:
    """All splits of one bound. ``kept``: the share of splits with an error within it; ``promised``: that gave hits."""

    promised: float
    kept: float
    hit_rate: float
    error: float
    worst: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What was found for one bound."""

    bound: float
    splits: int
    verifier: Side
    cosine: Side
    limit: Side


class Noise(NamedTuple):
    """Pairs that differ in nothing but case, spaces and marks, and those of them that are labelled different."""

    equal: int
    different: int


def read(path: Path) -> list[Pair]:
    """The pairs of a file. Raises ``ConfigError`` naming what cannot be read."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = [json.loads(line) for line in data.splitlines() if line.strip()]
        return [Pair(str(line["text_a"]), str(line["text_b"]), bool(line["label"])) for line in lines]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"no question pairs in {path} ({error!r}): expected JSON lines with text_a, text_b and label"
        ) from error


def cosines(pairs: Sequence[Pair], embedder: Embedder) -> list[float]:
    """The cosine of each pair."""
    found: list[float] = []
    for start in range(0, len(pairs), _BATCH):
        some = pairs[start : start + _BATCH]
        asked: Vectors = embedder.embed([pair.asked for pair in some])
        stored: Vectors = embedder.embed([pair.stored for pair in some])
        found += (asked * stored).sum(1).tolist()
    return found


def noise(pairs: Sequence[Pair]) -> Noise:
    """How far the labels themselves can be trusted: no score can tell such pairs apart."""
    equal = [pair for pair in pairs if words(pair.asked).text == words(pair.stored).text]
    return Noise(len(equal), sum(not pair.same for pair in equal))


def split(
    pairs: Sequence[Pair],
    near: Sequence[float],
    seed: int,
    *,
    bounds: Sequence[float] = BOUNDS,
    confidence: float = 0.95,
    apart: bool = False,
) -> list[Split]:
    """Learn from three quarters, and see what happens to the last; ``near`` are the pairs' cosines."""
    unseen = _unseen(pairs, seed, apart=apart)
    told = [
        Feedback(_SHELF, at, pairs[at].asked, pairs[at].stored, near[at], near[at], pairs[at].same, "person", 0.0)
        for at in np.flatnonzero(~unseen).tolist()
    ]
    lesson = taught(told)
    held = [pairs[at] for at in np.flatnonzero(unseen).tolist()]
    right = np.array([pair.same for pair in held])
    cosine = np.asarray(near)[unseen]
    scores = _scores(lesson, held, cosine)
    simple = _simple(told)
    found = []
    for bound in bounds:
        learned = lesson.threshold(_SHELF if _SHELF in lesson.regions else _SHELF.category, bound, confidence)
        single = threshold(simple, bound, confidence)
        least = None if single is None else sorted((one.cosine for one in told), reverse=True)[single.hits - 1]
        found.append(
            Split(
                bound,
                _outcome(scores, right, None if learned is None else learned.score),
                _outcome(cosine, right, least),
                _best(cosine, right, bound),
            )
        )
    return found


def measure(splits: Sequence[Sequence[Split]]) -> list[Quality]:
    """What many splits come to, for each bound."""
    found = []
    for same in zip(*splits, strict=True):
        bound = same[0].bound
        sides = [_side([getattr(one, name) for one in same], bound) for name in ("verifier", "cosine", "limit")]
        found.append(Quality(bound, len(same), *sides))
    return found


def as_json(found: Sequence[Quality]) -> list[dict[str, object]]:
    """For ``--json``."""
    return [asdict(one) for one in found]


def _side(outcomes: Sequence[Outcome], bound: float) -> Side:
    hits = sum(one.hits for one in outcomes)
    return Side(
        fmean(one.hits > 0 for one in outcomes),
        fmean(one.error <= bound for one in outcomes),
        fmean(one.hits / one.of for one in outcomes),
        sum(one.wrong for one in outcomes) / hits if hits else 0.0,
        max(one.error for one in outcomes),
    )


def _simple(told: Sequence[Feedback]) -> list[Scored]:
    """The cosine alone, read as a chance by a line that was fitted to all of the feedback."""
    cosine = np.array([one.cosine for one in told])
    right = np.array([one.right for one in told])
    slope, height = rising(cosine, right.astype(np.float64))
    chance = 1 / (1 + np.exp(-(cosine * slope + height)))
    return [Scored(*one) for one in zip(chance.tolist(), right.tolist(), strict=True)]


def _scores(lesson: Lesson, pairs: Sequence[Pair], cosine: NDArray[np.float64]) -> NDArray[np.float64]:
    asked = [(pair.asked, pair.stored, near) for pair, near in zip(pairs, cosine.tolist(), strict=True)]
    return np.array(lesson.scores(asked))


def _outcome(scores: NDArray[np.float64], right: NDArray[np.bool_], least: float | None) -> Outcome:
    hit = scores >= (np.inf if least is None else least)
    return Outcome(int(hit.sum()), int((hit & ~right).sum()), len(right))


def _best(scores: NDArray[np.float64], right: NDArray[np.bool_], bound: float) -> Outcome:
    """The most hits from the top down that have this error, with the truth in hand."""
    order = np.argsort(-scores, kind="stable")
    wrong = (~right[order]).cumsum()
    last = np.append(np.diff(scores[order]) != 0, True)
    fits = np.flatnonzero((wrong <= bound * np.arange(1, len(right) + 1)) & last)
    return Outcome(int(fits[-1]) + 1, int(wrong[fits[-1]]), len(right)) if len(fits) else Outcome(0, 0, len(right))


def _unseen(pairs: Sequence[Pair], seed: int, *, apart: bool) -> NDArray[np.bool_]:
    """Which pairs are kept from the feedback."""
    chance = np.random.default_rng(seed)
    if not apart:
        return chance.random(len(pairs)) < _UNSEEN
    groups = _groups(pairs)
    drawn: NDArray[np.bool_] = (chance.random(len(pairs)) < _UNSEEN)[groups]
    return drawn


def _groups(pairs: Sequence[Pair]) -> list[int]:
    """Pairs that share questions, directly or by way of others, have one number: that of one of them."""
    first: dict[str, int] = {}
    above = list(range(len(pairs)))

    def root(at: int) -> int:
        while above[at] != at:
            above[at] = above[above[at]]
            at = above[at]
        return at

    for at, pair in enumerate(pairs):
        for text in (words(pair.asked).text, words(pair.stored).text):
            above[root(at)] = root(first.setdefault(text, at))
    return [root(at) for at in range(len(pairs))]
