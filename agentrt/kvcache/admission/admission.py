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
    of that free for the growth of those that run. ``order`` names who goes first, and last loses its place (see
    ``orders``). ``patience``: after so many seconds a held program goes before all others, room is kept for it, and
    those that have been admitted for as long make room.

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
        order: str = "smallest",
        patience: float = 120.0,
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
        if not self._held:
            one = asking.sessions.get(session)
            if roster.known + need - (one.tokens if one is not None else 0) <= self.capacity:
                if asking.admitted is None:
                    asking.admitted = now
                roster.board(asking, session, need, fixed, now)
                return None
        ticket = Ticket(asking, session, need, fixed)
        if not asking.tickets:
            asking.held = now
        asking.tickets.append(ticket)
        self._held[ticket] = None
        if not self._kept(asking, now) and self._place(ticket, now):
            return None
        return ticket

    def done(self, program: str, session: str, size: int | None, now: float) -> list[Ticket]:
        """A turn has ended and its context has ``size`` tokens; ``None`` when that is not known, 0 when it never comes
        back."""
        found = self._roster.programs.get(program)
        if found is None or session not in found.sessions:
            return []  # it has left meanwhile
        self._roster.land(found, session, size, now)
        return self._settle(now)

    def acting(self, program: str, session: str, expected: float, now: float) -> list[Ticket]:
        """A tool runs for the session, for ``expected`` seconds in all as far as is known (0: nothing is)."""
        found = self._roster.programs.get(program)
        one = found.sessions.get(session) if found else None
        if one is None or one.flying:
            return []
        one.acting, one.expected = True, expected
        return self._settle(now)

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

    @property
    def held(self) -> int:
        """How many turns wait."""
        return len(self._held)

    # -- decisions -------------------------------------------------------------------------------------------

    def _settle(self, now: float) -> list[Ticket]:
        """Let go whoever may: turns of admitted programs first, then held programs in order."""
        if not self._held:
            return []
        out: list[Ticket] = []
        waiting = {ticket.program: None for ticket in self._held}
        admitted = sorted((one for one in waiting if one.admitted is not None), key=self._rank(now))
        for program in admitted:
            if not self._let_go(program, now, out) and program.admitted is not None:
                return out  # what becomes free is its, as it is admitted
        left = sorted((one for one in waiting if one.admitted is None and one.tickets), key=self._rank(now))
        for program in left[:LOOK_AHEAD]:
            if not self._let_go(program, now, out) and self._aged(program, now):
                break  # what becomes free is kept for it
        return out

    def _let_go(self, program: Program, now: float, out: list[Ticket]) -> bool:
        """Let as many of its turns go as may; whether none is left."""
        for ticket in list(program.tickets):
            if not self._place(ticket, now):
                return False
            out.append(ticket)
        return True

    def _place(self, ticket: Ticket, now: float) -> bool:
        """Whether the turn goes now; others may have to yield for it, or its own program to others."""
        program = ticket.program
        others = [one for one in self._roster.programs.values() if one is not program and _counts(one)]
        if self._fits(ticket, others, now):
            self._grant(ticket, now)
            return True
        yielding = self._yielding(program, others, now)
        staying = [one for one in others if one not in yielding]
        if not self._fits(ticket, staying, now):
            if program.admitted is not None:
                self._hold_back(program, now)
            return False
        for one in yielding:
            self._hold_back(one, now)
            if self._fits(ticket, [one for one in others if _counts(one)], now):
                self._grant(ticket, now)
                return True
        return False  # those that yield have turns that still run

    def _fits(self, ticket: Ticket, others: list[Program], now: float) -> bool:
        """Whether it fits beside those others; alone, anything does."""
        load = Load()
        for one in others:
            load.add_program(one, now, self._decay)
        if not load.tokens:
            return True
        load.add_ticket(ticket, now, self._decay)
        entering = ticket.program.admitted is None
        return load.tokens <= self.capacity * (1 - self._headroom if entering else 1)

    def _yielding(self, program: Program, others: list[Program], now: float) -> list[Program]:
        """Which admitted programs make room for this one, the last in order first."""
        rank = self._rank(now)
        admitted = [one for one in others if one.admitted is not None]
        if program.admitted is not None:
            mine = rank(program)
            found = [one for one in admitted if rank(one) > mine]
        elif self._aged(program, now):
            found = [one for one in admitted if one.favoured <= now and now - (one.admitted or 0.0) >= self._patience]
        else:
            return []
        return sorted(found, key=rank, reverse=True)

    def _rank(self, now: float) -> Callable[[Program], tuple[float, ...]]:
        def rank(program: Program) -> tuple[float, ...]:
            if program.admitted is None and self._aged(program, now):
                return (0, program.held, program.number)
            if program.admitted is not None and program.favoured > now:
                return (0, program.admitted, program.number)
            return (1, -program.priority, self._order(program), program.number)

        return rank

    def _aged(self, program: Program, now: float) -> bool:
        return bool(program.tickets) and now - program.held >= self._patience

    def _kept(self, asking: Program, now: float) -> bool:
        """Whether the room that is left is kept for others, who were first."""
        if asking.admitted is not None:
            return False
        programs = (ticket.program for ticket in self._held)
        return any(one is not asking and (one.admitted is not None or self._aged(one, now)) for one in programs)

    # -- changes ---------------------------------------------------------------------------------------------

    def _grant(self, ticket: Ticket, now: float) -> None:
        program = ticket.program
        if program.admitted is None:
            if self._aged(program, now):
                program.favoured = now + self._patience
            program.admitted = now
        self._forget(ticket, "granted")
        program.held = now
        self._roster.board(program, ticket.session, ticket.need, ticket.fixed, now)

    def _hold_back(self, program: Program, now: float) -> None:
        program.admitted = None
        program.held = now

    def _forget(self, ticket: Ticket, state: TicketState) -> None:
        ticket.state = state
        ticket.program.tickets.remove(ticket)
        del self._held[ticket]


def _counts(program: Program) -> bool:
    """Whether it holds, or may hold, anything of the pool."""
    return program.admitted is not None or program.flying > 0
