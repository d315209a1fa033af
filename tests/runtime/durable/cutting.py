"""Runs that are cut off after any of their entries, as a crash would have left them, and resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from agentrt import Program, Runtime
from agentrt.runtime import owner
from agentrt.runtime.durable import keeping
from agentrt.runtime.result import RunResult
from agentrt.runtime.runtime import new_run_id
from agentrt.store import Journal, archive
from agentrt.store.recording import Recorded, Recording
from agentrt.types import RunId, StepId

RAN: list[tuple[StepId, int]] = []
"""The bodies that were entered, each with its attempt, since the list was last emptied."""


def note() -> int:
    """The running step's attempt, after noting that it runs."""
    handle = owner.get()
    RAN.append((handle.id, handle.node.attempt))
    return handle.node.attempt


async def turns(count: int) -> None:
    """Let the event loop turn that often."""
    for _ in range(count):
        await asyncio.sleep(0)


class Resumed(NamedTuple):
    """A resumed run: how it ended, the bodies that it entered, and its recording."""

    result: RunResult[Any]
    ran: list[tuple[StepId, int]]
    recording: Recording


class Cutter:
    """Runs programs with a journal, and cuts runs off."""

    def __init__(self, journal: Journal, make: Callable[[], Runtime]) -> None:
        self.journal = journal
        self._make = make

    async def run(self, program: Program[..., Any], *args: Any) -> Resumed:
        """Run a program from its beginning to its end."""
        RAN.clear()
        async with self._make() as runtime:
            result = await runtime.run(program, *args)
        return Resumed(result, list(RAN), await self.read(result.id))

    async def resume(self, program: Program[..., Any], run: RunId, **options: Any) -> Resumed:
        """Go on with a run, to its end."""
        RAN.clear()
        async with self._make() as runtime:
            result = await (await runtime.resume(program, run, **options))
        return Resumed(result, list(RAN), await self.read(run))

    async def read(self, run: RunId) -> Recording:
        """What is kept of a run."""
        return await keeping.read(self.journal, run)

    async def cut(self, recording: Recording, entries: int) -> RunId:
        """A run of which only the first entries were written before its process died."""
        new = recording.run._replace(
            id=new_run_id(), status="running", seconds=0.0, error=None, owner=None, origin=None
        )
        async with self.journal.connect(write=True) as connection:
            await archive.copy_run(connection, recording.run, new, recording.entries[:entries])
        return new.id


def lengths(recording: Recording) -> range:
    """How many entries a run may have had when it was killed: all but that of its end."""
    return range(len(recording.entries) + (recording.over is None))


def settled(recording: Recording, entries: int) -> dict[StepId, Recorded]:
    """The steps that had a result or a failure after so many entries."""
    part = Recording(recording.run, recording.entries[:entries], recording._bodies)
    return {name: step for name, step in part.steps.items() if step.settled}


def ends(recording: Recording) -> dict[StepId, Any]:
    """How the steps of a run ended: status and value."""
    return {
        name: (step.status, recording.value(step.end) if step.settled and step.end else None)
        for name, step in recording.steps.items()
    }


def assert_goes_on(before: Recording, cut: int, after: Resumed) -> None:
    """What was on disk stands, and no step of which a result was there is entered again."""
    stood = settled(before, cut)
    again = {step for step, _ in after.ran} & stood.keys()
    assert not again, f"cut after {cut} of {len(before.entries)} entries, these ran again: {again}"
    now = ends(after.recording)
    for name, one in stood.items():
        assert one.end is not None
        assert now[name] == (one.status, before.value(one.end)), (cut, name)
    had = Recording(before.run, before.entries[:cut], before._bodies)
    for name, attempt in after.ran:
        known = had.steps.get(name)
        if known is not None and known.status is None:
            assert attempt > known.attempts or known.kind in ("program", "agent"), (cut, name, attempt)


def some(numbers: Sequence[int], most: int, shift: int) -> list[int]:
    """At most so many of the numbers, others for another shift, and always the last."""
    step = max(1, len(numbers) // most)
    return [*list(numbers)[shift % step :: step], numbers[-1]]


def cutter(folder: Path, journal: Journal, models: Callable[[], Any] = dict, **settings: Any) -> Cutter:
    """A ``Cutter`` whose runtimes remember nothing but the journal."""

    def make() -> Runtime:
        return Runtime(models(), journal=journal, estimates=folder / "estimates.json", **settings)

    return Cutter(journal, make)
