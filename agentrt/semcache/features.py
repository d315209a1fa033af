"""A pair of questions as numbers: what tells them apart, and how much of it is common to both.

Two questions of a cosine near 1 can still ask for different things: another number, a *not*, another name, the same
words in another order. A pair becomes a short row of measures (``NAMES``), and a handful of hashed marks that name the
difference itself: the words that only one of them has, which word stands for which, what both are about, and which
stored question it is. The marks let feedback teach which differences are harmless and which stored answers are good.
Both directions of a pair give the same numbers but for the mark of the stored question.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MARKS = 1 << 16
"""Marks are numbers below this."""

NAMES = (
    "cosine", "equal", "shared", "shared_rare", "only_short", "only_long", "only_rarest", "only_rarest_other",
    "only_count", "only_count_other", "inverted", "in_order", "first", "last", "head", "tail", "asks", "asks_known",
    "numbers", "numbers_both", "negation", "names", "names_both", "inflected", "alike", "length", "length_ratio",
    "bigrams", "letters", "rarity_shared",
)  # fmt: skip
"""What the numbers of a row are, in their order."""

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W_]+[+#]*|[^\w\s.,;:!?'\"()\[\]{}`\u00b4\u2018\u2019\u201c\u201d-]")
_SHORT = (("\u2019", "'"), ("can't", "can not"), ("won't", "will not"), ("n't", " not"), ("what's", "what is"),
    ("how's", "how is"), ("who's", "who is"), ("it's", "it is"), ("i'm", "i am"), ("i've", "i have"),
    ("'re", " are"), ("'s", ""))  # fmt: skip


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEGATIONS = _set("no not never without none nothing nobody neither nor cannot non")
_ASKS = _set(
    "what how why which who whom whose when where can could should would will do does did is are was were has have "
    "if may must"
)
_PLAIN = _set(
    "a an the of to in on for at by with from as and or i you we it he she they me my your our his her their its is "
    "are was were be been am do does did have has had will would can could should may might this that these those "
    "there here what how why which who whom whose when where if so than then very really just any some get one"
)
_ENDINGS = ("ingly", "edly", "ing", "ies", "ed", "es", "ly", "s", "e")


class Words(NamedTuple):
    """A question, taken apart. ``stems`` are its words without their endings, in order."""

    stems: tuple[str, ...]
    counts: dict[str, int]
    pairs: frozenset[tuple[str, str]]
    letters: frozenset[str]
    numbers: frozenset[str]
    names: frozenset[str]
    negations: int
    asks: str
    words: frozenset[str]
    text: str


class Rarity:
    """How rare the words of the stored questions are: 0 for one that all of them have, 1 for one that none has."""

    def __init__(self, questions: Iterable[str] = ()) -> None:
        self._counts: Counter[str] = Counter()
        self._questions = 0
        self._whole = log(2)
        self.add(questions)

    def add(self, questions: Iterable[str]) -> None:
        """These are stored."""
        for question in questions:
            self._counts.update(set(words(question).stems))
            self._questions += 1
        self._whole = log(self._questions + 2)

    def remove(self, questions: Iterable[str]) -> None:
        """These are let go; only such as were added."""
        for question in questions:
            self._counts.subtract(set(words(question).stems))
            self._questions -= 1
        self._whole = log(self._questions + 2)

    def of(self, stem: str) -> float:
        """Between 0 and 1."""
        return 1 - log(self._counts.get(stem, 0) + 1) / self._whole


class Row(NamedTuple):
    """A pair as numbers: ``dense`` in the order of ``NAMES``, and the marks that it has."""

    dense: NDArray[np.float32]
    marks: NDArray[np.int32]


@lru_cache(maxsize=20_000)
def words(question: str) -> Words:
    """Take a question apart."""
    text = question.lower()
    for short, whole in _SHORT:
        text = text.replace(short, whole)
    found = _WORD.findall(text)
    stems = tuple(map(_stem, found))
    counts: dict[str, int] = {}
    for stem in stems:
        counts[stem] = counts.get(stem, 0) + 1
    flat = "".join(stems)
    return Words(
        stems,
        counts,
        frozenset(pairwise(stems)),
        frozenset(map("".join, zip(flat, flat[1:], flat[2:], strict=False))),
        frozenset(word for word in found if word[0].isdigit()),
        _names(question),
        sum(word in _NEGATIONS for word in found),
        next((word for word in found if word in _ASKS), ""),
        frozenset(found),
        " ".join(found),
    )


def row(question: str, stored: str, cosine: float, rarity: Rarity) -> Row:
    """The pair as numbers."""
    import numpy as np

    a, b = words(question), words(stored)
    only_a = [stem for stem in a.counts if stem not in b.counts]
    only_b = [stem for stem in b.counts if stem not in a.counts]
    if (len(only_b), only_b) < (len(only_a), only_a):
        a, b, only_a, only_b = b, a, only_b, only_a
    of = rarity.of
    weights = {stem: of(stem) for stem in (*a.counts, *b.counts)}
    both = [stem for stem in a.counts if stem in b.counts]
    common = sum(weights[stem] for stem in both)
    less = [0.1 * weights[stem] if stem in _PLAIN else weights[stem] for stem in only_a]
    more = [0.1 * weights[stem] if stem in _PLAIN else weights[stem] for stem in only_b]
    inverted, in_order = _order(a, b)
    size_a, size_b = len(a.stems) or 1, len(b.stems) or 1
    head, tail = _run(a.stems, b.stems), _run(a.stems[::-1], b.stems[::-1])
    short, long = sorted((sum(less), sum(more)))
    low, high = sorted((max(less, default=0.0), max(more, default=0.0)))
    dense = (
        cosine,
        float(a.stems == b.stems),
        len(both) / (len(a.counts) + len(b.counts) - len(both) or 1),
        common / (common + short + long + 1e-9),
        short,
        long,
        high,
        low,
        len(only_a),
        len(only_b),
        inverted,
        in_order,
        float(a.stems[:1] == b.stems[:1]),
        float(a.stems[-1:] == b.stems[-1:]),
        head / max(size_a, size_b),
        tail / max(size_a, size_b),
        float(a.asks == b.asks),
        float(bool(a.asks) and bool(b.asks)),
        len(a.numbers ^ b.numbers),
        len(a.numbers & b.numbers),
        abs(a.negations - b.negations),
        len(a.names ^ b.names),
        len(a.names & b.names),
        len(a.words ^ b.words) - len(only_a) - len(only_b),
        _alike(only_a, only_b),
        (size_a + size_b) / 20,
        min(size_a, size_b) / max(size_a, size_b),
        len(a.pairs & b.pairs) / (len(a.pairs | b.pairs) or 1),
        len(a.letters & b.letters) / (len(a.letters | b.letters) or 1),
        max((weights[stem] for stem in both), default=0.0),
    )
    named = _marks(a, b, only_a, only_b, both, inverted > 0, words(stored).text)
    return Row(np.array(dense, np.float32), np.unique(np.array(named, np.int32)))


def _marks(
    a: Words, b: Words, only_a: Sequence[str], only_b: Sequence[str], both: Sequence[str], moved: bool, stored: str
) -> list[int]:
    """What the difference is, what is common, and which stored question it is."""
    said = ["e " + stored, "q " + a.text, "q " + b.text, f"n {len(only_a)} {len(only_b)} {moved}"]
    said += ["d " + stem for stem in only_a]
    said += ["d " + stem for stem in only_b]
    said += ["s " + stem for stem in both]
    said += [f"p {one} {other}" for one, other in a.pairs & b.pairs]
    for one in only_a[:4]:
        said += [f"r {one} {other}" if one < other else f"r {other} {one}" for other in only_b[:4]]
    if moved:
        said += ["m " + stem for stem in both]
    said.append("a " + " ".join(sorted((a.asks, b.asks))))
    return [crc32(mark.encode()) % MARKS for mark in said]


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    """A word without its ending, so that *loses* is *losing*; short ones stay."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _names(question: str) -> frozenset[str]:
    """What is written with a capital, other than the first word."""
    return frozenset(word.strip("?!.,'\"():;").lower() for word in question.split()[1:] if word[:1].isupper())


def _order(a: Words, b: Words) -> tuple[float, float]:
    """The share of shared words' neighbours that are turned round, and of words in the longest common order."""
    place = {stem: at for at, stem in enumerate(b.stems) if b.counts[stem] == 1}
    places = [place[stem] for stem in a.stems if stem in place and a.counts[stem] == 1]
    if len(places) < 2:
        return 0.0, 1.0
    ends: list[int] = []
    for at in places:
        where = bisect_left(ends, at)
        ends[where : where + 1] = [at]
    turned = sum(one > other for one, other in pairwise(places))
    return turned / (len(places) - 1), len(ends) / len(places)


def _run(a: Sequence[str], b: Sequence[str]) -> int:
    """How many words at the beginning are the same."""
    count = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        count += 1
    return count


def _alike(only_a: Sequence[str], only_b: Sequence[str]) -> float:
    """How like in letters the most like two of the words are that only one has: 1 for *colour* and *color*."""
    best = 0.0
    for one in only_a[:4]:
        for other in only_b[:4]:
            if one[:2] == other[:2]:
                same = _run(one, other) + _run(one[::-1], other[::-1])
                best = max(best, min(1.0, same / max(len(one), len(other))))
    return best
