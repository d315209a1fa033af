"""Asks one engine from time to time what its KV cache holds, and tells each run its part.

    engine --GET /agentrt/kv--> Sampler --KvSampled, its own subjects only--> each run's journal and observers

Nothing waits for a sample. A scheduler answers between two batches and says how long that took it; the next question
waits a thousand times as long, so all questions together cost an engine at most a thousandth of its time.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Container, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from typing import Any, Final

from agentrt.errors import Refused
from agentrt.events import KvSampled
from agentrt.executors.hinting import NO_SUCH_ROUTE, KvTeller
from agentrt.runtime.kv.listeners import Listener
from agentrt.types import RunId

_log = logging.getLogger("agentrt")

PERIOD: Final = 2.0
"""Seconds between two samples: a person sees what changes within the time of a model turn, and a curve of ten minutes
has 300 points. Half a kilobyte each, and a quarter more for each context."""

SOON: Final = 0.2
"""Seconds after a sample in which no other is taken, however many runs end."""

SHARE: Final = 0.001
"""Of an engine's time, for answering."""

FINE: Final = 600
"""Of a run longer than twenty minutes the next sample comes when this part of its age has gone by: screens draw some
hundreds of points, and a run of days must not fill its journal with more."""

SELDOM: Final = 30.0
"""Seconds between two samples of a very long run, or of a cache in which nothing happens."""

PATIENCE: Final = 10.0
"""Seconds to wait for an answer."""

SETBACK: Final = 60.0
"""The longest time without a question after the engine did not answer, in seconds."""

FAREWELL: Final = 1.0
"""Seconds that closing waits for the last sample."""

MOST_RUNS: Final = 50
"""Runs asked for at once: their ids are in the address."""

MOST_SUBJECTS: Final = 200
"""Contexts in one sample of one run; those that hold most are in it."""

_TOLD: Final = ("pool", "host", "budget", "tiers", "requests", "totals", "counts", "spent")


class Told:
    """A run that is sampled: when it was told last, on its own clock, and what."""

    __slots__ = ("at", "listener", "what")

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.at = -math.inf
        self.what: object = None

    @property
    def interval(self) -> float:
        """Seconds between two samples of this run at its age."""
        return min(SELDOM, max(PERIOD, self.listener.now() / FINE))

    def due(self, states: Sequence[Mapping[str, Any]]) -> bool:
        """Whether it is time for a sample, and there is something new to say."""
        since = self.listener.now() - self.at
        return since >= SELDOM or (since >= self.interval - PERIOD / 2 and _gist(states) != self.what)

    def tell(self, model: str, states: Sequence[Mapping[str, Any]]) -> None:
        """Tell it what every scheduler of an engine said."""
        run, self.at, self.what = self.listener.run, self.listener.now(), _gist(states)
        for number, state in enumerate(states):
            part = part_of(state, run)
            if len(states) > 1:
                part["replica"] = number
            self.listener.tell(KvSampled(run, self.at, model, part))


