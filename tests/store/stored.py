"""Rows to put into journals, and what is there in them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from agentrt.errors import JournalError
from agentrt.store import Entry, Journal, RunRow, archive
from agentrt.store.rows import EntryKind
from agentrt.types import RunId, StepId

A, B, C = RunId("aaa"), RunId("bbb"), RunId("ccc")
T = TypeVar("T")


def row(run: RunId, wall: float = 1.0, **changed: Any) -> RunRow:
    """A run as it begins."""
    return RunRow(run, "main", "m:main", "[[],{}]", "running", wall, 0.0, None, None, None)._replace(**changed)


def entry(run: RunId, seq: int, kind: EntryKind = "called", step: str = "s#1", data: str = "") -> Entry:
    """A line of a run's journal."""
    return Entry(run, seq, 1, seq / 8, kind, StepId(step), 0, data)


class Told:
    """What a run was told by its journal: which of its entries are on disk, or that it is lost."""

    def __init__(self, journal: Journal, run: RunId) -> None:
        self.writer = journal.writer()
        self.run = run
        self.landed: list[int] = []
        self.lost: JournalError | None = None
        self.writer.follow(run, self._is_lost)

    def put(self, *numbers: int) -> None:
        """Put entries, and wait for each."""
        for seq in numbers:
            self.writer.put_then(entry(self.run, seq), lambda seq=seq: self.landed.append(seq))

    def _is_lost(self, error: JournalError) -> None:
        assert self.lost is None, "told once"
        self.lost = error


async def begun(journal: Journal, *runs: RunId) -> list[Told]:
    """New runs, in the journal with nothing but their beginning."""
    told = [Told(journal, run) for run in runs]
    for run in runs:
        journal.writer().started(row(run, owner=journal.me.id))
    await journal.writer().flush()
    return told


async def entries(journal: Journal, run: RunId) -> list[Entry]:
    """All that the journal has of a run."""
    async with journal.connect() as connection:
        return await archive.entries_of(connection, run)


async def numbers(journal: Journal, run: RunId) -> list[int]:
    """The numbers of the entries the journal has of a run."""
    return [one.seq for one in await entries(journal, run)]


async def rows(journal: Journal) -> dict[RunId, RunRow]:
    """The runs that the journal has."""
    async with journal.connect() as connection:
        return {one.id: one for one in await archive.list_runs(connection)}


def elsewhere(work: Coroutine[Any, Any, T]) -> T:
    """Do something at once in a thread and loop of its own, while the loop of the caller stands still."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def on_disk(url: str, runs: Iterable[RunId]) -> dict[RunId, list[int]]:
    """The numbers that another process finds in a journal."""
    async with Journal(url) as other:
        return {run: await numbers(other, run) for run in runs}
