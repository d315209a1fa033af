"""What every recording is read into: sessions of turns, with what each prompt repeats of those before it.

Lengths are tokens, times seconds, both as recorded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

KEPT: Final = 0.5
"""A prompt that begins with less than this share of a context's last one belongs to another context."""


class Run(NamedTuple):
    """``many`` blocks with consecutive numbers, ``first`` the lowest.

    Where the same numbers lead to it, a number stands for the same tokens.
    """

    first: int
    many: int


Runs: TypeAlias = tuple[Run, ...]


class Head(NamedTuple):
    """A fixed prompt that several sessions begin with: the same ``name``, the same ``tokens`` of them."""

    name: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One model turn of a session.

    ``prompt`` and ``output`` are lengths. ``kept`` tokens at the beginning of the prompt are what its ``context`` held
    when its turn before had ended (of a first turn: the session's head); ``blocks`` are the prompt's, as far as they
    are known. ``gap`` seconds before it, ``tool`` began to run, with ``word`` as its command; ``helpers`` are the
    sub-agents that ran side by side before that.
    """

    prompt: int
    output: int
    kept: int = 0
    context: int = 0
    blocks: Runs = ()
    gap: float = 0.0
    tool: str = ""
    word: str = ""
    helpers: tuple[Session, ...] = ()

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for what no engine was asked for."""
        if not (self.prompt >= 1 and self.output >= 1 and self.kept >= 0):
            raise ValueError(
                f"a prompt of {self.prompt} tokens ({self.kept} of them kept) and a reply of {self.output}"
            )
        if not 0 <= self.gap < math.inf:
            raise ValueError(f"a gap of {self.gap} s")


@dataclass(frozen=True, slots=True)
class Session:
    """One recorded agent at work.

    ``block`` is how many tokens a block has, 0 where none are known; ``scope`` names the space in which block numbers
    mean the same. ``arrives`` is when it began, from the beginning of the recording; ``last`` are the sub-agents after
    its last turn.
    """

    name: str
    turns: tuple[Turn, ...]
    block: int = 64
    scope: str = ""
    head: Head | None = None
    arrives: float = 0.0
    last: tuple[Session, ...] = ()

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a time that is none, and blocks of no tokens."""
        if not math.isfinite(self.arrives) or self.block < 0:
            raise ValueError(f"it arrives at {self.arrives} s and has blocks of {self.block} tokens")

    @property
    def longest(self) -> int:
        """The most tokens that one of its contexts ever has, the reply included."""
        return max((turn.prompt + turn.output for turn in self.turns), default=0)


def runs_of(numbers: Iterable[int], before: Runs = ()) -> Runs:
    """Block numbers as runs, after those that there are."""
    found = list(before[:-1])
    first, count = before[-1] if before else (0, 0)
    for number in numbers:
        if number == first + count and count:
            count += 1
            continue
        if count:
            found.append(Run(first, count))
        first, count = number, 1
    if count:
        found.append(Run(first, count))
    return tuple(found)


def taken(runs: Runs, count: int) -> Runs:
    """The first ``count`` blocks of these."""
    found: list[Run] = []
    for first, length in runs:
        if count <= 0:
            break
        found.append(Run(first, min(length, count)))
        count -= length
    return tuple(found)


def left(runs: Runs, count: int) -> Runs:
    """These blocks without the first ``count``."""
    found: list[Run] = []
    for first, length in runs:
        over = min(length, max(0, count))
        if length > over:
            found.append(Run(first + over, length - over))
        count -= length
    return tuple(found)


def size(runs: Runs) -> int:
    """How many blocks these are."""
    return sum(run.many for run in runs)


def grown(before: Turn | None, prompt: int) -> int:
    """How much a prompt keeps of a context that only grows: all of it, the reply too where there is room for it."""
    if before is None or prompt <= before.prompt:
        return 0
    whole = before.prompt + before.output
    return whole if whole < prompt else before.prompt


def begun_at_zero(sessions: Sequence[Session]) -> list[Session]:
    """The sessions in the order of their arrivals, the first at 0."""
    ordered = sorted(sessions, key=lambda one: one.arrives)
    first = ordered[0].arrives if ordered else 0.0
    return [replace(one, arrives=one.arrives - first) for one in ordered]
