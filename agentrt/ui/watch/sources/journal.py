"""A run as its journal tells it, live or afterwards. The journal's modules are imported when it is first asked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentrt.events import Event
from agentrt.types import RunId, StepId, Usage
from agentrt.ui.watch.sources.base import LogLine, RunState, StepStory
from agentrt.ui.words import one_line

if TYPE_CHECKING:
    from agentrt.store.journal import Journal
    from agentrt.store.retelling import Retelling
    from agentrt.store.rows import Entry, OwnerRow, RunRow
    from agentrt.store.watching import Digest, StepRows

PAGE: Final = 500
"""Entries read at once: some milliseconds of work between two keys."""


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
    """A ``RunSource`` over one run of a journal."""

    def __init__(self, journal: Journal, run: RunId) -> None:
        self.journal = journal
        self.run = run
        self._retelling: Retelling | None = None
        self._bodies: dict[str, str] = {}
        self._seq = 0
        self._note = 0

    async def look(self) -> RunState:
        """See ``RunSource``."""
        from agentrt.store import archive

        async with self.journal.connect() as connection:
            row, owner = await archive.run_and_owner(connection, self.run)
        if self._retelling is None:
            from agentrt.store.retelling import Retelling

            self._retelling = Retelling(row, lambda hash_: self._bodies[hash_])
        return _state(row, owner)

    async def events(self) -> Sequence[Event]:
        """See ``RunSource``. Notes never run ahead of the entries they are about."""
        from agentrt.store import archive
        from agentrt.store.retelling import bodies_needed

        if self._retelling is None:
            await self.look()
        assert self._retelling is not None, "it was looked at"
        async with self.journal.connect() as connection:
            entries = await archive.entries_of(connection, self.run, after=self._seq, limit=PAGE)
            notes = await archive.notes_of(connection, self.run, after=self._note, limit=PAGE)
            self._bodies = await archive.some_bodies(connection, self.run, bodies_needed(entries))
        if len(entries) == PAGE:
            notes = [(number, note) for number, note in notes if note.at <= entries[-1].at]
        self._seq = entries[-1].seq if entries else self._seq
        self._note = notes[-1][0] if notes else self._note
        return list(self._retelling.tell(entries, [note for _, note in notes]))

    async def story(self, step: StepId) -> StepStory:
        """See ``RunSource``."""
        from agentrt.store import watching

        async with self.journal.connect() as connection:
            return _story(step, await watching.step_rows(connection, self.run, step))

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


def _story(step: StepId, rows: StepRows) -> StepStory:
    from agentrt.store.telling import entry_json

    entries = [entry_json(entry, rows.bodies.__getitem__) for entry in rows.entries]
    notes = [{**note._asdict(), "data": json.loads(note.data)} for note in rows.notes]
    sent: dict[str, Any] = next((one["data"] for one in reversed(entries) if one["kind"] == "sent"), {})
    subjects = (["session", sent.get("session")], ["agent", sent.get("agent")])
    hints: list[tuple[float, dict[str, Any]]] = [
        (note.at, hint)
        for note in rows.hints
        for hint in json.loads(note.data)["hints"]
        if hint["subject"][:2] in subjects
    ]
    return StepStory(step, entries, notes, rows.messages, sent.get("tools") or (), hints)
