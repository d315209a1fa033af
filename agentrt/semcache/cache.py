"""The core: which answer there is for a question, which are kept, and which go; without a loop, a store, a clock."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from agentrt.semcache.base import Answer, AnswerId, Feedback, Index, Shelf, Standing
from agentrt.semcache.category import Category, Kinds
from agentrt.semcache.vectors import unpacked

if TYPE_CHECKING:
    from agentrt.semcache.base import Vector

_NEAREST: Final = 4
"""Stored questions that the verifier looks at: the nearest one is not always the one that means the same."""


class Judge(Protocol):
    """Says how likely a stored answer is right for another question, and from where on a promise holds."""

    def scores(self, question: str, near: Sequence[tuple[str, float]]) -> Sequence[float]:
        """From 0 to 1 for each stored question and its cosine; more is surer."""
        ...

    def threshold(self, rules: Category, shelf: Shelf) -> float | None:
        """The least score at which ``rules.max_error_rate`` is kept with ``rules.confidence``; ``None``: at none."""
        ...

    def learn(self, feedback: Sequence[Feedback]) -> None:
        """Take in what turned out."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored answer to another question, and what the judge says of it, if it was asked."""

    answer: AnswerId
    question: str
    cosine: float
    score: float = math.nan


class _Held:
    """What is known in memory of an answer that is kept."""

    __slots__ = ("at", "chances", "exact", "hits", "question", "shelf", "standing", "tags")

    def __init__(self, answer: Answer) -> None:
        self.shelf = answer.shelf
        self.exact = answer.exact
        self.question = answer.question
        self.at = answer.at
        self.tags = answer.tags
        self.standing: Standing = answer.standing
        self.hits = 0
        self.chances = 0


class _Row:
    """One shelf: its answers by the hash of their requests, and their questions' vectors."""

    __slots__ = ("exact", "index")

    def __init__(self) -> None:
        self.exact: dict[str, AnswerId] = {}
        self.index: Index | None = None


