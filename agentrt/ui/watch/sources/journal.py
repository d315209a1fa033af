"""A run as its journal tells it, live or afterwards. The journal's modules are imported when it is first asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from agentrt.types import RunId, StepId, Usage
from agentrt.ui.watch.sources.base import LogLine, Look, RunState
from agentrt.ui.words import one_line

if TYPE_CHECKING:
    from agentrt.store.journal import Journal
    from agentrt.store.rows import Entry, OwnerRow, RunRow, StepStory
    from agentrt.store.watching import Digest, Happenings

PAGE: Final = 500
"""Entries and notes read at once: some milliseconds of work between two keys."""


class RunSummary(NamedTuple):
    """One run in the list. ``seconds`` is how long it took, or has gone on; counts are of steps."""

    state: RunState
    seconds: float
    total: int
    finished: int
    failed: int
    usage: Usage


class JournalRuns:
    """The runs of a journal. ``wall`` is the time of day in seconds."""

    def __init__(self, journal: Journal, wall: Callable[[], float] = time.time) -> None:
        self.journal = journal
        self._wall = wall
        self._digests: dict[RunId, Digest] = {}

    async def newest(self, limit: int) -> list[RunSummary]:
        """The newest runs, the newest first. Raises ``JournalError``."""
        from agentrt.store import archive
        from agentrt.store.watching import Digest, digests

        async with self.journal.connect() as connection:
            rows = await archive.list_runs(connection, limit=limit)
            owners = await archive.owners_of(connection, rows)
            asked = {
                row.id: self._digests.get(row.id, Digest())
                for row in rows
                if row.id in owners or row.id not in self._digests or row.status in ("running", "waiting")
            }
            self._digests |= await digests(connection, asked)
        return [self._summary(row, owners.get(row.id)) for row in rows]

    async def find(self, name: str) -> JournalRun:
        """The run of that name, as ``agentrt runs show`` finds it. Raises ``JournalError`` and ``NoSuchRun``."""
        from agentrt.store import archive

        async with self.journal.connect() as connection:
            return JournalRun(self.journal, (await archive.find_run(connection, name)).id)

    def _summary(self, row: RunRow, owner: OwnerRow | None) -> RunSummary:
        digest = self._digests[row.id]
        state = _state(row, owner)
        seconds = max(0.0, self._wall() - row.wall) if state.live else row.seconds
        finished = min(digest.ended, digest.called)  # a step that was resumed has ended more than once
        return RunSummary(state, seconds, digest.called, finished, digest.failed, digest.usage)


class JournalRun:
    """A ``RunSource`` over one run of a journal, which is read ``page`` entries at a time."""

    def __init__(self, journal: Journal, run: RunId, page: int = PAGE) -> None:
        self.journal = journal
        self.run = run
        self._page = page
        self._happenings: Happenings | None = None

    async def look(self) -> Look:
        """See ``RunSource``; how the run stands is read first, so that the last events are not missed."""
        from agentrt.store import archive
        from agentrt.store.watching import Happenings

        async with self.journal.connect() as connection:
            row, owner = await archive.run_and_owner(connection, self.run)
            if self._happenings is None:
                self._happenings = Happenings(row, self._page)
            events = await self._happenings.page(connection)
        return Look(_state(row, owner), events, self._happenings.more)

    async def story(self, step: StepId) -> StepStory:
        """See ``RunSource``."""
        from agentrt.store.stories import story_of

        async with self.journal.connect() as connection:
            return await story_of(connection, self.run, step)

    async def count(self, find: str = "") -> int:
        """See ``RunSource``."""
        from agentrt.store import watching

        async with self.journal.connect() as connection:
            return await watching.count_lines(connection, self.run, find)

    async def lines(self, first: int, most: int, find: str = "") -> Sequence[LogLine]:
        """See ``RunSource``."""
        from agentrt.store import archive, watching
        from agentrt.store.telling import hashes_of

        async with self.journal.connect() as connection:
            entries = await watching.some_lines(connection, self.run, first, most, find)
            hashes = list({hash_ for entry in entries for hash_ in hashes_of(entry)})
            bodies = await archive.some_bodies(connection, self.run, hashes)
        return [_line(entry, bodies) for entry in entries]


def _state(row: RunRow, owner: OwnerRow | None) -> RunState:
    from agentrt.store.views import status_of

    return RunState(
        row.id,
        row.program,
        status_of(row, owner),
        row.wall,
        None if owner is not None else row.seconds,
        owner is not None,
        row.error,
        row.origin,
        row.target,
    )


def _line(entry: Entry, bodies: Mapping[str, str]) -> LogLine:
    from agentrt.store.telling import in_words

    said = in_words(entry._replace(step=StepId("")), bodies.__getitem__)
    return LogLine(entry.seq, entry.at, entry.kind, entry.step, one_line(said))
