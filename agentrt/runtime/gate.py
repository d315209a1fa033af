"""Where model turns wait: for room in the pool, and for another turn that computes the same prefix.

One gate stands before one engine, and all runs' turns for it go through::

    async with gate.turn(request, emit) as turn:
        reply = await executor.execute(request, turn.emit)
        turn.answered(reply)

The decisions are those of the pure cores in ``agentrt.kvcache.admission``; here are the waiting, the timer, and the
sizes that go in. A turn that waits holds its place in its run's lane. Lanes belong to one run and a run is held as a
whole, so it keeps the place from nobody who could use it; its tools and plain steps go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import nullcontext
from typing import Final, Literal, Self, TypeAlias

from agentrt.executors.base import Emit, ignore
from agentrt.kvcache.admission import NOTHING_FIXED, Admission, Chains, Fixed, Gang, Link, Member, Sizes, Ticket
from agentrt.runtime.handle import owner
from agentrt.runtime.limit import off_the_clock
from agentrt.types import ModelReply, ModelRequest

FIXED_LEAST: Final = 64
"""Tokens from which a fixed prompt is counted once for all that share it."""

_MOST_FIXED: Final = 4096

Moment: TypeAlias = Literal["held", "following", "goes"]
"""A turn is held back; it follows another one that computes its prefix; it goes to the engine."""

Watch: TypeAlias = Callable[[ModelRequest, Moment], None]


class Gate:
    """Lets model turns through to one engine.

    Without ``admission`` none is held for room, without ``gang`` none for a prefix. ``expected`` says for how many
    seconds the tools that a reply asks for will run, 0 when nothing is known. ``watch`` is told what becomes of turns.
    """

    def __init__(
        self,
        admission: Admission | None = None,
        gang: Gang | None = None,
        *,
        expected: Callable[[ModelReply], float] | None = None,
        watch: Watch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.admission = admission
        self.gang = gang
        self.chains = Chains()
        self.sizes = Sizes()
        self.clock = clock
        self._expected = expected
        self._watch = watch
        self._sessions: dict[str, set[str]] = {}
        self._fixed: dict[Hashable, Fixed] = {}
        self._waiters: dict[Ticket | Member, asyncio.Future[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def turn(self, request: ModelRequest, emit: Emit = ignore, watch: Callable[[Moment], None] | None = None) -> Turn:
        """A turn that wants to go through; entering it waits until it may. ``watch`` is told what becomes of it.

        Waiting counts against no step's time limit. Cancelled there, it gives its place back at once.
        """
        return Turn(self, request, emit, watch)

    @property
    def waiting(self) -> int:
        """How many turns wait now."""
        return len(self._waiters)

    def leave(self, program: str, session: str | None = None) -> None:
        """A run has ended, or one of its sessions: what it held is free. Call it for every run."""
        if session is not None:
            self._sessions.get(program, set()).discard(session)
        for one in [session] if session is not None else self._sessions.pop(program, ()):
            self.chains.forget(one)
            self.sizes.forget(one)
        if self.admission is not None:
            out = self.admission.leave(program, self.clock(), session=session)
            self.wake(out)
            self.wake([one for one in self._waiters if isinstance(one, Ticket) and one.state == "cancelled"])

    def acting(self, program: str, session: str, expected: float) -> None:
        """A tool runs for the session, for ``expected`` seconds in all, 0 when nothing is known."""
        if self.admission is not None:
            self.wake(self.admission.acting(program, session, expected, self.clock()))

    def expect(self, program: str, remaining: float | None) -> None:
        """How much work a run has left, in any unit that is the same for all; for the order ``remaining``."""
        if self.admission is not None:
            self.admission.expect(program, remaining)

    def resize(self, pool: int, host: int = 0) -> None:
        """The engine's tiers have these sizes in tokens. It may be another engine, so nothing is warm any more."""
        if self.gang is not None:
            self.gang.forget()
        if self.admission is not None:
            self.wake(self.admission.resize(pool, self.clock(), host=host))

    # -- for turns -------------------------------------------------------------------------------------------

    def joined(self, program: str, session: str) -> None:
        """Note whose session it is, to forget it with its run."""
        self._sessions.setdefault(program, set()).add(session)

    def learned(self, request: ModelRequest, session: str, characters: int, reply: ModelReply) -> int | None:
        """Learn from an answer how many tokens the session has now, and remember it unless that is over meanwhile."""
        size = self.sizes.learn(session, request.agent, characters, reply)
        if session not in self._sessions.get(request.run, ()):
            self.sizes.forget(session)
        return size

    def fixed(self, request: ModelRequest, chain: Sequence[Link]) -> Fixed:
        """What every session of the agent begins with: its tools and its system prompt."""
        if not chain or request.messages[0].role != "system":
            return NOTHING_FIXED
        known = self._fixed.get(chain[0].key)
        if known is None:  # guessed once: all that share it have to agree on its size
            if len(self._fixed) >= _MOST_FIXED:
                self._fixed.clear()
            tokens = self.sizes.tokens(chain[0].size)
            known = Fixed(chain[0].key, tokens) if tokens >= FIXED_LEAST else NOTHING_FIXED
            self._fixed[chain[0].key] = known
        return known

    def told(self, request: ModelRequest, moment: Moment) -> None:
        """Tell the watcher."""
        if self._watch is not None:
            self._watch(request, moment)

    def seconds(self, reply: ModelReply) -> float:
        """How long the tools of a reply will run."""
        return self._expected(reply) if self._expected is not None else 0.0

    async def wait(self, one: Ticket | Member) -> None:
        """Wait until it is woken."""
        future = self._waiters[one] = asyncio.get_running_loop().create_future()
        self._arm()
        handle = owner.get(None)
        try:
            with nullcontext() if handle is None else off_the_clock(handle):
                await future
        finally:
            self._waiters.pop(one, None)
            self._arm()

    def wake(self, these: Iterable[Ticket | Member]) -> None:
        """Let those go that wait for it."""
        for one in these:
            future = self._waiters.get(one)
            if future is not None and not future.done():
                future.set_result(None)

    # -- time ------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Have a timer while somebody waits, at the next moment at which time alone may change something."""
        if not self._waiters:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            return
        now = self.clock()
        due = [self.admission.due(now) if self.admission else None, self.gang.due() if self.gang else None]
        soonest = min((at for at in due if at is not None), default=None)
        if soonest is None:  # those that wait have been woken
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + max(0.0, soonest - now)
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = loop.call_at(at, self._beat)

    def _beat(self) -> None:
        self._timer = None
        now = self.clock()
        if self.admission is not None:
            self.wake(self.admission.tick(now))
        if self.gang is not None:
            self.wake(self.gang.tick(now))
        self._arm()


