"""What a program holds of the pool: its sessions, its fixed prompts, and how much of each counts at an instant."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

FORGOTTEN: Final = 1 / 16
"""A weight below this counts as nothing: what waits for so long is taken to be evicted."""

TicketState: TypeAlias = Literal["held", "granted", "cancelled"]


class Fixed(NamedTuple):
    """A prompt that several contexts begin with: its tokens are counted once, however many hold it.

    ``key`` tells it apart; ``tokens`` is its length, which is part of the size of each of those contexts.
    """

    key: Hashable
    tokens: int


NOTHING_FIXED: Final = Fixed("", 0)


@dataclass(frozen=True, slots=True)
class Decay:
    """How fast the claim of what does not run fades: seconds after which half of it is left.

    ``acting``: a session whose tool runs, and everything of a program none of whose turns runs (ThunderAgent's
    ``2**-t``). ``waiting``: a session that waits while other turns of its program go on.
    """

    acting: float = 20.0
    waiting: float = 60.0

    def weight(self, age: float, half: float) -> float:
        """The share that is left after ``age`` seconds, from 1 down to 0."""
        if age <= 0:
            return 1.0
        left = float(2 ** -(age / half))
        return left if left >= FORGOTTEN else 0.0


class Session:
    """One context of ``tokens``, the first of which are ``fixed``. ``flying`` counts its turns that run; ``since`` is
    when the last of them ended, ``acting`` whether a tool runs since, ``expected`` for how many seconds in all;
    ``over``: it ends with them."""

    __slots__ = ("acting", "expected", "fixed", "flying", "over", "since", "tokens")

    def __init__(self, tokens: int, fixed: Fixed, since: float) -> None:
        self.tokens = tokens
        self.fixed = fixed
        self.flying = 0
        self.acting = False
        self.expected = 0.0
        self.over = False
        self.since = since


class Program:
    """One run. ``admitted`` is since when it may take turns, ``None`` while it is held back, then ``held`` says since
    when.

    ``turns`` counts its ended turns, ``flying`` those that run, ``quiet`` is since when none does. ``remaining`` is how
    much work is left, as far as anybody knows, in a unit that is the same for all programs.
    """

    __slots__ = (
        "admitted",
        "arrived",
        "flying",
        "held",
        "id",
        "number",
        "priority",
        "quiet",
        "remaining",
        "sessions",
        "tickets",
        "turns",
    )

    def __init__(self, id: str, number: int, now: float, priority: int) -> None:  # noqa: A002 - the field's name
        self.id = id
        self.number = number
        self.priority = priority
        self.arrived = self.quiet = self.held = now
        self.admitted: float | None = None
        self.sessions: dict[str, Session] = {}
        self.tickets: list[Ticket] = []
        self.turns = 0
        self.flying = 0
        self.remaining: float | None = None

    def weight(self, one: Session, now: float, decay: Decay) -> float:
        """How much of a session counts: all of it while it runs, less the longer it does not."""
        if one.flying:
            return 1.0
        if one.acting:
            return decay.weight(max(now - one.since, one.expected), decay.acting)
        if not self.flying:
            return decay.weight(now - max(self.quiet, one.since), decay.acting)
        return decay.weight(now - one.since, decay.waiting)


class Ticket:
    """A turn that waits for its place, ``since`` then. ``state`` becomes ``granted`` when it may go."""

    __slots__ = ("fixed", "need", "program", "session", "since", "state")

    def __init__(self, program: Program, session: str, need: int, fixed: Fixed, since: float) -> None:
        self.program = program
        self.session = session
        self.need = need
        self.fixed = fixed
        self.since = since
        self.state: TicketState = "held"

    def __repr__(self) -> str:
        return f"<Ticket {self.program.id} {self.session}: {self.need} tokens, {self.state}>"


class Load:
    """Tokens that count at one instant; a shared prompt once, at the weight of whoever holds most of it."""

    __slots__ = ("_shared", "tokens")

    def __init__(self) -> None:
        self.tokens = 0.0
        self._shared: dict[Hashable, float] = {}

    def add(self, tokens: int, fixed: Fixed, weight: float) -> None:
        """Count ``weight`` of a context."""
        self.tokens += max(0, tokens - fixed.tokens) * weight
        if fixed.tokens:
            share = fixed.tokens * weight
            more = share - self._shared.get(fixed.key, 0.0)
            if more > 0:
                self._shared[fixed.key] = share
                self.tokens += more

    def copy(self) -> Load:
        """One that can be added to while this stays."""
        other = Load()
        other.tokens = self.tokens
        other._shared = self._shared.copy()
        return other

    def add_program(self, program: Program, now: float, decay: Decay, *, every: bool) -> None:
        """Count ``every`` session that a program holds, or only those that run."""
        for one in program.sessions.values():
            if every or one.flying:
                weight = program.weight(one, now, decay)
                if weight:
                    self.add(one.tokens, one.fixed, weight)

    def add_ticket(self, ticket: Ticket, now: float, decay: Decay) -> None:
        """Count what its program would hold if it went."""
        program = ticket.program
        for name, one in program.sessions.items():
            if name != ticket.session:
                weight = 1.0 if one.flying else _beside(one, now, decay)
                if weight:
                    self.add(one.tokens, one.fixed, weight)
        self.add(ticket.need, ticket.fixed, 1.0)


def _beside(one: Session, now: float, decay: Decay) -> float:
    """The weight of a session while another turn of its program runs."""
    if one.acting:
        return decay.weight(max(now - one.since, one.expected), decay.acting)
    return decay.weight(now - one.since, decay.waiting)
