"""One run's place in a journal: where it is written, and what it begins with."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from agentrt.errors import AgentrtError
from agentrt.runtime.durable.forgetting import Forgetter
from agentrt.runtime.durable.notes import Notes
from agentrt.runtime.durable.recorder import Recorder
from agentrt.runtime.durable.scribe import Scribe
from agentrt.runtime.result import RunResult, first_cause
from agentrt.store.journal import Journal
from agentrt.store.replay import Replay
from agentrt.store.rows import StoredStatus
from agentrt.store.writer import resolve
from agentrt.types import RunId, StepId

if TYPE_CHECKING:
    from agentrt.graph.machine import Machine
    from agentrt.runtime.driver import Driver
    from agentrt.runtime.wiring import Wiring

_log = logging.getLogger("agentrt")


class RunLog:
    """``replay`` is what the run begins with when it goes on from where another process left it."""

    def __init__(
        self, journal: Journal, run: RunId, *, replay: Replay | None = None, modules: dict[str, str] | None = None
    ) -> None:
        self._journal = journal
        self._run = run
        self._replay = replay
        self._modules = modules or {}
        self._recorder: Recorder | None = None
        self._lost: asyncio.Future[None] | None = None
        self._forgetter: Forgetter | None = None
        self._notes: Notes | None = None

    @property
    def seconds(self) -> float:
        """Where the run's clock goes on."""
        return self._replay.recording.seconds if self._replay is not None else 0.0

    @property
    def replaying(self) -> bool:
        """Whether the run goes on from a recording."""
        return self._replay is not None

    def open(self, driver: Driver, now: Callable[[], float], broken: Callable[[AgentrtError], None]) -> Scribe:
        """Begin to write."""
        writer = self._journal.writer()
        self._lost = lost = driver.loop.create_future()

        def stop(error: AgentrtError) -> None:
            if not lost.done():
                lost.set_result(None)
            broken(error)

        writer.follow(self._run, stop)
        seq = self._replay.recording.last if self._replay is not None else 0
        self._recorder = recorder = Recorder(writer, self._run, now, seq=seq)
        scribe = Scribe(recorder, driver, stop, live=self._resumed)
        if self._replay is not None:
            scribe.replay(self._replay, self._modules)
        return scribe

    def forgetter(self, machine: Machine, driver: Driver, wiring: Wiring) -> Forgetter:
        """What lets go of steps that the journal has."""
        self._forgetter = Forgetter(machine, driver.handles, wiring)
        return self._forgetter

    def notes(self, driver: Driver, now: Callable[[], float]) -> Notes:
        """What writes down what only those want to know who watch."""
        self._notes = Notes(self._journal.writer(), self._run, driver, now)
        return self._notes

    @property
    def forgotten(self) -> dict[str, Any]:
        """What was let go of, for the run's result."""
        gone = self._forgetter
        return {} if gone is None else {"forgotten": gone.steps, "forgotten_usage": gone.usage}

    async def over(self, result: RunResult[Any], *, written: bool) -> None:
        """Write how the run ended and wait for that; if it could not go on, only let go of it."""
        assert self._recorder is not None, "open() comes first"
        if self._notes is not None:
            self._notes.close()
        if written:
            await self._write(result)
        writer = self._journal.writer()
        writer.leave(self._run)
        if not written:
            await self._journal.release(self._run)

    async def _write(self, result: RunResult[Any]) -> None:
        assert self._recorder is not None, "open() comes first"
        assert self._lost is not None, "open() comes first"
        done = asyncio.get_running_loop().create_future()
        step: StepId | None = None
        if result.error is not None:
            step = getattr(first_cause(result.error.__cause__ or result.error), "__agentrt_step__", None)
        status: StoredStatus = result.status
        self._recorder.over(status, result.value, result.error, step, partial(resolve, done))
        await asyncio.wait({done, self._lost}, return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            _log.warning("run %s ended, but its end could not be written down", self._run)

    def _resumed(self) -> None:
        assert self._recorder is not None, "open() comes first"
        assert self._replay is not None, "there was a recording"
        if self._replay.recording.run.status != "running":
            self._recorder.runs_again(self._journal.me.id)
        self._recorder.resumed(time.time(), self._journal.me.id, self._replay.reopened, self._replay.given_up)
        self._replay = None  # it is used up, and large
