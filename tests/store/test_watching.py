"""What a journal tells those who watch a run: everything, once, in the order in which it happened."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentrt.events import Event, RunStarted, StepText
from agentrt.store import Journal
from agentrt.store.rows import NoteRow
from agentrt.store.watching import Happenings
from agentrt.types import StepId
from tests.store.stored import A, begun, entry, row


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    """An empty journal."""
    async with Journal(tmp_path / "runs.db") as made:
        yield made


def note(at: float, text: str) -> NoteRow:
    """A piece of streamed text."""
    return NoteRow(A, at, "text", StepId("s#1"), json.dumps(text))


async def told(journal: Journal, size: int) -> list[Event]:
    """All that has happened, read so many rows at a time."""
    happenings = Happenings(row(A), size)
    events: list[Event] = []
    async with journal.connect() as connection:
        while page := await happenings.page(connection):
            events += page
    return events


async def test_entries_that_tell_nothing_do_not_end_it(journal: Journal) -> None:
    """Text that was handed to the program is no event; what comes after a page full of it is told all the same."""
    await begun(journal, A)
    for seq in range(1, 10):
        journal.writer().put(entry(A, seq, "text", data='"word"'))
    journal.writer().put(entry(A, 10, "over", data='{"status":"done"}'))
    await journal.writer().flush()
    assert [type(one).__name__ for one in await told(journal, 3)] == ["RunStarted", "RunEnded"]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("sparse", ["entries", "notes"])
async def test_what_is_dense_and_what_is_sparse_is_told_by_its_time(journal: Journal, size: int, sparse: str) -> None:
    """Many notes between two entries come before the second one, and the other way round; none comes twice."""
    await begun(journal, A)
    every = {"entries": (4, 1), "notes": (1, 4)}[sparse]
    for seq in range(1, 33):
        if not seq % every[0]:
            journal.writer().put(entry(A, seq, "called", f"s#{seq}", "{}"))
        if not seq % every[1]:
            journal.writer().note(note(seq / 8 + 0.01, str(seq)))
    await journal.writer().flush()
    events = [one for one in await told(journal, size) if not isinstance(one, RunStarted)]
    times = [one.at for one in events]
    assert times == sorted(times)
    assert len(events) == 32 // every[0] + 32 // every[1]
    assert [one.text for one in events if isinstance(one, StepText)] == [str(n) for n in range(every[1], 33, every[1])]


async def test_what_comes_later_is_told_when_it_is_asked_for(journal: Journal) -> None:
    """A run that goes on is told on from where it was; a run of which nothing is written yet has begun."""
    await begun(journal, A)
    happenings = Happenings(row(A), 10)
    async with journal.connect() as connection:
        assert [type(one) for one in await happenings.page(connection)] == [RunStarted]
        assert await happenings.page(connection) == []
    journal.writer().put(entry(A, 1, "called", "s#1", "{}"))
    journal.writer().put(entry(A, 2, "over", data='{"status":"failed","error":"no"}'))
    await journal.writer().flush()
    async with journal.connect() as connection:
        assert [one.at for one in await happenings.page(connection)] == [1 / 8, 2 / 8]
    assert happenings.end is not None
    assert happenings.end.seq == 2
    journal.writer().put(entry(A, 3, "resumed", data='{"wall":1.0}'))
    await journal.writer().flush()
    async with journal.connect() as connection:
        await happenings.page(connection)
    assert happenings.end is None, "it goes on again"
