"""Runs the entries of a benchmark: many at once, each once, also when the process was killed in between."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from agentrt.benchmarks.harness import meter
from agentrt.benchmarks.harness.entries import Entry, Outcome
from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.harness.measuring import measure
from agentrt.executors.base import ModelExecutor
from agentrt.runtime import Run, Runtime
from agentrt.sdk.steps import Program
from agentrt.store import Journal, archive
from agentrt.store.recording import Recording
from agentrt.types import RunId, RunStatus

_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST: Final = 60


class Watcher(Protocol):
    """Who is told how far it is."""

    def expects(self, entries: Sequence[Entry], finished: Mapping[str, Outcome]) -> None:
        """These will be run, but for those that are finished."""
        ...

    def begun(self, entry: Entry) -> None:
        """An entry's run begins, or goes on."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """An entry is finished; its line is on disk."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How entries are run. ``at_once`` is how many, ``timeout`` the seconds that one may take; ``kv`` and ``admission``
    are the runtime's. ``engine`` is the session id of an engine of ours on this machine, 0 for none."""

    at_once: int = 8
    timeout: float = 600.0
    kv: str = "agentrt"
    admission: bool | None = None
    engine: int = 0


async def run_entries(
    folder: Folder,
    entries: Iterable[Entry],
    program: Program[..., Any],
    models: ModelExecutor | Mapping[str, ModelExecutor],
    settings: Settings,
    watcher: Watcher,
) -> list[Outcome]:
    """Run ``program(entry.data)`` for each entry that is not finished; all outcomes, in the order of the entries.

    What a program raises is its entry's outcome. Raises ``JournalError`` when nothing can be written down.
    """
    wanted = list(entries)
    finished = folder.outcomes()
    watcher.expects(wanted, finished)
    ids: list[RunId] = []
    async with Journal(folder.journal) as journal:
        runtime = Runtime(
            models, kv=settings.kv, admission=settings.admission, journal=journal, new_id=lambda: ids.pop(0)
        )
        async with runtime:
            driver = _Driver(folder, journal, runtime, program, settings, watcher, ids)
            gate = asyncio.Semaphore(settings.at_once)
            left = [entry for entry in wanted if entry.id not in finished]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(driver.finish(entry, gate)) for entry in left]
    finished |= {task.result().entry: task.result() for task in tasks}
    return [finished[entry.id] for entry in wanted]


def run_id(entry: Entry) -> RunId:
    """The name of an entry's run in its folder's journal: the same each time."""
    name = _ODD.sub("_", entry.id)
    return RunId(name[:_LONGEST])


class _Driver:
    def __init__(
        self,
        folder: Folder,
        journal: Journal,
        runtime: Runtime,
        program: Program[..., Any],
        settings: Settings,
        watcher: Watcher,
        ids: list[RunId],
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._runtime = runtime
        self._program = program
        self._settings = settings
        self._watcher = watcher
        self._ids = ids

    async def finish(self, entry: Entry, gate: asyncio.Semaphore) -> Outcome:
        """Run an entry to its end, or go on with it, and write its line; not before it arrives."""
        await asyncio.sleep(entry.arrives)
        async with gate:
            self._watcher.begun(entry)
            before = meter.read(self._settings.engine)
            run = await self._recorded(entry) or await self._run(entry)
            others = meter.others(before, meter.read(self._settings.engine))
            outcome = await self._outcome(entry, run, others)
            await asyncio.to_thread(self._folder.add, outcome)
            self._watcher.ended(outcome)
            return outcome

    async def _recorded(self, entry: Entry) -> Recording | None:
        """A run that had ended when the process was killed, but for its line in the results."""
        async with self._journal.connect() as connection:
            if not await archive.has_run(connection, run_id(entry)):
                return None
            row = await archive.find_run(connection, run_id(entry))
            return await archive.recording_of(connection, row) if row.status == "done" else None

    async def _run(self, entry: Entry) -> Recording:
        run = await self._begun(entry)
        stop = asyncio.get_running_loop().call_later(
            self._settings.timeout, run.cancel, f"it took longer than {self._settings.timeout:g} s"
        )
        try:
            await run
        finally:
            stop.cancel()
        async with self._journal.connect() as connection:
            return await archive.recording_of(connection, await archive.find_run(connection, run.id))

    async def _begun(self, entry: Entry) -> Run[Any]:
        """The entry's run, gone on with if there is a part of it."""
        name = run_id(entry)
        async with self._journal.connect() as connection:
            there = await archive.has_run(connection, name)
        if there:
            return await self._runtime.resume(self._program, name)
        self._ids.append(name)
        return self._runtime.start(self._program, dict(entry.data))

    async def _outcome(self, entry: Entry, recording: Recording, others: float) -> Outcome:
        from agentrt.store.views import error_of, output_of

        row = recording.run
        error = error_of(recording, None)
        status: RunStatus = row.status
        return Outcome(
            entry.id,
            entry.category,
            row.id,
            status,
            output_of(recording),
            None if error is None else f"{error['type']}: {error['message']}" if error["type"] else error["message"],
            await measure(self._journal, row.id, row.seconds, others),
        )
