"""What a runtime knows of its engines' KV caches: one publisher for each model, one tracker for each run."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentrt.errors import AgentrtError, ExecutorError
from agentrt.executors.base import ModelExecutor
from agentrt.executors.hinting import HintChannel, hint_channel, kv_teller
from agentrt.kvcache.admission import Admission, Gang
from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.hints import PROTOCOL, Capability
from agentrt.kvcache.policies import Policy
from agentrt.runtime.gate import Gate, Moment
from agentrt.runtime.kv.forecast import Forecast, Places
from agentrt.runtime.kv.listeners import Listener, tell_hints
from agentrt.runtime.kv.publisher import SETBACK, Publisher
from agentrt.runtime.kv.sampler import Sampler
from agentrt.runtime.kv.tracker import Tracker
from agentrt.types import ModelReply, ModelRequest, RunId, SessionId

if TYPE_CHECKING:
    from agentrt.runtime.run import Run

_log = logging.getLogger("agentrt")


NOWHERE: Final = Places(None)
"""A program whose source cannot be read."""

DECORATORS: Final = 30
"""Lines that decorators may take between a function's first line, as Python counts, and its ``def``."""


class Desk:
    """Everything about KV caches that the runs of one runtime share.

    ``admission`` holds programs back whose contexts do not fit, once an engine's size is known. ``estimates`` is the
    file in which what was learned is kept from one process to the next; ``None`` keeps nothing.
    """

    def __init__(
        self, policy: Policy, *, admission: bool, tenant: str, estimates: Path | None, clock: Callable[[], float]
    ) -> None:
        self.policy = policy
        self.publishers: dict[str, Publisher] = {}
        self._admission = admission
        self._gates: dict[str, Gate] = {}
        self._tenant = tenant
        self._file = estimates
        self._clock = clock
        self._estimators: Estimators | None = None
        self._trackers: dict[RunId, Tracker] = {}
        self._listeners: dict[RunId, Listener] = {}
        self._samplers: dict[str, Sampler] = {}
        self._joining: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, float] = {}

    @property
    def estimators(self) -> Estimators:
        """What was learned so far, read from the file at first use."""
        if self._estimators is None:
            self._estimators = Estimators.load(self._file) if self._file else Estimators()
        return self._estimators

    @property
    def spent(self) -> float:
        """CPU seconds of finding out what to tell the engines; neither following the runs nor sending is in it."""
        return sum(one.spent for one in self.publishers.values())

    def follow(self, run: Run[Any]) -> Tracker:
        """Have a run in view; its agents tell the tracker, its events do the rest."""
        forecast = Forecast(places_of(run.spec.body), self.estimators)
        tracker = Tracker(run.id, run.machine.nodes, forecast, self.estimators, self._clock, self._moved, self._acts)
        self._trackers[run.id] = tracker
        self._listen(Listener(run.id, lambda: run.now, run.tell))
        run.ending.add_done_callback(lambda _: self._left(run.id))
        for publisher in self.publishers.values():
            publisher.follow(tracker)
        return tracker

    def gate(self, model: str) -> Gate:
        """Where the turns for a model wait."""
        if model not in self._gates:
            self._gates[model] = Gate(
                Admission(pool=0) if self._admission else None,
                Gang() if self._admission else None,
                expected=self._tools_of,
                watch=self._watch,
                clock=self._clock,
            )
        return self._gates[model]

    def met(self, model: str, executor: ModelExecutor) -> None:
        """An executor is ready to answer: find out in the background whether it takes hints, until it has said so."""
        if model not in self._joining and self._clock() >= self._again.get(model, -math.inf):
            joining = asyncio.get_running_loop().create_task(self._join(model, executor), context=Context())
            self._joining[model] = joining

    async def close(self) -> None:
        """Tell the engines what is left to tell, and keep what was learned."""
        for task in self._joining.values():
            task.cancel()
        await asyncio.gather(*self._joining.values(), return_exceptions=True)
        ending: list[Publisher | Sampler] = [*self.publishers.values(), *self._samplers.values()]
        await asyncio.gather(*(one.close() for one in ending))
        if self._estimators is not None and self._file is not None and self.publishers:
            await asyncio.to_thread(self._estimators.save, self._file)

    async def _join(self, model: str, executor: ModelExecutor) -> None:
        try:
            channel = await hint_channel(executor)
            if channel is None:
                return
            capability = await channel.capability()
        except ExecutorError as error:
            _log.debug("model %r takes no hints now: %s", model, error)
            del self._joining[model]
            self._again[model] = self._clock() + SETBACK
            return
        except Exception:  # noqa: BLE001 - an executor may be anybody's; hints never end a run
            _log.exception("model %r: its way in for hints failed; runs go on without", model)
            return
        self.gate(model).resize(capability.pool, capability.host)
        self._sample(model, channel, capability)
        if self.policy.name != "none" and (capability.protocol or capability.closes):
            self.publishers[model] = publisher = Publisher(
                model,
                channel,
                self.policy,
                self.estimators,
                tenant=self._tenant,
                clock=self._clock,
                resized=self.gate(model).resize,
                told=partial(tell_hints, self._listeners, model),
            )
            publisher.capability = capability
            for tracker in self._trackers.values():
                publisher.follow(tracker)

    def ended(self, run: RunId, session: SessionId) -> None:
        """A context will not be asked again."""
        tracker = self._trackers.get(run)
        if tracker is not None:
            tracker.closed(session)
        for gate in self._gates.values():
            gate.leave(run, session)

    def _listen(self, listener: Listener) -> None:
        self._listeners[listener.run] = listener
        for sampler in self._samplers.values():
            sampler.follow(listener)

    def _sample(self, model: str, channel: HintChannel, capability: Capability) -> None:
        """Have the runs told of an engine's cache, if it tells."""
        teller = kv_teller(channel) if capability.protocol == PROTOCOL else None
        if teller is not None:
            self._samplers[model] = sampler = Sampler(model, teller, tenant=self._tenant)
            for listener in self._listeners.values():
                sampler.follow(listener)

    def _left(self, run: RunId) -> None:
        self._trackers.pop(run, None)
        self._listeners.pop(run, None)
        for sampler in self._samplers.values():
            sampler.left(run)
        for gate in self._gates.values():
            gate.leave(run)

    def _acts(self, run: RunId, session: SessionId, seconds: float) -> None:
        for gate in self._gates.values():
            gate.acting(run, session, seconds)

    def _tools_of(self, reply: ModelReply) -> float:
        of = self.estimators.durations.of
        return max((of(one.name).mean for one in reply.tool_calls), default=0.0)

    def _watch(self, request: ModelRequest, moment: Moment) -> None:
        tracker = self._trackers.get(RunId(request.run))
        if tracker is not None and request.session is not None and moment != "following":
            tracker.held(SessionId(request.session), moment == "held")

    def answered(self, run: RunId, model: str) -> None:
        """A turn of a run was answered: who is expected to have least left holds the pool first."""
        tracker = self._trackers.get(run)
        if tracker is not None:
            self.gate(model).expect(run, tracker.left)

    def _moved(self, tracker: Tracker, urgent: bool) -> None:
        for publisher in self.publishers.values():
            publisher.moved(tracker, urgent)
        if urgent:  # what nobody will tell is not kept
            told = {model for model, publisher in self.publishers.items() if not publisher.stopped}
            tracker.ended = [one for one in tracker.ended if one[0] in told]


def places_of(function: Callable[..., Any]) -> Places:
    """What the source of a program says about its steps; nothing where it cannot be read."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return NOWHERE if code is None else _places_at(code.co_filename, code.co_name, code.co_firstlineno)


@lru_cache(256)
def _places_at(file: str, name: str, line: int) -> Places:
    from agentrt.graph.compile import read_template

    with suppress(OSError, UnicodeError, AgentrtError, RecursionError):
        found = read_template(Path(file).read_text(encoding="utf-8"), file, name)
        if 0 <= found.place.line - line <= DECORATORS:  # else it is another function of that name
            return Places(found)
    return NOWHERE
