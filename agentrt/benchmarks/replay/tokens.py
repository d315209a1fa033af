"""Prompts of token numbers: what a message of a replay stands for. Pure, and the same for the same seed.

A replay's messages hold no text for a model. The system message names the fixed prompt that sessions share; each
user message is an ``Ask``: how much of the context so far stays, the blocks that follow, how long the prompt is, and
how long the reply is to be; each reply is a ``Told``: the tokens that the engine generated. So the whole prompt follows
from what was said in the session, and what is written down of a run is short.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import shake_128
from itertools import accumulate
from typing import Final, Self

from agentrt.types import Message

LOWEST: Final = 1_000
SPAN: Final = 28_000
"""Token numbers are drawn from so many, from the lowest on: ordinary ones in every vocabulary of 32,000 or more."""

_REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class Fixed:
    """A fixed prompt: ``tokens`` tokens of the content that ``name`` stands for."""

    name: str
    tokens: int

    def to_text(self) -> str:
        """As a system message has it."""
        return json.dumps(asdict(self), separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Ask:
    """One turn. Lengths are tokens, as they are sent.

    The first ``keep`` tokens of what was said before stay; the prompt is ``prompt`` tokens long, the reply will be
    ``say``. What is new comes from ``blocks``, runs (first number, how many) of ``scope`` from the block ``at`` on, the
    i-th of which ends at ``(i + 1) * block // scale``; and from ``tail``, a content of its own, where they end. ``own``
    says that the context had a turn before, so that what it keeps was computed once.
    """

    keep: int
    prompt: int
    say: int
    scope: str
    tail: str
    block: int = 0
    scale: float = 1.0
    at: int = 0
    blocks: tuple[tuple[int, int], ...] = ()
    own: bool = True

    def to_text(self) -> str:
        """As a user message has it."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what ``to_text`` wrote."""
        told = json.loads(text)
        return cls(**{**told, "blocks": tuple((first, many) for first, many in told["blocks"])})


@dataclass(frozen=True, slots=True)
class Told:
    """One reply: the numbers of its tokens, and how much of its prompt the engine had cached and computed again."""

    tokens: tuple[int, ...]
    prompt: int
    cached: int
    again: int

    def to_text(self) -> str:
        """As an assistant's message has it."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what ``to_text`` wrote."""
        told = json.loads(text)
        return cls(**{**told, "tokens": tuple(told["tokens"])})


def prompt_of(said: Sequence[Message]) -> tuple[list[int], Ask]:
    """The tokens of a prompt, and its last turn. Raises ``ValueError`` where there is no turn."""
    tokens: list[int] = []
    ask: Ask | None = None
    for message in said:
        match message.role:
            case "system":
                tokens = fixed(message.content)
            case "user":
                ask = Ask.from_text(message.content)
                tokens = tokens[: ask.keep]
                tokens += new_tokens(ask, len(tokens))
            case "assistant":
                tokens += Told.from_text(message.content).tokens
    if ask is None:
        raise ValueError("a replay's turn has a user message")
    return tokens, ask


def fixed(text: str) -> list[int]:
    """The tokens of a system message."""
    one = Fixed(**json.loads(text))
    return drawn(one.name, one.tokens)


def new_tokens(ask: Ask, start: int) -> list[int]:
    """The tokens of a prompt from position ``start`` to its end."""
    found: list[int] = []
    for number, low, high in _spans(ask, start):
        content = _content(f"{ask.scope}/{number}", high)
        found += content[low:high]
    if (missing := ask.prompt - start - len(found)) > 0:
        found += drawn(ask.tail, missing)
    return found


def drawn(content: str, count: int) -> list[int]:
    """``count`` tokens that are the same for the same content; more of them begin alike."""
    pairs = array("H", shake_128(content.encode()).digest(2 * count))
    return [LOWEST + one % SPAN for one in pairs]


@lru_cache(maxsize=_REMEMBERED)
def _content(content: str, count: int) -> tuple[int, ...]:
    return tuple(drawn(content, count))


def ends(block: int, scale: float, number: int) -> int:
    """Where the block of that place in its prompt begins; the one before ends there."""
    return int(number * block / scale)


def _spans(ask: Ask, start: int) -> Iterable[tuple[int, int, int]]:
    """The blocks from a position on: number, and from where to where in the block."""
    many = [count for _, count in ask.blocks]
    before = [0, *accumulate(many)]
    place = ask.at
    while place < ask.at + before[-1]:
        low, high = ends(ask.block, ask.scale, place), ends(ask.block, ask.scale, place + 1)
        high = min(high, ask.prompt)
        if high > max(low, start):
            which = bisect_right(before, place - ask.at) - 1
            number = ask.blocks[which][0] + place - ask.at - before[which]
            yield number, max(low, start) - low, high - low
        if low >= ask.prompt:
            return
        place += 1
