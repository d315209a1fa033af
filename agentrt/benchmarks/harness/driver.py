"""Runs the entries of a benchmark: many at once, each once, also when the process was killed in between."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from agentrt.benchmarks.harness import meter
from agentrt.benchmarks.harness.entries import Entry, Outcome
from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.harness.measuring import measure
from agentrt.benchmarks.harness.sittings import Clock
from agentrt.errors import ConfigError, InDoubt, JournalError, Refused, ReplayDiffers, Unreachable
from agentrt.executors.base import ModelExecutor
from agentrt.runtime import Run, RunResult, Runtime
from agentrt.sdk.steps import Program
from agentrt.store import Journal, archive
from agentrt.store.recording import Recording
from agentrt.store.views import error_of, output_of
from agentrt.types import RunId, RunStatus

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_NOTED_S: Final = 1.0
"""Seconds between two times that the sitting is written down."""

_TOO_MANY: Final = 429
"""The status of a server that has enough of our requests, whatever they are."""

_ENGINES: Final = frozenset({Unreachable.__name__, Refused.__name__})
"""Failures that may be the engine's: of one that was not looked into, nothing is known."""

LATE: Final = "it took longer than"
"""How the reason begins for which an entry is ended that had its time."""


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


class Teller(Protocol):
    """Who knows how the engine is."""

    async def counts(self) -> Mapping[str, int]:
        """What it has counted of its KV cache since it started; empty where it does not tell. Never raises."""
        ...

    async def trouble(self) -> str | None:
        """Why its model does not answer anything; ``None`` when it does."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How entries are run. ``at_once`` is how many, ``timeout`` the seconds that one may take; ``kv`` and ``admission``
    are the runtime's. ``engine`` is the session id of an engine of ours on this machine, 0 for none; ``teller`` is
    asked how it is."""

    at_once: int = 8
    timeout: float = 600.0
    kv: str = "agentrt"
    admission: bool | None = None
    engine: int = 0
    teller: Teller | None = None


async def run_entries(
    folder: Folder,
    entries: Iterable[Entry],
    program: Program[..., Any],
    models: ModelExecutor | Mapping[str, ModelExecutor],
    settings: Settings,
    watcher: Watcher,
) -> list[Outcome]:
    """Run ``program(entry.data)`` for each entry that is not finished; all outcomes, in the order of the entries.

    What a program raises is its entry's outcome. Cancelling cancels the runs, and finishes none of them: they go on
    the next time. Raises ``ConfigError`` when two entries have one id, ``JournalError`` when nothing can be written
    down, ``Unreachable`` when the engine does not answer any more, ``Refused`` when it takes no more requests.
    """
    wanted = _different(entries)
    finished = folder.outcomes()
    watcher.expects(wanted, finished)
    left = [entry for entry in wanted if entry.id not in finished]
    if left:
        ids: list[RunId] = []
        async with (
            Journal(folder.journal) as journal,
            Runtime(
                models, kv=settings.kv, admission=settings.admission, journal=journal, new_id=lambda: ids.pop(0)
            ) as runtime,
        ):
            async with journal.connect() as connection:
                known = {row.id for row in await archive.list_runs(connection)}
            runs = _Runs(journal, runtime, program, settings, ids, known)
            for outcome in await _Driver(folder, runs, settings, watcher).finish(left):
                finished[outcome.entry] = outcome
    return [finished[entry.id] for entry in wanted]


def run_id(entry: Entry) -> RunId:
    """The name of an entry's run in its folder's journal: the same each time, and no other entry's."""
    if _NAME.fullmatch(entry.id) and entry.id != "last":  # which commands read as the newest run
        return RunId(entry.id)
    digest = hashlib.sha256(entry.id.encode()).hexdigest()[:12]
    return RunId(f"{_ODD.sub('_', entry.id)[:40].lstrip('_.-') or 'entry'}-{digest}")


def _different(entries: Iterable[Entry]) -> list[Entry]:
    wanted = list(entries)
    twice = [one for one, times in Counter(entry.id for entry in wanted).items() if times > 1]
    if twice:
        raise ConfigError(f"{len(twice)} entries have the id of another one ({twice[0]!r}); give each its own")
    return wanted


