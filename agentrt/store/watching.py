"""What is asked of a journal by those who watch runs: what has happened since, how far they are, lines of their log.

Queries read what is new, or what is looked at; none reads a whole long run again and again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.events import Event
from agentrt.store import archive, schema
from agentrt.store.retelling import Retelling
from agentrt.store.rows import Entry, NoteRow, RunRow
from agentrt.types import RunId, Usage

_Row = TypeVar("_Row", Entry, NoteRow)

_ENTRIES: Final = schema.entries.c
_STATUS_AT: Final = len('{"status":"') + 1
"""Where the status begins in the data of an ``ended`` entry; SQL counts from 1."""


# -- what happened ---------------------------------------------------------------------------------------------------


class Happenings:
    """The events of a run, page by page, as far as its journal goes; asked again, what has come since.

    ``size`` is how many entries, and how many notes, are read at once.
    ``end`` is the entry that tells how the run ended, ``None`` while it has not, or goes on again.
    """

    def __init__(self, run: RunRow, size: int) -> None:
        self._run = run.id
        self._size = size
        self._retelling = Retelling(run, lambda hash_: self._bodies[hash_])
        self._bodies: dict[str, str] = {}
        self._seq = 0
        self._note = 0
        self.more = True
        """Whether what was read last was a whole page, so that there may be another."""

    @property
    def end(self) -> Entry | None:
        """See the class."""
        return self._retelling.end

    async def page(self, connection: AsyncConnection) -> list[Event]:
        """The next events, in the order of their times; empty when nothing is new. Raises ``JournalError``.

        Notes are read first: what they are about was written before them, and is among the entries then.
        """
        while True:
            entries, notes = await self._rows(connection)
            self._bodies = await archive.joins_of(connection, self._run, entries, self._retelling.joins)
            events = list(self._retelling.tell(entries, notes))
            if events or not self.more:
                return events

    async def _rows(self, connection: AsyncConnection) -> tuple[Sequence[Entry], Sequence[NoteRow]]:
        """The next of both, as far in time as both are known to go."""
        numbered = await archive.notes_of(connection, self._run, after=self._note, limit=self._size)
        notes: Sequence[NoteRow] = [note for _, note in numbered]
        entries: Sequence[Entry] = await archive.entries_of(connection, self._run, after=self._seq, limit=self._size)
        self.more = self._size in (len(entries), len(notes))
        until = min(_end(entries, self._size), _end(notes, self._size))
        entries, notes = _until(entries, until), _until(notes, until)
        self._seq = entries[-1].seq if entries else self._seq
        self._note = numbered[len(notes) - 1][0] if notes else self._note
        return entries, notes


def _end(rows: Sequence[_Row], size: int) -> float:
    """Up to when all rows are there, of which no more than ``size`` were asked for."""
    return rows[-1].at if len(rows) == size else math.inf


def _until(rows: Sequence[_Row], at: float) -> Sequence[_Row]:
    """The rows up to the last one that is no later: what is told later has to wait for the page that goes as far."""
    last = next((number for number in range(len(rows), 0, -1) if rows[number - 1].at <= at), 0)
    return rows[:last]


# -- how far they are ------------------------------------------------------------------------------------------------


class Digest(NamedTuple):
    """How far a run is, up to its entry ``seq``: counts of steps, and the tokens they took."""

    seq: int = 0
    called: int = 0
    ended: int = 0
    failed: int = 0
    usage: Usage = Usage()


async def digests(connection: AsyncConnection, known: Mapping[RunId, Digest]) -> dict[RunId, Digest]:
    """These digests with what has come since; of a run that is not known yet, give an empty one."""
    found = dict(known)
    fresh = [run for run, digest in known.items() if not digest.seq]
    await _count(connection, _ENTRIES.run.in_(fresh), found)
    for run, digest in known.items():
        if digest.seq:
            await _count(connection, and_(_ENTRIES.run == run, _ENTRIES.seq > digest.seq), found)
    return found


async def _count(connection: AsyncConnection, which: ColumnElement[bool], found: dict[RunId, Digest]) -> None:
    status = func.substr(_ENTRIES.data, _STATUS_AT, 4)
    counted = select(_ENTRIES.run, _ENTRIES.kind, status, func.count(), func.max(_ENTRIES.seq))
    grouped = counted.where(which, _ENTRIES.kind.in_(("called", "ended"))).group_by(_ENTRIES.run, _ENTRIES.kind, status)
    for run, kind, ending, number, seq in await connection.execute(grouped):
        was = found[run]
        failed = number if kind == "ended" and ending == "fail" else 0
        more = {kind: getattr(was, kind) + number, "failed": was.failed + failed, "seq": max(was.seq, seq)}
        found[run] = was._replace(**more)
    spent = select(_ENTRIES.run, _ENTRIES.data).where(
        which, _ENTRIES.kind == "ended", _ENTRIES.data.like('%"usage":[%')
    )
    for run, data in await connection.execute(spent):
        found[run] = found[run]._replace(usage=found[run].usage + Usage(*json.loads(data).get("usage", ())))


# -- the log ---------------------------------------------------------------------------------------------------------


async def count_lines(connection: AsyncConnection, run: RunId, find: str = "") -> int:
    """How many entries a run has, or how many of them hold ``find``."""
    if not find:
        return await archive.last_seq(connection, run)
    query = select(func.count()).select_from(schema.entries).where(_ENTRIES.run == run, _holds(find))
    return int((await connection.execute(query)).scalar_one())


async def some_lines(connection: AsyncConnection, run: RunId, first: int, most: int, find: str = "") -> list[Entry]:
    """Entries from the ``first``-th on, 0 is the oldest; of those that hold ``find`` in their step, kind or data."""
    if not find:
        return await archive.entries_of(connection, run, after=first, limit=most)
    query = select(schema.entries).where(_ENTRIES.run == run, _holds(find)).order_by(_ENTRIES.seq)
    return [Entry(*row) for row in await connection.execute(query.offset(first).limit(most))]


def _holds(find: str) -> ColumnElement[bool]:
    columns = (_ENTRIES.step, _ENTRIES.kind, _ENTRIES.data)
    return or_(*(column.icontains(find, autoescape=True) for column in columns))
