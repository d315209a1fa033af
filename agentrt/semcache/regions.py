"""From feedback to hits: the verifier that it teaches, and a threshold for each region that has enough of its own.

Half of the feedback teaches the verifier and the other half, which it has not seen, says from which score on a promise
holds; a hash of the two questions says which is which. A region is a shelf with much feedback, or all other shelves of
a category together. A category's doubt is shared evenly between its regions (the union bound), so that the promise
holds for all of them at once.

While it serves, every checked hit goes to the region's watch. When that finds the promise broken, the region is
closed, and only feedback from then on can open it again.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from zlib import crc32

from agentrt.semcache.base import Feedback, Shelf
from agentrt.semcache.bound import Scored, Threshold, Watch, threshold
from agentrt.semcache.features import Rarity, Row, row
from agentrt.semcache.verifier import Verifier, fit

if TYPE_CHECKING:
    from agentrt.semcache.category import Category

Region: TypeAlias = Shelf | str
"""A shelf with feedback enough of its own, or the name of a category: all its other shelves."""

_OWN = 2000
"""Feedback from which on a shelf is a region of its own."""

_FIRST = 100
"""Feedback from which on anything is learned."""

_AGAIN = 1.2
"""It is learned anew when there is so many times the feedback of the last time."""

_MOST = 40_000
"""The newest feedback, which is learned from: two seconds of work."""


class Lesson(NamedTuple):
    """What was learned: the verifier, and the scores of the feedback that it has not seen, by region."""

    verifier: Verifier = Verifier()
    rarity: Rarity = Rarity()
    regions: Mapping[Region, Sequence[Scored]] = {}

    def score(self, question: str, stored: str, cosine: float) -> float:
        """How likely the stored answer is right."""
        return float(self.verifier.scores([row(question, stored, cosine, self.rarity)])[0])

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
    """Learn from feedback. What is older than ``since`` teaches the verifier, but promises nothing for that region."""
    feedback = list(feedback)
    seen = [told for told in feedback if not _aside(told)]
    rarity = Rarity(text for told in seen for text in (told.question, told.stored))
    verifier = fit([_row_without(told, rarity) for told in seen], [told.right for told in seen])
    aside = [told for told in feedback if _aside(told)]
    scores = verifier.scores([_row(told, rarity) for told in aside])
    regions: dict[Region, list[Scored]] = defaultdict(list)
    many = Counter(told.shelf for told in feedback)
    for told, score in zip(aside, scores.tolist(), strict=True):
        region = told.shelf if many[told.shelf] >= _OWN else told.shelf.category
        kept = regions[region]
        if told.at > (since or {}).get(region, float("-inf")):
            kept.append(Scored(score, told.right))
    return Lesson(verifier, rarity, dict(regions))


def _row(told: Feedback, rarity: Rarity) -> Row:
    return row(told.question, told.stored, told.cosine, rarity)


def _row_without(told: Feedback, rarity: Rarity) -> Row:
    """As if its own words had not been counted, which is how it stands with pairs that come later."""
    rarity.remove((told.question, told.stored))
    found = _row(told, rarity)
    rarity.add((told.question, told.stored))
    return found


def _aside(told: Feedback) -> bool:
    """Whether this pair is kept from the verifier: the same for the same two questions, whoever judged them."""
    return bool(crc32(f"{told.question}\0{told.stored}".encode()) >> 7 & 1)


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
        self._promises: dict[tuple[Region, float, float], _Promise] = {}
        self.lesson = Lesson()

    def score(self, question: str, stored: str, cosine: float) -> float:
        """From 0 to 1; more is surer."""
        return self.lesson.score(question, stored, cosine)

    def threshold(self, rules: Category, shelf: Shelf) -> float | None:
        """The least score at which the rules' promise holds; ``None``: at none, or it was broken of late.

        A rate between two thousandths counts as the lower one: under a changing load there are few different ones.
        """
        rate = max(int(rules.max_error_rate * 1000 + 1e-6) / 1000, min(rules.max_error_rate, 0.001))
        region = self.lesson.region(shelf)
        key = (region, rate, rules.confidence)
        promise = self._promises.get(key)
        if promise is None:
            found = self.lesson.threshold(*key)
            promise = self._promises[key] = _Promise(found, rate, rules.confidence)
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
            self._run(self._learn_anew)

    def _watched(self, told: Feedback) -> None:
        """A hit that was checked counts for or against the promises under which it was one."""
        here = self.lesson.region(told.shelf)
        for (region, _, _), promise in self._promises.items():
            found = promise.threshold
            if region != here or found is None or promise.watch.broken or told.score < found.score:
                continue
            if promise.watch.see(told.right):
                self._since[region] = told.at

    def _learn_anew(self) -> None:
        try:
            lesson = taught(list(self._feedback), dict(self._since))
            self.lesson, self._promises = lesson, {}
        finally:
            self._learning = False