class _Driver:
    """Has entries run, and writes down what comes of them."""

    def __init__(self, folder: Folder, runs: _Runs, settings: Settings, watcher: Watcher) -> None:
        self._folder = folder
        self._runs = runs
        self._settings = settings
        self._watcher = watcher
        self._gate = asyncio.Semaphore(settings.at_once)
        self._noted = 0.0

    async def finish(self, entries: Sequence[Entry]) -> list[Outcome]:
        """Run entries to their ends; the first failure that is none of an entry stops all."""
        self._clock = Clock(self._settings.engine, await self._counts())
        self._before = await asyncio.to_thread(self._folder.sittings)
        try:
            async with asyncio.TaskGroup() as group:
                first = min(entry.arrives for entry in entries)
                tasks = [group.create_task(self._finish(entry, entry.arrives - first)) for entry in entries]
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            await self._note()
        return [task.result() for task in tasks]

    async def _finish(self, entry: Entry, arrives: float) -> Outcome:
        if arrives > 0:
            await asyncio.sleep(arrives)
        async with self._gate:
            self._watcher.begun(entry)
            outcome = await self._runs.finish(entry)
            await asyncio.to_thread(self._folder.add, outcome)
            self._clock.finished(outcome.measures.steps)
            if self._clock.seconds - self._noted >= _NOTED_S:
                self._noted = self._clock.seconds
                await self._note()
            self._watcher.ended(outcome)
            return outcome

    async def _note(self) -> None:
        """Write down how the sitting stands."""
        sitting = self._clock.sitting(await self._counts())
        self._folder.sat([*self._before, sitting])

    async def _counts(self) -> Mapping[str, int]:
        return {} if self._settings.teller is None else await self._settings.teller.counts()


class _Runs:
    """The runs of entries in the folder's journal; ``known`` are those that are in it."""

    def __init__(
        self,
        journal: Journal,
        runtime: Runtime,
        program: Program[..., Any],
        settings: Settings,
        ids: list[RunId],
        known: Collection[RunId],
    ) -> None:
        self._journal = journal
        self._runtime = runtime
        self._program = program
        self._settings = settings
        self._ids = ids
        self._known = known
        self._share = meter.Share(settings.engine)

    async def finish(self, entry: Entry) -> Outcome:
        """What comes of an entry: its run is begun, gone on with, or was at its end already."""
        before = self._share.reading()
        if run_id(entry) in self._known:
            found = await self._kept(entry, before)
            if _over(found[0]):  # the process was killed before it wrote the line
                return found[1]
        await self._run(entry)
        return (await self._kept(entry, before))[1]

    async def _run(self, entry: Entry) -> None:
        run = await self._begun(entry)
        timeout = self._settings.timeout
        left = max(0.0, timeout - run.now)  # what a broken-off part took counts
        late = asyncio.get_running_loop().call_later(left, run.cancel, f"{LATE} {timeout:g} s")
        try:
            result = await run
        except asyncio.CancelledError:
            run.cancel("the benchmark was stopped")
            await run
            raise
        finally:
            late.cancel()
        await self._check(result)

    async def _begun(self, entry: Entry) -> Run[Any]:
        """The entry's run, gone on with if there is a part of it."""
        name = run_id(entry)
        if name in self._known:
            return await self._runtime.resume(self._program, name)
        self._ids.append(name)
        return self._runtime.start(self._program, dict(entry.data))

    async def _kept(self, entry: Entry, before: meter.Reading) -> tuple[Recording, Outcome]:
        """What the journal tells of an entry's run."""
        async with self._journal.connect() as connection:
            row = await archive.find_run(connection, run_id(entry))
            recording = await archive.recording_of(connection, row)
            notes = [note for _, note in await archive.notes_of(connection, row.id)]
        measures = measure(recording, notes, self._share.since(before))
        status: RunStatus = row.status
        return recording, Outcome(
            entry.id, entry.category, row.id, status, output_of(recording), _error(recording), measures
        )

    async def _check(self, result: RunResult[Any]) -> None:
        """See that the run's failure, if it failed, is its own: no entry is wrong because the disk is full, the key is
        not the server's, or the server is gone or has enough of us."""
        for error in _causes(result.error):
            if isinstance(error, JournalError) and not isinstance(error, (InDoubt, ReplayDiffers)):
                raise error
            if isinstance(error, Refused) and error.status == _TOO_MANY:
                way = "go on later, or with a smaller --at-once"
                raise Refused(f"the server takes no more requests now: {error}; {way}", status=_TOO_MANY) from error
            if isinstance(error, (Unreachable, Refused)) and self._settings.teller is not None:
                trouble = await self._settings.teller.trouble()
                if trouble is not None:
                    raise Unreachable(f"the engine does not answer any more: {trouble}") from error


def _over(recording: Recording) -> bool:
    """Whether a run that is in the journal came to its end, rather than being stopped or left alone by its engine."""
    error = error_of(recording, None)
    if recording.run.status == "cancelled":
        return error is not None and LATE in error["message"]
    return recording.run.status == "done" or (
        recording.run.status == "failed" and error is not None and error["type"] not in _ENGINES
    )


def _error(recording: Recording) -> str | None:
    error = error_of(recording, None)
    if error is None:
        return None
    return f"{error['type']}: {error['message']}" if error["type"] else str(error["message"])


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that led to it."""
    if error is None:
        return
    yield error
    yield from _causes(error.__cause__)
    for inner in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _causes(inner)
