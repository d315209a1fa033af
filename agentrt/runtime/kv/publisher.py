"""Tells one engine what has changed: asks the policy, compares with what was told last, sends the difference.

Events only mark a run as moved. A little later, one pass asks the policy about the contexts of the runs that moved,
and what differs leaves in one batch. So the cost follows the changes, not the events, and a burst costs one request.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import Context as Variables
from typing import Final

from agentrt.executors.hinting import HintChannel
from agentrt.kvcache.contexts import Context, World
from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.hints import PROTOCOL, Capability, Hint, batches
from agentrt.kvcache.policies import Policy
from agentrt.runtime.kv.book import Book
from agentrt.runtime.kv.prefixes import Prefixes
from agentrt.runtime.kv.tracker import Tracker

_log = logging.getLogger("agentrt")

SOON: Final = 0.05
"""Seconds that news may wait for more, so that a step that ends and the one that follows make one batch."""

SWEEP: Final = 2.0
"""Seconds between looks at runs whose tools run: then time alone changes what is expected."""

RENEW: Final = 10.0
"""Seconds after which a run is looked at in any case, so that what was told of it does not run out."""

SHARE: Final = 0.05
"""Of one core's time, for looking: after a look at very many contexts the next one waits for longer."""

SETBACK: Final = 5.0
"""Seconds without trying after the engine could not be told."""

MAX_UNSAID: Final = 4096
"""Ends of sessions that are said again after the engine could not be told."""

FAREWELL: Final = 1.0
"""Seconds that closing waits for the last words."""


