"""From feedback to hits: the verifier that it teaches, and a threshold for each region that has enough of its own.

An eighth of the feedback is only read for how rare its words are. Of the rest, each pair of questions belongs to one
of a few folds, by a hash of both, and each fold has a verifier that the others have taught. So every pair is scored by
one that has not seen it, as every pair that comes later is: the same hash says by which. These scores give the
thresholds. For each fold alone the limit is exact; that of all folds together takes them as independent, which
verifiers that share feedback are only nearly.

A region is a shelf with much feedback, or all other shelves of a category together. A category's doubt is shared evenly
between its regions (the union bound), so that the promise holds for all of them at once.

While it serves, every checked hit goes to the region's watch. When that finds the promise broken, the region is
closed, and only feedback from then on can open it again.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from zlib import crc32

from agentrt.semcache.base import Feedback, Shelf
from agentrt.semcache.bound import Scored, Threshold, Watch, threshold
from agentrt.semcache.features import Rarity, row
from agentrt.semcache.verifier import Verifier, fit

if TYPE_CHECKING:
    from agentrt.semcache.category import Category

Region: TypeAlias = Shelf | str
"""A shelf with feedback enough of its own, or the name of a category: all its other shelves."""

FOLDS = 3
"""Verifiers side by side: each learns from all feedback but a third."""

_READ = 8
"""Of so many pairs of the feedback, one is only read for its words: what counts them must not be what is scored."""

_OWN = 2000
"""Feedback from which on a shelf is a region of its own."""

_FIRST = 100
"""Feedback from which on anything is learned."""

_AGAIN = 1.2
"""It is learned anew when there is so many times the feedback of the last time."""

_MOST = 40_000
"""The newest feedback, which is learned from: two seconds of work."""


class Lesson(NamedTuple):
    """What was learned: a verifier for each fold, and the scores of all feedback by those that have not seen it."""

    verifiers: tuple[Verifier, ...] = (Verifier(),)
    rarity: Rarity = Rarity()
    regions: Mapping[Region, Sequence[Scored]] = {}

    def score(self, question: str, stored: str, cosine: float) -> float:
        """How likely the stored answer is right."""
        verifier = self.verifiers[_fold(question, stored, len(self.verifiers))]
        return float(verifier.scores([row(question, stored, cosine, self.rarity)])[0])

    def scores(self, pairs: Sequence[tuple[str, str, float]]) -> list[float]:
        """Those of many pairs at once: question, stored question and cosine."""
        found = [0.0] * len(pairs)
        folds = [_fold(question, stored, len(self.verifiers)) for question, stored, _ in pairs]
        for fold, verifier in enumerate(self.verifiers):
            inside = [at for at, its in enumerate(folds) if its == fold]
            rows = [row(*pairs[at], self.rarity) for at in inside]
            for at, score in zip(inside, verifier.scores(rows).tolist(), strict=True):
                found[at] = score
        return found

    def region(self, shelf: Shelf) -> Region:
        """Where a shelf belongs."""
        return shelf if shelf in self.regions else shelf.category

    def threshold(self, region: Region, max_error_rate: float, confidence: float) -> Threshold | None:
        """From where on the promise holds in a region; ``None``: nowhere."""
        category = _category(region)
        share = (1 - confidence) / max(1, sum(_category(one) == category for one in self.regions))
        return threshold(self.regions.get(region, ()), max_error_rate, 1 - share)


class Proposal(NamedTuple):
    """What the feedback would allow in a region: ``threshold`` is ``None`` where nothing can be promised."""

    region: Region
    feedback: int
    wrong: int
    threshold: Threshold | None


def tuned(feedback: Sequence[Feedback], max_error_rate: float, confidence: float = 0.95) -> list[Proposal]:
    """The threshold of each region that keeps a promise, from all feedback there is; ``feedback`` counts its halves."""
    lesson = taught(feedback)
    by_region: dict[Region, list[bool]] = defaultdict(list)
    for told in feedback:
        by_region[lesson.region(told.shelf)].append(told.right)
    return [
        Proposal(region, len(right), right.count(False), lesson.threshold(region, max_error_rate, confidence))
        for region, right in sorted(by_region.items(), key=str)
    ]


def taught(feedback: Iterable[Feedback], since: Mapping[Region, float] | None = None) -> Lesson:
    """Learn from feedback. What is older than ``since`` teaches the verifiers, but promises nothing for that region."""
    read, judged = list[Feedback](), list[Feedback]()
    for told in feedback:
        (judged if _hash(told.question, told.stored) % _READ else read).append(told)
    rarity = Rarity(text for told in read for text in (told.question, told.stored))
    rows = [row(told.question, told.stored, told.cosine, rarity) for told in judged]
    folds = [_fold(told.question, told.stored, FOLDS) for told in judged]
    verifiers, scores = [], [0.0] * len(judged)
    for fold in range(FOLDS):
        inside = [at for at, its in enumerate(folds) if its == fold]
        others = [at for at, its in enumerate(folds) if its != fold]
        verifiers.append(fit([rows[at] for at in others], [judged[at].right for at in others]))
        for at, score in zip(inside, verifiers[-1].scores([rows[at] for at in inside]).tolist(), strict=True):
            scores[at] = score
    return Lesson(tuple(verifiers), rarity, _by_region(judged, scores, since or {}))


def _by_region(
    feedback: Sequence[Feedback], scores: Sequence[float], since: Mapping[Region, float]
) -> dict[Region, list[Scored]]:
    regions: dict[Region, list[Scored]] = defaultdict(list)
    many = Counter(told.shelf for told in feedback)
    for told, score, topic in zip(feedback, scores, _topics(feedback), strict=True):
        region = told.shelf if many[told.shelf] >= _OWN else told.shelf.category
        kept = regions[region]
        if told.at > since.get(region, float("-inf")):
            kept.append(Scored(score, told.right, topic))
    return dict(regions)


def _topics(feedback: Sequence[Feedback]) -> list[int]:
    """A number for each pair: the same for pairs that share a question, directly or by others."""
    number: dict[str, int] = {}
    above: list[int] = []

    def top(text: str) -> int:
        at = number.setdefault(text, len(above))
        if at == len(above):
            above.append(at)
        while above[at] != at:
            above[at] = above[above[at]]
            at = above[at]
        return at

    for told in feedback:
        above[top(told.question)] = top(told.stored)
    return [top(told.stored) for told in feedback]


def _hash(question: str, stored: str) -> int:
    """The same for the same two questions, whoever judged them and when."""
    return crc32(f"{question}\0{stored}".encode())


def _fold(question: str, stored: str, folds: int) -> int:
    """Which fold a pair belongs to, and so which verifier scores it."""
    return (_hash(question, stored) >> 8) % folds


def _category(region: Region) -> str:
    return region.category if isinstance(region, Shelf) else region


class _Promise:
    """A threshold that is in use, and who watches it."""

    __slots__ = ("threshold", "watch")

    def __init__(self, found: Threshold | None, max_error_rate: float, confidence: float) -> None:
        self.threshold = found
        self.watch = Watch(max_error_rate, confidence)


def _at_once(work: Callable[[], None]) -> None:
    work()


class Learned:
    """The judge that learns: a cache asks it how likely an answer is right, and from where on it may be given.

    ``run`` does the learning, which takes up to some seconds: at once, or in a thread of its own; what was learned is
    put in place in one step. Not for several threads at once otherwise.
    """

    def __init__(self, run: Callable[[Callable[[], None]], object] = _at_once) -> None:
        self._run = run
        self._feedback: deque[Feedback] = deque(maxlen=_MOST)
        self._told = 0
        self._due = _FIRST
        self._learning = False
        self._since: dict[Region, float] = {}
        self._state: tuple[Lesson, dict[tuple[Region, float, float], _Promise]] = (Lesson(), {})

    @property
    def lesson(self) -> Lesson:
        """What was learned last."""
        return self._state[0]

    def scores(self, question: str, near: Sequence[tuple[str, float]]) -> Sequence[float]:
        """From 0 to 1 for each stored question and its cosine; more is surer."""
        return self.lesson.scores([(question, stored, cosine) for stored, cosine in near])

    def threshold(self, rules: Category, shelf: Shelf) -> float | None:
        """The least score at which the rules' promise holds; ``None``: at none, or it was broken of late.

        A rate between two thousandths counts as the lower one: under a changing load there are few different ones.
        """
        rate = max(int(rules.max_error_rate * 1000 + 1e-6) / 1000, min(rules.max_error_rate, 0.001))
        lesson, promises = self._state
        key = (lesson.region(shelf), rate, rules.confidence)
        promise = promises.get(key)
        if promise is None:
            promise = promises[key] = _Promise(lesson.threshold(*key), rate, rules.confidence)
        if promise.threshold is None or promise.watch.broken:
            return None
        return promise.threshold.score

    def learn(self, feedback: Sequence[Feedback]) -> None:
        """Take in what turned out; now and then all is learned anew."""
        for told in feedback:
            self._feedback.append(told)
            self._told += 1
            self._watched(told)
        if self._told >= self._due and not self._learning:
            self._learning = True
            self._due = self._told + max(_FIRST, int(len(self._feedback) * (_AGAIN - 1)))
            self._run(partial(self._learn_anew, list(self._feedback), dict(self._since)))

    def _watched(self, told: Feedback) -> None:
        """A hit that was checked counts for or against the promises under which it was one."""
        lesson, promises = self._state
        here = lesson.region(told.shelf)
        for (region, _, _), promise in promises.items():
            found = promise.threshold
            if region != here or found is None or promise.watch.broken or told.score < found.score:
                continue
            if promise.watch.see(told.right):
                self._since[region] = told.at

    def _learn_anew(self, feedback: Sequence[Feedback], since: Mapping[Region, float]) -> None:
        """Put a new lesson in place; a region that was closed in the meantime stays closed until the next."""
        try:
            lesson = taught(feedback, since)
            closed = {region: () for region, at in self._since.items() if since.get(region) != at}
            self._state = (lesson._replace(regions={**lesson.regions, **closed}), {})
        finally:
            self._learning = False