def _gist(states: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [state.get(name) for state in states for name in ("tiers", "requests", "totals", "counts")]


async def _wait(woken: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await woken.wait()


class Sampler:
    """Samples one model's engine while runs are followed.

    ``wait(woken, seconds)`` returns after so many seconds, or when ``woken`` is set; ``clock`` measures how long an
    engine takes that does not say so itself.
    """

    def __init__(
        self,
        model: str,
        channel: KvTeller,
        *,
        tenant: str = "",
        clock: Callable[[], float] = time.perf_counter,
        wait: Callable[[asyncio.Event, float], Awaitable[None]] = _wait,
    ) -> None:
        self._model = model
        self._channel = channel
        self._tenant = tenant
        self._clock = clock
        self._wait = wait
        self._runs: dict[RunId, Told] = {}
        self._leaving: dict[RunId, Told] = {}
        self._woken = asyncio.Event()
        self._closing = asyncio.Event()
        self._free_at = -math.inf
        self._setback = 0.0
        self._task: asyncio.Task[None] | None = None
        self._refused = False

    def follow(self, listener: Listener) -> None:
        """Tell a run from now on."""
        if not self._refused:
            self._runs[listener.run] = Told(listener)
            if self._task is None or self._task.done():
                self._task = asyncio.get_running_loop().create_task(self._watch(), context=Context())

    def left(self, run: RunId) -> None:
        """A run has ended: it is told once more how it leaves the cache, unless the engine does not answer."""
        told = self._runs.pop(run, None)
        if told is not None and not self._setback:
            self._leaving[run] = told
            self._woken.set()

    async def close(self) -> None:
        """Tell what the last runs left, within a second, and stop."""
        for run in list(self._runs):
            self.left(run)
        self._closing.set()
        self._woken.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=0.0 if self._setback else FAREWELL)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while self._runs or self._leaving:
            if (rest := self._free_at - self._clock()) > 0:
                await self._wait(self._closing, rest)
            self._woken.clear()
            await self._look()
            if self._runs and not self._leaving:
                await self._wait(self._woken, min(told.interval for told in self._runs.values()))

    async def _look(self) -> None:
        """Ask the engine once, and tell everybody."""
        leaving, self._leaving = self._leaving, {}
        runs = self._runs | leaving
        took = 0.0
        try:
            for names in _cut(sorted(runs)):
                took += await self._ask(runs, names, leaving)
        except Exception as error:  # noqa: BLE001 - a channel may be anybody's; samples never end a run
            self._unheard(error)
        else:
            self._setback = 0.0
            self._free_at = self._clock() + max(SOON, took / SHARE)

    async def _ask(self, runs: Mapping[RunId, Told], names: Sequence[RunId], leaving: Container[RunId]) -> float:
        """Tell some runs; the seconds that it took the engine."""
        began = self._clock()
        async with asyncio.timeout(PATIENCE):
            states = await self._channel.state(names, self._tenant)
        elapsed = self._clock() - began
        for name in names:
            if runs[name].due(states) or name in leaving:
                runs[name].tell(self._model, states)
        return sum(float(state.get("took", elapsed)) for state in states)

    def _unheard(self, error: Exception) -> None:
        _log.debug("model %r: no sample of its KV cache: %s", self._model, error)
        self._setback = min(SETBACK, max(PERIOD, 2 * self._setback))
        self._free_at = self._clock() + self._setback
        if isinstance(error, Refused) and error.status in NO_SUCH_ROUTE:
            self._refused = True
            self._runs.clear()


def part_of(state: Mapping[str, Any], run: RunId) -> dict[str, Any]:
    """Of what an engine said: the totals, and the subjects of one run, shortened; ``more`` counts those left out."""
    part = {name: state[name] for name in _TOLD if name in state}
    found = [one for one in state.get("subjects", ()) if _owner(one) == run]
    found.sort(key=lambda one: one.get("device", 0) + one.get("host", 0), reverse=True)
    part["subjects"] = [_short(one) for one in found[:MOST_SUBJECTS]]
    if len(found) > MOST_SUBJECTS:
        part["more"] = len(found) - MOST_SUBJECTS
    return part


def _owner(shown: Mapping[str, Any]) -> str:
    _, name, program = (*shown.get("subject", ()), "", "", "")[:3]
    return str(program or name).partition("/")[0]


def _short(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Without what says nothing, and without fractions of milliseconds."""
    named = ((name, value) for name, value in shown.items() if name not in ("tenant", "generation"))
    return {
        name: round(value, 3) if isinstance(value, float) else value for name, value in named if value not in ("", None)
    }


def _cut(names: Sequence[RunId]) -> Iterator[Sequence[RunId]]:
    for start in range(0, len(names), MOST_RUNS):
        yield names[start : start + MOST_RUNS]
