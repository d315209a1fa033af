"""Which programs may take their next turn when the contexts of all of them do not fit the pool. Pure: no clock, no IO.

A *program* (one run) is admitted or held back as a whole: an admitted one takes its turns, a held one takes none, while
its tools and plain steps go on::

    ask -- fits -----------------------> goes          done, acting, leave, resize, tick:
     |                                    ^            whoever fits now goes, in order
     +---- does not fit -> a ticket ------+

Why nobody waits for ever is shown in ``docs/design/admission.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from heapq import nsmallest
from typing import Final

from agentrt.errors import ConfigError
from agentrt.kvcache.admission.claims import NOTHING_FIXED, Decay, Fixed, Load, Program, Ticket, TicketState
from agentrt.kvcache.admission.orders import ORDERS
from agentrt.kvcache.admission.roster import Roster

LOOK_AHEAD: Final = 8
"""How many held programs, in order, are tried for one that fits the room that is left."""

BEAT: Final = 0.25
"""Seconds between two looks at held programs while nothing happens: claims fade by time alone."""


class Admission:
    """Holds back whole programs at turn boundaries, so that the contexts of those that run fit the pool.

    ``pool`` is the engine's device tier in tokens and ``host`` its second tier; while ``pool`` is 0, unknown, every
    turn goes. ``share`` of the pool, less ``reserve`` tokens, may be filled; a program that enters leaves ``headroom``
    of that free for the growth of those that run. A turn that no longer fits holds back its own program, no other.
    ``order`` names which held program goes first (see ``orders``). ``patience``: after so many seconds a held program
    goes before all others, room is kept for it, and those that have been admitted for as long make room.

    From a host tier paused contexts come back cheaply, so with one more is let in: the share grows by ``spill`` for
    each pool's worth of host, and claims fade faster, up to two pools' worth.

    Verbs take the present time in seconds and give the tickets that may go now.
    """

    def __init__(
        self,
        pool: int = 0,
        *,
        host: int = 0,
        share: float = 1.0,
        reserve: int = 0,
        headroom: float = 0.1,
        spill: float = 0.25,
        order: str = "remaining",
        patience: float = 240.0,
        decay: Decay | None = None,
    ) -> None:
        """Raises ``ConfigError`` for an order there is not, and for numbers out of bounds."""
        if order not in ORDERS:
            raise ConfigError(f"admission order {order!r}: expected one of {', '.join(ORDERS)}")
        if min(share, patience) <= 0 or min(reserve, spill) < 0 or not 0 <= headroom < 1:
            raise ConfigError(
                f"admission share={share}, patience={patience}, reserve={reserve}, spill={spill}, headroom={headroom}: "
                f"expected the first two above 0, the next two not below, the last from 0 up to 1"
            )
        self._share, self._spill, self._reserve, self._headroom = share, spill, reserve, headroom
        self._order = ORDERS[order]
        self._patience = patience
        self._slowest = self._decay = decay or Decay()
        self._roster = Roster()
        self._held: dict[Ticket, None] = {}
        self.capacity = float("inf")
        self.resize(pool, 0.0, host=host)

    # -- verbs -----------------------------------------------------------------------------------------------

    def ask(
        self, program: str, session: str, need: int, now: float, *, fixed: Fixed = NOTHING_FIXED, priority: int = 0
    ) -> Ticket | None:
        """A turn would like to go; at its end its context will have ``need`` tokens. ``None``: it may, now."""
        roster = self._roster
        asking = roster.programs.get(program) or roster.program(program, now, priority)
        need = max(need, fixed.tokens)
        if not self._held and roster.with_(asking, session, need, fixed) <= self.capacity:
            roster.admit(asking, now)
            roster.board(asking, session, need, fixed, now)
            return None
        ticket = Ticket(asking, session, need, fixed, now)
        if not asking.tickets:
            asking.held = now
        asking.tickets.append(ticket)
        self._held[ticket] = None
        if self._kept(asking, now) or not self._place(ticket, self._load(now, asking), now):
            return ticket
        return None

    def done(self, program: str, session: str, size: int | None, now: float) -> list[Ticket]:
        """A turn has ended and its context has ``size`` tokens; ``None`` when that is not known, 0 when it never comes
        back."""
        found = self._roster.programs.get(program)
        if found is None or session not in found.sessions:
            return []  # it has left meanwhile
        known = self._roster.known
        self._roster.land(found, session, size, now)
        if found.admitted is not None and self._roster.known >= known and not self._long(now):
            return []  # it keeps what it has
        return self._settle(now)

    def acting(self, program: str, session: str, expected: float, now: float) -> list[Ticket]:
        """A tool runs for the session, for ``expected`` seconds in all as far as is known (0: nothing is)."""
        found = self._roster.programs.get(program)
        one = found.sessions.get(session) if found else None
        if one is None or one.flying:
            return []
        one.acting, one.expected = True, expected
        return self._settle(now) if expected else []

    def expect(self, program: str, remaining: float | None) -> None:
        """How much work a program has left, in any unit that is the same for all, for the order ``remaining``."""
        found = self._roster.programs.get(program)
        if found is not None:
            found.remaining = remaining

    def leave(self, program: str, now: float, *, session: str | None = None) -> list[Ticket]:
        """A program has ended, or one session of it. Turns of it that still wait are cancelled."""
        found = self._roster.programs.get(program)
        if found is None:
            return []
        for ticket in [one for one in found.tickets if session in (None, one.session)]:
            self._forget(ticket, "cancelled")
        if session is None:
            self._roster.remove(found)
        elif session in found.sessions:
            self._roster.end(found, session)
        return self._settle(now)

    def cancel(self, ticket: Ticket, now: float) -> list[Ticket]:
        """Nobody waits for this turn any more. Nothing happens when it has been granted or cancelled already."""
        if ticket.state != "held":
            return []
        self._forget(ticket, "cancelled")
        return self._settle(now)

    def resize(self, pool: int, now: float, *, host: int = 0) -> list[Ticket]:
        """The engine's tiers have these sizes in tokens; ``pool`` 0: unknown, so nobody is held."""
        tiers = min(host / pool, 2.0) if pool else 0.0
        self._decay = replace(self._slowest, acting=self._slowest.acting / (1 + tiers))
        self.capacity = pool * (self._share + self._spill * tiers) - self._reserve if pool else float("inf")
        return self._settle(now)

    def tick(self, now: float) -> list[Ticket]:
        """Time has passed: claims have faded, and patience has run out."""
        return self._settle(now)

    def due(self, now: float) -> float | None:
        """When to ``tick`` next, if nothing else happens before; ``None``: not at all."""
        return now + BEAT if self._held else None

    def size(self, program: str, session: str) -> int:
        """Tokens that a context is known to have; 0 for an unknown one."""
        found = self._roster.programs.get(program)
        one = found.sessions.get(session) if found else None
        return one.tokens if one else 0

    @property
    def held(self) -> int:
        """How many turns wait."""
        return len(self._held)

    # -- decisions -------------------------------------------------------------------------------------------

    def _settle(self, now: float) -> list[Ticket]:
        """Let go whoever may, in order."""
        if not self._held:
            return []
        out: list[Ticket] = []
        for program in self._candidates(now):
            if not self._let_go(program, now, out) and self._aged(program, now):
                break  # what becomes free is kept for it
        return out

    def _candidates(self, now: float) -> list[Program]:
        """Held programs that may go, in order. Where there is no room, only those that have turns running already."""
        full = self._load(now).tokens >= self.capacity * (1 - self._headroom)
        if full and not self._long(now):
            return [one for one in self._roster.active if one.tickets]
        held = {ticket.program: None for ticket in self._held}
        return nsmallest(LOOK_AHEAD, held, key=self._rank(now))

    def _let_go(self, program: Program, now: float, out: list[Ticket]) -> bool:
        """Let as many of its turns go as may; whether none is left."""
        for ticket in list(program.tickets):
            if not self._place(ticket, self._load(now, program), now):
                return False
            out.append(ticket)
        return True

    def _place(self, ticket: Ticket, others: Load, now: float) -> bool:
        """Whether the turn goes now, beside what others hold. Its program is held back when it does not."""
        program = ticket.program
        if self._fits(ticket, others, now) or self._make_room(ticket, now):
            self._roster.admit(program, now)
            program.held = now
            self._forget(ticket, "granted")
            self._roster.board(program, ticket.session, ticket.need, ticket.fixed, now)
            return True
        self._roster.hold(program)
        return False

    def _make_room(self, ticket: Ticket, now: float) -> bool:
        """For a program that has waited long enough, hold back others that have been admitted for as long."""
        program = ticket.program
        if not self._aged(program, now):
            return False
        since = now - self._patience
        others = [one for one in self._roster.active if one is not program and one.admitted is not None]
        yielding = [one for one in others if one.admitted is not None and one.admitted <= since]
        if not self._fits(ticket, self._load(now, program, *yielding), now):
            return False  # in vain: it would not fit
        for one in sorted(yielding, key=self._rank(now), reverse=True):
            self._roster.hold(one)
            if self._fits(ticket, self._load(now, program), now):
                return True
        return False  # not yet: turns of theirs still run

    def _load(self, now: float, *without: Program) -> Load:
        """What all hold but those."""
        load = Load()
        for one in self._roster.active:
            if one not in without:
                load.add_program(one, now, self._decay, every=one.admitted is not None)
        return load

    def _fits(self, ticket: Ticket, others: Load, now: float) -> bool:
        """Whether it fits beside what others hold; alone, anything does."""
        if not others.tokens:
            return True
        load = others.copy()
        load.add_ticket(ticket, now, self._decay)
        entering = ticket.program.admitted is None
        return load.tokens <= self.capacity * (1 - self._headroom if entering else 1)

    def _rank(self, now: float) -> Callable[[Program], tuple[float, ...]]:
        def rank(program: Program) -> tuple[float, ...]:
            if self._aged(program, now):
                return (0, program.held, program.number)
            return (1, -program.priority, self._order(program), program.number)

        return rank

    def _aged(self, program: Program, now: float) -> bool:
        """Whether it has been held for long enough."""
        return bool(program.tickets) and now - program.held >= self._patience

    def _long(self, now: float) -> bool:
        """Whether anybody may have been held for long enough: the first to ask may."""
        first = next(iter(self._held), None)
        return first is not None and now - first.since >= self._patience

    def _kept(self, asking: Program, now: float) -> bool:
        """Whether what is free is kept for another program than this one, which would enter."""
        if asking.admitted is not None or not self._long(now):
            return False
        return any(one is not asking and self._aged(one, now) for one in {ticket.program for ticket in self._held})

    def _forget(self, ticket: Ticket, state: TicketState) -> None:
        ticket.state = state
        ticket.program.tickets.remove(ticket)
        del self._held[ticket]
