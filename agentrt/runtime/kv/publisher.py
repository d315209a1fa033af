"""Tells one engine what has changed: asks the policy, compares with what was told last, sends the difference.

Events only mark a run as moved. A little later, one pass asks the policy about the contexts of the runs that moved,
and what differs leaves in one batch. So the cost follows the changes, not the events, and a burst costs one request.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from agentrt.errors import ExecutorError
from agentrt.executors.hinting import HintChannel
from agentrt.kvcache.contexts import Advice, Context, World
from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.hints import PROTOCOL, Capability, Hint, Subject, batches
from agentrt.kvcache.policies import Policy
from agentrt.runtime.kv.tracker import Prompt, Tracker

_log = logging.getLogger("agentrt")

SOON: Final = 0.05
"""Seconds that news may wait for more, so that a step that ends and the one that follows make one batch."""

SWEEP: Final = 2.0
"""Seconds between looks at runs whose tools run: then time alone changes what is expected."""

RENEW: Final = 10.0
"""Seconds after which a run is looked at in any case, so that what was told of it does not run out."""

SETBACK: Final = 5.0
"""Seconds without trying after the engine could not be told."""

MAX_UNSAID: Final = 4096
"""Ends of sessions that are said again after the engine could not be told."""

FAREWELL: Final = 1.0
"""Seconds that closing waits for the last words."""


class Told:
    """What the engine was told of a subject last, and when."""

    __slots__ = ("advice", "at", "generation")

    def __init__(self) -> None:
        self.advice: Advice | None = None
        self.at = -math.inf
        self.generation = 0


class Publisher:
    """One engine's publisher. ``spent`` adds up the CPU seconds of finding out what to tell; sending is not in it."""

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
    ) -> None:
        self.capability = Capability()
        self.spent = 0.0
        self._model = model
        self._channel = channel
        self._policy = policy
        self._estimators = estimators
        self._tenant = tenant
        self._clock = clock
        self._wall = wall
        self._trackers: set[Tracker] = set()
        self._moved: set[Tracker] = set()
        self._looked: dict[Tracker, float] = {}
        self._told: dict[Subject, Told] = {}
        self._unsaid: list[Hint] = []
        self._prefixes: dict[tuple[object, ...], tuple[int, ...] | None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[None] | None = None
        self._fetching: set[asyncio.Task[None]] = set()
        self._stopped = False

    def follow(self, tracker: Tracker) -> None:
        """Have the contexts of a run in view from now on."""
        if tracker not in self._trackers:
            self._trackers.add(tracker)
            self.moved(tracker, False)

    def moved(self, tracker: Tracker, urgent: bool) -> None:
        """Something of that run may have changed; ``urgent`` does not wait for more."""
        if tracker in self._trackers and not self._stopped:
            self._moved.add(tracker)
            self._look_in(0.0 if urgent else SOON)

    async def close(self) -> None:
        """Tell what is left to tell, within a second, and stop."""
        for task in self._fetching:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                if self._sending is not None:
                    await asyncio.shield(self._sending)
                self._pass()
                if self._sending is not None:
                    await self._sending
        self._stopped = True
        left = [*self._fetching, *([self._sending] if self._sending is not None else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()

    # -- when to tell ----------------------------------------------------------------------------------------

    def _look_in(self, seconds: float) -> None:
        """Have a pass then, or sooner if one is due; while something is being sent it waits for that."""
        if self._sending is not None:
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._pass)

    def _pass(self) -> None:
        """Collect what has changed and begin to send it."""
        self._timer = None
        began = time.thread_time()
        try:
            hints = self._collect()
        except Exception:  # noqa: BLE001 - a policy may be anybody's; hints never end a run
            _log.exception("hints to model %r: the policy failed; runs go on without hints", self._model)
            self._stopped = True
            return
        self.spent += time.thread_time() - began
        if hints:
            self._sending = asyncio.get_running_loop().create_task(self._send(hints))
        elif self._restless:
            self._look_in(SWEEP)

    async def _send(self, hints: list[Hint]) -> None:
        failed = False
        try:
            for batch in batches(hints):
                await self._channel.send(batch)
        except ExecutorError as error:
            _log.warning("hints to model %r: %s; trying again in %g s", self._model, error, SETBACK)
            self._told.clear()
            self._unsaid = [hint for hint in hints if hint.ended][-MAX_UNSAID:]
            failed = True
        finally:
            self._sending = None
        if failed:
            self._look_in(SETBACK)
        elif self._moved:
            self._look_in(SOON)
        elif self._restless:
            self._look_in(SWEEP)

    @property
    def _restless(self) -> bool:
        """Whether time alone changes what is expected, or what was told runs out."""
        return bool(self._trackers)

    # -- what to tell ----------------------------------------------------------------------------------------

    def _collect(self) -> list[Hint]:
        """The hints that say what has changed, ends first."""
        now = self._clock()
        moved, self._moved = self._moved | self._due(now), set()
        hints, self._unsaid = self._unsaid, []
        hints += [hint for tracker in moved for hint in self._endings(tracker)]
        if self.capability.protocol == PROTOCOL:
            world = self._world(now)
            for tracker in moved:
                self._looked[tracker] = now
                for context in () if tracker.over else tracker.contexts(self._model):
                    hint = self._hint(context, world, tracker)
                    if hint is not None:
                        hints.append(hint)
        for tracker in [one for one in self._trackers if one.over]:
            self._trackers.discard(tracker)
            self._looked.pop(tracker, None)
        return hints

    def _due(self, now: float) -> set[Tracker]:
        """The runs to look at although nothing happened in them, however much happens in others."""
        quiet = {one: now - self._looked.get(one, now) for one in self._trackers}
        return {one for one, since in quiet.items() if since > SWEEP - SOON and (one.idle or since > RENEW)}

    def _endings(self, tracker: Tracker) -> Iterable[Hint]:
        mine = [subject for model, subject in tracker.ended if model == self._model]
        tracker.ended = [one for one in tracker.ended if one[0] != self._model]
        for subject in mine:
            told = self._told.pop(subject, None)
            generation = self._next(told)
            if subject.kind == "session":
                yield Hint(subject=subject, generation=generation, tenant=self._tenant, ended=True)
            elif told is not None:
                yield Hint(subject=subject, generation=generation, tenant=self._tenant, keep=0.0)

    def _hint(self, context: Context, world: World, tracker: Tracker) -> Hint | None:
        prefix: tuple[int, ...] = ()
        if context.subject.kind == "agent":
            found = self._prefix(tracker.prompts[context.agent], tracker)
            if not found:
                return None
            prefix = found
        advice = self._policy.advise(context, world)
        told = self._told.setdefault(context.subject, Told())
        if not self._differs(told, advice, world.now):
            return None
        first = told.advice is None
        told.advice, told.at, told.generation = advice, world.now, self._next(told)
        return self._as_hint(context, advice, told.generation, prefix if first else ())

    def _as_hint(self, context: Context, advice: Advice | None, generation: int, prefix: tuple[int, ...]) -> Hint:
        if advice is None:
            return Hint(subject=context.subject, generation=generation, tenant=self._tenant, keep=0.0)
        tool = context.tools[0] if context.tools else None
        return Hint(
            subject=context.subject,
            generation=generation,
            tenant=self._tenant,
            agent=context.agent,
            keep=advice.keep,
            priority=advice.priority,
            steps=advice.steps,
            remaining=advice.remaining,
            tool=f"{tool.name} {tool.word}".strip() if tool else "",
            elapsed=tool.elapsed if tool else 0.0,
            prefetch=advice.prefetch,
            prefix=prefix,
        )

    def _differs(self, told: Told, advice: Advice | None, now: float) -> bool:
        """Whether the engine's order could change by it; what time alone changes the engine counts down itself."""
        last = told.advice
        if last is None or advice is None:
            return last is not advice
        if (last.priority, last.steps) != (advice.priority, advice.steps):
            return True
        if advice.prefetch and not last.prefetch:
            return True
        if now - told.at > last.keep / 2:
            return True
        return _moved_on(last.remaining, advice.remaining, now - told.at)

    def _next(self, told: Told | None) -> int:
        """A generation newer than any before, of this process or an earlier one: the time of day in microseconds."""
        return max(int(self._wall() * 1e6), told.generation + 1 if told else 0)

    def _world(self, now: float) -> World:
        size = sum(tracker.tokens(self._model) for tracker in self._trackers)
        pool = self.capability.pool
        return World(now, pool, self.capability.host, size / pool if pool else 0.0, self._estimators)

    # -- fixed prompts ---------------------------------------------------------------------------------------

    def _prefix(self, prompt: Prompt, tracker: Tracker) -> tuple[int, ...] | None:
        """The tokens of a fixed prompt, once they are known; asks for them the first time."""
        if prompt.key not in self._prefixes:
            self._prefixes[prompt.key] = None
            if prompt.fixed or prompt.tools:
                task = asyncio.get_running_loop().create_task(self._fetch(prompt, tracker))
                self._fetching.add(task)
                task.add_done_callback(self._fetching.discard)
        return self._prefixes[prompt.key]

    async def _fetch(self, prompt: Prompt, tracker: Tracker) -> None:
        try:
            self._prefixes[prompt.key] = await self._channel.prefix(prompt.fixed, prompt.tools)
        except ExecutorError as error:
            _log.debug("the fixed prompt of agent %r stays unknown to the engine: %s", prompt.agent, error)
        else:
            self.moved(tracker, False)


def _moved_on(last: float | None, new: float | None, since: float) -> bool:
    """Whether the expected time has shifted by more than a quarter, and by more than half a second."""
    if last is None or new is None:
        return last is not new
    shift = abs(new - (last - since))
    return shift > max(0.5, 0.25 * max(new, last - since))
