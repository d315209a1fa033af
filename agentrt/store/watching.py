"""What is asked of a journal by those who watch runs: how far they are, lines of their log, all about one step.

Queries read what is new, or what is looked at; none reads a whole long run again and again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.store import archive, schema
from agentrt.store.rows import Entry, NoteRow
from agentrt.store.telling import hashes_of
from agentrt.types import RunId, StepId, Usage

_ENTRIES: Final = schema.entries.c
_STATUS_AT: Final = len('{"status":"') + 1
"""Where the status begins in the data of an ``ended`` entry; SQL counts from 1."""


class Digest(NamedTuple):
    """How far a run is, up to its entry ``seq``; counts of steps; ``asked`` of questions."""

    seq: int = 0
    called: int = 0
    ended: int = 0
    failed: int = 0
    asked: int = 0
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
    grouped = counted.where(which, _ENTRIES.kind.in_(("called", "ended", "asked"))).group_by(
        _ENTRIES.run, _ENTRIES.kind, status
    )
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


# -- one step --------------------------------------------------------------------------------------------------------


class StepRows(NamedTuple):
    """What a journal holds of one step. ``bodies`` are the large texts of its entries; ``messages`` what the model was
    sent last, whole; ``hints`` the notes of the kind ``hints`` of its run."""

    entries: Sequence[Entry]
    notes: Sequence[NoteRow]
    bodies: Mapping[str, str]
    messages: Sequence[dict[str, Any]]
    hints: Sequence[NoteRow]


async def step_rows(connection: AsyncConnection, run: RunId, step: StepId) -> StepRows:
    """Everything about a step; empty for one that there is not."""
    query = select(schema.entries).where(_ENTRIES.run == run, _ENTRIES.step == step).order_by(_ENTRIES.seq)
    entries = [Entry(*row) for row in await connection.execute(query)]
    bodies = await archive.some_bodies(connection, run, [hash_ for one in entries for hash_ in hashes_of(one)])
    notes = [note for _, note in await archive.notes_of(connection, run, step=step)]
    sent = next((json.loads(one.data) for one in reversed(entries) if one.kind == "sent"), None)
    if sent is None:
        return StepRows(entries, notes, bodies, (), ())
    messages = await _conversation(connection, run, sent["messages"])
    note = schema.notes.c
    told = select(schema.notes).where(note.run == run, note.kind == "hints").order_by(note.id)
    hints = [NoteRow(*row[1:]) for row in await connection.execute(told)]
    return StepRows(entries, notes, bodies, messages, hints)


async def _conversation(connection: AsyncConnection, run: RunId, last: str | None) -> list[dict[str, Any]]:
    """The messages of a chain, the oldest first."""
    found: list[list[dict[str, Any]]] = []
    while last is not None:
        texts = await archive.some_bodies(connection, run, [last])
        if last not in texts:
            break
        link = json.loads(texts[last])
        found.append(link["more"])
        last = link["on"]
    return [message for more in reversed(found) for message in more]