class Turn:
    """One turn at the gate. While it is entered, it runs; ``emit`` takes the pieces of its text."""

    __slots__ = (
        "_answer",
        "_before",
        "_characters",
        "_emit",
        "_gate",
        "_member",
        "_session",
        "_watch",
        "emit",
        "request",
    )

    def __init__(self, gate: Gate, request: ModelRequest, emit: Emit, watch: Callable[[Moment], None] | None) -> None:
        self.request = request
        self.emit = self._emit = emit
        self._gate = gate
        self._watch = watch
        self._session = request.session or request.step
        self._characters = 0
        self._before = 0
        self._member: Member | None = None
        self._answer: ModelReply | None = None

    def answered(self, reply: ModelReply) -> None:
        """The engine's answer; a turn that ends without has failed."""
        self._answer = reply

    async def __aenter__(self) -> Self:
        chain = self._gate.chains.of(self.request)
        self._characters = chain[-1].size if chain else 0
        self._gate.joined(self.request.run, self._session)
        if self._gate.admission is not None:
            await self._admitted(self._gate.admission, chain)
        try:
            if self._gate.gang is not None:
                await self._together(self._gate.gang, chain)
            self._told("goes")
        except BaseException:
            self._over()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._over()

    async def _admitted(self, admission: Admission, chain: Sequence[Link]) -> None:
        gate, request = self._gate, self.request
        self._before = admission.size(request.run, self._session)
        ticket = admission.ask(
            request.run,
            self._session,
            self._need(),
            gate.clock(),
            fixed=gate.fixed(request, chain),
            priority=request.priority,
        )
        if ticket is None:
            return
        self._told("held")
        try:
            await gate.wait(ticket)
        except BaseException:
            if ticket.state == "granted":
                self._over()
            else:
                gate.wake(admission.cancel(ticket, gate.clock()))
            raise

    async def _together(self, gang: Gang, chain: Sequence[Link]) -> None:
        gate = self._gate
        self._member = member = gang.ask(chain, gate.clock())
        if member is None:
            return
        if member.waits:
            self._told("following")
            await gate.wait(member)
        self.emit = self._first

    def _told(self, moment: Moment) -> None:
        self._gate.told(self.request, moment)
        if self._watch is not None:
            self._watch(moment)

    def _first(self, text: str) -> None:
        """A piece of text, so the prompt has been computed."""
        self._warmed()
        if text:
            self._emit(text)

    def _warmed(self) -> None:
        gang, member = self._gate.gang, self._member
        if gang is not None and member is not None:
            self._member = None
            self._gate.wake(gang.warmed(member, self._gate.clock()))

    def _over(self) -> None:
        """The turn has ended, well or not: others may go."""
        gate, answer = self._gate, self._answer
        if answer is not None:
            self._warmed()
        elif gate.gang is not None and self._member is not None:
            gate.wake(gate.gang.ended(self._member, gate.clock()))
        if gate.admission is not None:
            gate.wake(gate.admission.done(self.request.run, self._session, self._size(answer), gate.clock()))
            if answer is not None and answer.tool_calls:
                gate.acting(self.request.run, self._session, gate.seconds(answer))

    def _need(self) -> int:
        sizes, request = self._gate.sizes, self.request
        return sizes.prompt(self._session, self._characters) + sizes.reply(request.agent, request.sampling.max_tokens)

    def _size(self, answer: ModelReply | None) -> int | None:
        """Tokens of the context now: as before when the turn failed, none when nothing of it comes back."""
        if answer is None:
            return self._before
        size = self._gate.learned(self.request, self._session, self._characters, answer)
        return 0 if self.request.session is None else size