class Cache:
    """Answers by what they were asked, as far as they may be given.

    ``index`` makes an index for a shelf. ``judge`` says which near ones may be trusted.
    """

    def __init__(self, kinds: Kinds, judge: Judge, index: Callable[[], Index]) -> None:
        self.kinds = kinds
        self._judge = judge
        self._index = index
        self._rows: dict[Shelf, _Row] = {}
        self._held: dict[AnswerId, _Held] = {}
        self._order: dict[str, OrderedDict[AnswerId, None]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, answer: AnswerId) -> bool:
        return answer in self._held

    # -- looking up --------------------------------------------------------------------------------------------------

    def same(self, shelf: Shelf, exact: str, rules: Category, now: float) -> AnswerId | None:
        """The answer to an equal request, if it is there and may be given."""
        row = self._rows.get(shelf)
        found = None if row is None else row.exact.get(exact)
        return found if found is not None and self._may(found, rules, now) else None

    def near(self, shelf: Shelf, question: str, vector: Vector, rules: Category, now: float) -> tuple[Candidate, ...]:
        """The stored answers to the questions that are nearest, of those that may be given; not judged yet."""
        row = self._rows.get(shelf)
        if row is None or row.index is None or not question:
            return ()
        return tuple(
            Candidate(answer, self._held[answer].question, cosine)
            for answer, cosine in row.index.search(vector, _NEAREST)
            if cosine >= rules.least_cosine and self._may(answer, rules, now)
        )

    def best(self, question: str, near: Sequence[Candidate]) -> Candidate:
        """The one that is most likely right. A promise is about this choice: feedback has to be of it, too."""
        scores = self._judge.scores(question, [(one.question, one.cosine) for one in near])
        score, one = max(zip(scores, near, strict=True), key=lambda pair: pair[0])
        return replace(one, score=score)

    def trusted(self, shelf: Shelf, question: str, near: Sequence[Candidate], rules: Category) -> Candidate | None:
        """The best of them, if the promise of the rules holds for it."""
        threshold = self._judge.threshold(rules, shelf) if near and rules.max_error_rate else None
        if threshold is None:
            return None
        best = self.best(question, near)
        vouched = not rules.signed or self._held[best.answer].standing == "signed"
        return best if vouched and best.score >= threshold else None

    def _may(self, answer: AnswerId, rules: Category, now: float) -> bool:
        held = self._held[answer]
        return held.standing != "refused" and now - held.at <= rules.ttl

    def age(self, answer: AnswerId, now: float) -> float:
        """Seconds since it was said."""
        return max(0.0, now - self._held[answer].at)

    def given(self, answer: AnswerId) -> None:
        """It was given again: it stays longer where that counts."""
        held = self._held[answer]
        held.hits += 1
        held.chances = min(8, held.chances + 1)
        rules = self.kinds.categories.get(held.shelf.category)
        if rules is not None and rules.eviction == "least recent":
            self._order[held.shelf.category].move_to_end(answer)

    # -- keeping -----------------------------------------------------------------------------------------------------

    def keep(self, answer: Answer) -> list[AnswerId]:
        """Take an answer in; those that have to go for it, the answer to an equal request among them."""
        return self.load([answer])

    def load(self, answers: Sequence[Answer]) -> list[AnswerId]:
        """The same with many at once, the later one of two to an equal request; much quicker than one by one."""
        gone = [before for answer in answers for before in self._hold(answer)]
        by_shelf: dict[Shelf, list[Answer]] = {}
        for answer in answers:
            if answer.vector and answer.id in self._held:
                by_shelf.setdefault(answer.shelf, []).append(answer)
        for shelf, some in by_shelf.items():
            row = self._rows[shelf]
            row.index = row.index if row.index is not None else self._index()
            row.index.add(
                [answer.id for answer in some], unpacked(b"".join(answer.vector for answer in some), len(some))
            )
        for category in {answer.shelf.category for answer in answers}:
            gone += self._make_room(category)
        return gone

    def _hold(self, answer: Answer) -> list[AnswerId]:
        """Know an answer, but for its vector; the one whose place it takes."""
        row = self._rows.get(answer.shelf)
        before = None if row is None else row.exact.get(answer.exact)
        gone = [] if before is None or before == answer.id else [before]
        self.drop(gone)
        self._rows.setdefault(answer.shelf, _Row()).exact[answer.exact] = answer.id
        self._held[answer.id] = _Held(answer)
        self._order.setdefault(answer.shelf.category, OrderedDict())[answer.id] = None
        return gone

    def _make_room(self, category: str) -> list[AnswerId]:
        rules = self.kinds.categories.get(category)
        order, gone = self._order[category], []
        while rules is not None and len(order) > rules.quota:
            first = next(iter(order))
            held = self._held[first]
            if rules.eviction == "least used" and held.chances:  # GCLOCK: what was used goes round once more
                held.chances -= 1
                order.move_to_end(first)
                continue
            gone.append(first)
            self.drop([first])
        return gone

    def drop(self, answers: Iterable[AnswerId]) -> None:
        """Let these go; ids that are not there are no mistake."""
        for answer in answers:
            held = self._held.pop(answer, None)
            if held is None:
                continue
            del self._order[held.shelf.category][answer]
            row = self._rows[held.shelf]
            if row.exact.get(held.exact) == answer:
                del row.exact[held.exact]
            if row.index is not None:
                row.index.remove([answer])
            if not row.exact:
                del self._rows[held.shelf]

    def stand(self, answer: AnswerId, standing: Standing) -> None:
        """Somebody has signed it, or refused it."""
        self._held[answer].standing = standing

    def expired(self, now: float) -> list[AnswerId]:
        """Those that no rules allow to be given any more, by how long ago they were said, relaxed rules included."""
        return [answer for answer, held in self._held.items() if now - held.at > self._longest(held.shelf.category)]

    def _longest(self, category: str) -> float:
        rules = self.kinds.categories.get(category) or self.kinds.categories["default"]
        return rules.ttl * max(1.0, rules.relax.ttl if rules.relax is not None else 1.0)

    def tagged(self, tag: str) -> Iterator[AnswerId]:
        """Those with a tag."""
        return (answer for answer, held in self._held.items() if tag in held.tags)