class Publisher:
    """One engine's publisher.

    ``spent`` adds up the CPU seconds of finding out what to tell; sending is not in it. ``stopped``: it tells nothing
    any more. ``resized`` is called with the sizes of the tiers when another engine has taken its place, ``told`` with
    what the engine has taken.
    """

    def __init__(
        self,
        model: str,
        channel: HintChannel,
        policy: Policy,
        estimators: Estimators,
        *,
        tenant: str = "",
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
        resized: Callable[[int, int], None] = lambda pool, host: None,
        told: Callable[[Sequence[Hint]], None] = lambda hints: None,
    ) -> None:
        self.capability = Capability()
        self.stopped = False
        self.spent = 0.0
        self._model = model
        self._channel = channel
        self._policy = policy
        self._estimators = estimators
        self._clock = clock
        self._trackers: set[Tracker] = set()
        self._moved: set[Tracker] = set()
        self._looked: dict[Tracker, float] = {}
        self._book = Book(policy.name, tenant, wall)
        self._unsaid: list[Hint] = []
        self._resized = resized
        self._told = told
        self._prefixes = Prefixes(channel)
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._rests = -math.inf
        self._silent = -math.inf
        self._failing = False

    def follow(self, tracker: Tracker) -> None:
        """Have the contexts of a run in view from now on."""
        if tracker not in self._trackers and not self.stopped:
            self._trackers.add(tracker)
            self.moved(tracker, False)

    def moved(self, tracker: Tracker, urgent: bool) -> None:
        """Something of that run may have changed; ``urgent`` does not wait for more."""
        if tracker in self._trackers and not self.stopped:
            self._moved.add(tracker)
            self._look_in(0.0 if urgent else SOON)

    async def close(self) -> None:
        """Tell what is left to tell, within a second, and stop."""
        await self._prefixes.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                if self._sending is not None:
                    await asyncio.shield(self._sending)
                self._pass()
                if self._sending is not None:
                    await self._sending
        self._stop()
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)

    def _stop(self) -> None:
        """Tell nothing any more, and keep nothing of any run."""
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for kept in (self._trackers, self._moved, self._looked, self._book.told, self._unsaid):
            kept.clear()

    # -- when to tell ----------------------------------------------------------------------------------------

    def _look_in(self, seconds: float) -> None:
        """Have a pass then, or sooner if one is due; while something is being sent it waits for that."""
        if self._sending is not None or self.stopped:
            return
        loop = asyncio.get_running_loop()
        at = max(loop.time() + seconds, self._silent)
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = loop.call_at(at, self._pass, context=Variables())  # of no step: it would keep its run alive

    def _pass(self) -> None:
        """Collect what has changed and begin to send it."""
        self._timer = None
        if self.stopped:
            return
        began = time.thread_time()
        try:
            hints = self._collect()
        except Exception:  # noqa: BLE001 - a policy may be anybody's; hints never end a run
            _log.exception("hints to model %r: the policy failed; runs go on without hints", self._model)
            self._stop()
            return
        self.spent += time.thread_time() - began
        if hints:
            self._sending = asyncio.get_running_loop().create_task(self._send(hints), context=Variables())
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Have the next pass when there may be something to tell."""
        if self._moved:
            self._look_in(max(SOON, self._rests - asyncio.get_running_loop().time()))
        elif self._restless:
            self._look_in(SWEEP)

    async def _send(self, hints: list[Hint]) -> None:
        try:
            for batch in batches(hints):
                await self._channel.send(batch)
                self._told(batch)
            capability = await self._channel.capability()
        except Exception as error:  # noqa: BLE001 - a channel may be anybody's; hints never end a run
            self._unheard(hints, error)
        else:
            self._failing = False
            if capability != self.capability:
                self._meet(capability)
        finally:
            self._sending = None
        self._go_on()

    def _unheard(self, hints: list[Hint], error: Exception) -> None:
        """Try again later: ends as they were, all else anew."""
        level = logging.DEBUG if self._failing else logging.WARNING  # once is enough, until it hears again
        _log.log(level, "hints to model %r: %s; trying again every %g s", self._model, error, SETBACK)
        self._failing = True
        self._unsaid = [hint for hint in hints if hint.ended][-MAX_UNSAID:]
        self._silent = asyncio.get_running_loop().time() + SETBACK
        self._prefixes.forget(all=False)
        self._anew()

    def _meet(self, capability: Capability) -> None:
        """Another engine answers, as after a restart; it has heard nothing yet."""
        self.capability = capability
        self._resized(capability.pool, capability.host)
        self._prefixes.forget(all=True)
        self._anew()

    def _anew(self) -> None:
        """Tell everything once more."""
        self._book.anew()
        self._moved |= self._trackers

    @property
    def _restless(self) -> bool:
        """Whether time alone changes what is expected, or what was told runs out."""
        return bool(self._trackers or self._unsaid)

    # -- what to tell ----------------------------------------------------------------------------------------

    def _collect(self) -> list[Hint]:
        """The hints that say what has changed, ends first."""
        now = self._clock()
        self._moved |= self._due(now)
        hints, self._unsaid = self._unsaid, []
        hints += [hint for tracker in self._moved for hint in self._endings(tracker)]
        for tracker in [one for one in self._trackers if one.over]:
            self._trackers.discard(tracker)
            self._moved.discard(tracker)
            self._looked.pop(tracker, None)
        if self.capability.protocol != PROTOCOL:
            self._moved.clear()
        elif asyncio.get_running_loop().time() >= self._rests:
            hints += self._changes(now)
        return hints

    def _changes(self, now: float) -> list[Hint]:
        """What the policy says now and did not say before, of the runs that moved."""
        began = time.thread_time()
        moved, self._moved = self._moved, set()
        self._looked |= dict.fromkeys(moved, now)
        world = self._world(now)
        found = [self._hint(context, world, one) for one in moved for context in one.contexts(self._model)]
        self._rests = asyncio.get_running_loop().time() + (time.thread_time() - began) / SHARE
        return [hint for hint in found if hint is not None]

    def _due(self, now: float) -> set[Tracker]:
        """The runs to look at although nothing happened in them, however much happens in others."""
        quiet = {one: now - self._looked.get(one, now) for one in self._trackers}
        return {one for one, since in quiet.items() if since > SWEEP - SOON and (one.idle or since > RENEW)}

    def _endings(self, tracker: Tracker) -> list[Hint]:
        mine = [subject for model, subject in tracker.ended if model == self._model]
        tracker.ended = [one for one in tracker.ended if one[0] != self._model]
        return [hint for hint in map(self._book.ended, mine) if hint is not None]

    def _hint(self, context: Context, world: World, tracker: Tracker) -> Hint | None:
        prefix: tuple[int, ...] = ()
        if context.subject.kind == "agent":
            prefix = self._prefixes.of(tracker.prompts[context.subject], lambda: self.moved(tracker, False))
            if not prefix:
                return None
        return self._book.news(context, self._policy.advise(context, world), prefix, world.now)

    def _world(self, now: float) -> World:
        size = sum(tracker.tokens(self._model) for tracker in self._trackers)
        pool = self.capability.pool
        return World(now, pool, self.capability.host, size / pool if pool else 0.0, self._estimators)
