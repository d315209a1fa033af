"""Made-up questions: sentences of seven to some twenty words, common words often and rare ones seldom.

Each comes with the same question in other words, and with another one in almost the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import Final, NamedTuple


def _words(text: str) -> list[str]:
    return text.split()


_OPENINGS: Final = (
    "How do I", "How can I", "What is the best way to", "How does one", "What do I need to",
    "Which steps does it take to", "Is there a simple way to", "Can you tell me how to",
    "What is the quickest way to", "Who can help me to",
)  # fmt: skip
_ENDS: Final = ("?", "?", "?", ", please?", " today?", " again?", " at all?")
_VERBS: Final = _words(
    "use make find change open write move start stop fix check send read remove install delete compare rename copy "
    "merge print share connect sort restore export import measure replace encrypt cancel schedule test paint translate "
    "archive mount weigh sharpen polish knit"
)
_KINDS: Final = _words(
    "new old large small broken shared private cheap empty missing hidden local remote temporary public slow damaged "
    "duplicate wooden electric annual foreign frozen digital woollen antique portable brittle"
)
_THINGS: Final = _words(
    "file account password table message phone letter server invoice picture folder report engine key order contract "
    "ticket camera database backup printer calendar recipe window battery certificate passport subscription bicycle "
    "spreadsheet router garden guitar chimney telescope kettle mattress violin ladder greenhouse tractor carburettor"
)
_PLACES: Final = (
    "at work", "on my computer", "in the office", "at home", "in the cloud", "on a train", "in the kitchen",
    "at school", "on the second floor", "in another country", "on an older system", "in the staging area",
    "at the airport", "inside a tent", "under water", "in the archive", "on a mountain", "behind the barn",
)  # fmt: skip
_CASES: Final = (
    "", "", "", "when it does not start", "without losing anything", "before the end of the month",
    "if I have no permission", "while others are using it", "after an update", "without paying for it",
    "when the disk is full", "if the owner has left", "for more than one person", "in less than an hour",
    "so that nobody notices",
)  # fmt: skip
_SYLLABLES: Final = _words("ba den ko li mar no pel ri sa tor un vek wil xa yor zan")


class Made(NamedTuple):
    """A question, the same in other words, and another one that is nearly the same in its words."""

    text: str
    again: str
    other: str


def made(seed: int) -> Iterator[Made]:
    """Questions without end, none of them twice."""
    random, seen = Random(seed), set[str]()  # noqa: S311 - no secret
    while True:
        one = _one(random)
        if one.text not in seen:
            seen.add(one.text)
            yield one


def several(seed: int, count: int) -> list[Made]:
    """The first so many of them."""
    return list(islice(made(seed), count))


def _one(random: Random) -> Made:
    opening, other_opening = random.sample(_OPENINGS, 2)
    verb, kind, thing = _often(random, _VERBS), _often(random, _KINDS), _often(random, _THINGS)
    rest = " ".join(part for part in (_often(random, _PLACES), _often(random, _CASES), _name(random)) if part)
    end, other_end = random.sample(_ENDS, 2)
    body = f"{verb} a {kind} {thing} {rest}"
    other = f"{verb} a {kind} {_other(random, thing)} {rest}"
    return Made(f"{opening} {body}{end}", f"{other_opening} {body}{other_end}", f"{opening} {other}{end}")


def _often(random: Random, words: Sequence[str]) -> str:
    """Zipf's law: the tenth word comes a tenth as often as the first."""
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return random.choices(words, weights)[0]


def _other(random: Random, thing: str) -> str:
    return random.choice([one for one in _THINGS if one != thing])


def _name(random: Random) -> str:
    """Sometimes a number or a name of somebody, as questions have them."""
    chance = random.random()
    if chance < 0.3:
        return f"from {random.randint(2, 2030)}"
    if chance < 0.7:
        return f"for {''.join(random.choices(_SYLLABLES, k=random.randint(2, 3))).capitalize()}"
    return ""
