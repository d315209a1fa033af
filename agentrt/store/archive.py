"""What is asked of a journal beside writing: its runs, their entries, who has them, letters to them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Table, delete, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.errors import NoSuchRun, RunTaken
from agentrt.store import schema
from agentrt.store.joins import edges_of, hash_of, is_join
from agentrt.store.owners import alive
from agentrt.store.recording import Recording
from agentrt.store.rows import Entry, Letter, NoteRow, OwnerRow, RunChange, RunRow, StoredStatus
from agentrt.store.writer import clean
from agentrt.types import RunId, StepId

_T = TypeVar("_T")

_RUNS: Final = schema.runs.c
_ENTRIES: Final = schema.entries.c
_SHOWN: Final = 8
"""Runs named in a message."""

_AT_ONCE: Final = 500
"""Runs named in one query; databases limit that."""


async def find_run(connection: AsyncConnection, name: str) -> RunRow:
    """The run of that id, or of the only id that begins so; ``last`` is the newest.

    Raises ``NoSuchRun`` naming what there is instead.
    """
    if name == "last":
        found = await list_runs(connection, limit=1)
    else:
        found = [RunRow(*row) for row in await connection.execute(select(schema.runs).where(_RUNS.id == name))]
    if not found:
        begins = func.substr(_RUNS.id, 1, len(name)) == name  # LIKE would not tell a from A in SQLite
        query = select(schema.runs).where(begins).order_by(_RUNS.wall.desc(), _RUNS.id)
        found = [RunRow(*row) for row in await connection.execute(query.limit(_SHOWN + 1))]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(row.id for row in found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        raise NoSuchRun(f"several runs begin with {name!r}: {some}; give more of it")
    raise NoSuchRun(f"the journal holds no run {name!r}; `agentrt runs list` shows those it holds")


async def has_run(connection: AsyncConnection, run: RunId) -> bool:
    """Whether there is a run of exactly that id."""
    return (await connection.execute(select(_RUNS.id).where(_RUNS.id == run))).one_or_none() is not None


async def list_runs(
    connection: AsyncConnection, *, limit: int | None = None, status: StoredStatus | None = None
) -> list[RunRow]:
    """Runs, the newest first."""
    query = select(schema.runs).order_by(_RUNS.wall.desc(), _RUNS.id)
    if status is not None:
        query = query.where(_RUNS.status == status)
    return [RunRow(*row) for row in await connection.execute(query.limit(limit))]


async def entries_of(
    connection: AsyncConnection, run: RunId, *, after: int = 0, limit: int | None = None
) -> list[Entry]:
    """A run's entries in order, from the one that follows number ``after``; at most ``limit``."""
    query = select(schema.entries).where(_ENTRIES.run == run, _ENTRIES.seq > after).order_by(_ENTRIES.seq)
    return [Entry(*row) for row in await connection.execute(query.limit(limit))]


async def notes_of(
    connection: AsyncConnection, run: RunId, *, after: int = 0, limit: int | None = None, step: StepId | None = None
) -> list[tuple[int, NoteRow]]:
    """A run's notes in order, numbered, from the one that follows number ``after``; at most ``limit``."""
    note = schema.notes.c
    query = select(schema.notes).where(note.run == run, note.id > after).order_by(note.id)
    if step is not None:
        query = query.where(note.step == step)
    return [(int(row[0]), NoteRow(*row[1:])) for row in await connection.execute(query.limit(limit))]


async def bodies_of(connection: AsyncConnection, run: RunId) -> dict[str, str]:
    """The large texts of a run by their hash."""
    body = schema.bodies.c
    query = select(body.hash, body.text).where(body.run == run)
    return {str(hash_): str(text) for hash_, text in await connection.execute(query)}


async def some_bodies(connection: AsyncConnection, run: RunId, hashes: Sequence[str]) -> dict[str, str]:
    """Those of a run's large texts that have these hashes."""
    body = schema.bodies.c
    query = select(body.hash, body.text).where(body.run == run)
    found: dict[str, str] = {}
    for some in _some(hashes):
        found |= {str(hash_): str(text) for hash_, text in await connection.execute(query.where(body.hash.in_(some)))}
    return found


async def joins_of(
    connection: AsyncConnection, run: RunId, entries: Iterable[Entry], known: Container[StepId] = ()
) -> dict[str, str]:
    """The texts of the joins that these entries name, and of those behind them, as far as they are not ``known``."""
    names = {name for entry in entries if entry.kind == "called" for name in _joins_in(entry)}
    found: dict[str, str] = {}
    while hashes := [hash_of(name) for name in names if name not in known and hash_of(name) not in found]:
        texts = await some_bodies(connection, run, hashes)
        found |= texts
        names = {name for text in texts.values() for name in json.loads(text) if is_join(name)}
    return found


async def recording_of(connection: AsyncConnection, run: RunRow) -> Recording:
    """Everything that is kept of a run. Raises ``JournalError`` when the journal is damaged."""
    return Recording(run, await entries_of(connection, run.id), await bodies_of(connection, run.id))


async def last_seq(connection: AsyncConnection, run: RunId) -> int:
    """The number of a run's last entry, 0 when it has none."""
    entry = await last_entry(connection, run)
    return 0 if entry is None else entry.seq


async def last_entry(connection: AsyncConnection, run: RunId) -> Entry | None:
    """A run's last entry, ``None`` when it has none."""
    query = select(schema.entries).where(_ENTRIES.run == run).order_by(_ENTRIES.seq.desc()).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Entry(*row)


async def owner_of(connection: AsyncConnection, run: RunRow) -> OwnerRow | None:
    """The process that has the run and still lives."""
    if run.owner is None:
        return None
    query = select(schema.owners).where(schema.owners.c.id == run.owner)
    row = (await connection.execute(query)).one_or_none()
    owner = OwnerRow(*row) if row else None
    return owner if owner is not None and alive(owner, await _now(connection)) else None


async def run_and_owner(connection: AsyncConnection, name: str) -> tuple[RunRow, OwnerRow | None]:
    """The run of that name, as ``find_run`` finds it, and the living process that has it."""
    row = await find_run(connection, name)
    return row, await owner_of(connection, row)


async def owners_of(connection: AsyncConnection, runs: Sequence[RunRow]) -> dict[RunId, OwnerRow]:
    """The living processes that have these runs; nothing of runs that nobody has."""
    names = list({row.owner for row in runs if row.owner is not None})
    living: dict[str, OwnerRow] = {}
    now = await _now(connection)
    for some in _some(names):
        found = await connection.execute(select(schema.owners).where(schema.owners.c.id.in_(some)))
        living |= {owner.id: owner for owner in (OwnerRow(*row) for row in found) if alive(owner, now)}
    return {row.id: living[row.owner] for row in runs if row.owner in living}


async def claim(connection: AsyncConnection, run: RunRow, me: OwnerRow) -> None:
    """Make the run this process's own. Raises ``RunTaken`` when another one lives that has it, or was quicker."""
    await beat(connection, me)  # nobody has a run who is not known to live
    owner = await owner_of(connection, run)
    if owner is not None and owner.id != me.id:
        raise RunTaken(has_it(run, owner))
    mine = update(schema.runs).where(_RUNS.id == run.id, _same_owner(run)).values(owner=me.id)
    if (await connection.execute(mine)).rowcount != 1:
        raise RunTaken(f"run {run.id} was taken by another process just now; see `agentrt runs show {run.id}`")


async def release(connection: AsyncConnection, run: RunId, me: OwnerRow) -> None:
    """The run is nobody's again."""
    await connection.execute(update(schema.runs).where(_RUNS.id == run, _RUNS.owner == me.id).values(owner=None))


async def beat(connection: AsyncConnection, me: OwnerRow) -> None:
    """Give a sign of life, and enter this process first if it is not there; it may do so twice at the same moment."""
    here = upsert(connection)(schema.owners).values(me._replace(beat=await _now(connection))._asdict())
    await connection.execute(here.on_conflict_do_update(index_elements=["id"], set_={"beat": here.excluded.beat}))


async def forget(connection: AsyncConnection, me: OwnerRow) -> None:
    """This process ends well: it has nothing any more."""
    await connection.execute(delete(schema.owners).where(schema.owners.c.id == me.id))


async def post(connection: AsyncConnection, run: RunId, kind: str, step: StepId, data: str, wall: float) -> int:
    """Leave a letter for the process that has the run, or will; its number."""
    row = {"run": run, "kind": kind, "step": clean(step), "data": clean(data), "wall": wall}
    made = (await connection.execute(insert(schema.mail), row)).inserted_primary_key
    assert made is not None, "a single row has a key of its own"
    return int(made[0])


async def letters(connection: AsyncConnection, runs: Sequence[RunId]) -> list[Letter]:
    """What waits for these runs, the oldest first."""
    found: list[Letter] = []
    for some in _some(runs):
        query = select(schema.mail).where(schema.mail.c.run.in_(some))
        found += [Letter(*row) for row in await connection.execute(query)]
    return sorted(found)


async def discard(connection: AsyncConnection, letter: Letter) -> None:
    """A letter was read, and what it asks for is in the run's own entries."""
    await connection.execute(delete(schema.mail).where(schema.mail.c.id == letter.id))


async def copy_run(connection: AsyncConnection, source: RunRow, new: RunRow, entries: Sequence[Entry]) -> None:
    """Enter ``new`` with these entries of ``source``, numbered from 1 again, and its large texts."""
    await connection.execute(insert(schema.runs), new._asdict())
    rows = [entry._replace(run=new.id, seq=seq)._asdict() for seq, entry in enumerate(entries, start=1)]
    if rows:
        await connection.execute(insert(schema.entries), rows)
    body = schema.bodies.c
    copied = select(literal(new.id), body.hash, body.text).where(body.run == source.id)
    await connection.execute(insert(schema.bodies).from_select(["run", "hash", "text"], copied))


async def change_run(connection: AsyncConnection, change: RunChange) -> None:
    """How a run stands now."""
    new = {name: value for name, value in change._asdict().items() if name != "id"}
    await connection.execute(update(schema.runs).where(_RUNS.id == change.id).values(**new))


async def end_run(connection: AsyncConnection, entry: Entry, change: RunChange) -> None:
    """Write the end of a run that the caller has claimed, without running it."""
    await connection.execute(insert(schema.entries), entry._asdict())
    await change_run(connection, change)


async def delete_run(connection: AsyncConnection, run: RunRow) -> bool:
    """Delete a run whole; ``False`` when a process lives that has it, or has taken it since it was read."""
    if await owner_of(connection, run) is not None:
        return False
    gone = await connection.execute(delete(schema.runs).where(_RUNS.id == run.id, _same_owner(run)))
    if gone.rowcount != 1:
        return False
    await delete_runs(connection, [run.id])
    return True


async def delete_runs(connection: AsyncConnection, runs: Sequence[RunId]) -> None:
    """Delete runs whole."""
    for some in _some(runs):
        for table in (schema.entries, schema.notes, schema.bodies, schema.mail):
            await connection.execute(delete(table).where(table.c.run.in_(some)))
        await connection.execute(delete(schema.runs).where(_RUNS.id.in_(some)))


async def sizes(connection: AsyncConnection, runs: Sequence[RunId]) -> dict[RunId, int]:
    """How many characters of entries and large texts runs hold."""
    found = dict.fromkeys(runs, 0)
    note, body = schema.notes.c, schema.bodies.c
    for run, text in ((_ENTRIES.run, _ENTRIES.data), (body.run, body.text), (note.run, note.data)):
        query = select(run, func.sum(func.length(text))).group_by(run)
        for some in _some(runs):
            for name, size in await connection.execute(query.where(run.in_(some))):
                found[name] += size
    return found


async def counts(connection: AsyncConnection, runs: Sequence[RunId]) -> dict[RunId, dict[str, int]]:
    """How many entries of each kind runs have."""
    query = select(_ENTRIES.run, _ENTRIES.kind, func.count()).group_by(_ENTRIES.run, _ENTRIES.kind)
    found: dict[RunId, dict[str, int]] = {run: {} for run in runs}
    for some in _some(runs):
        for run, kind, number in await connection.execute(query.where(_ENTRIES.run.in_(some))):
            found[run][kind] = number
    return found


def _joins_in(entry: Entry) -> list[StepId]:
    if "join-" not in entry.data and "body" not in entry.data:
        return []
    inputs, after = edges_of(json.loads(entry.data))
    return [name for name in (*inputs, *after) if is_join(name)]


def _same_owner(run: RunRow) -> ColumnElement[bool]:
    return _RUNS.owner.is_(None) if run.owner is None else _RUNS.owner == run.owner


def _some(runs: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (runs[start : start + _AT_ONCE] for start in range(0, len(runs), _AT_ONCE))


def upsert(connection: AsyncConnection) -> Callable[[Table], Any]:
    """The insertion that may find its row there already, which databases spell alike and SQLAlchemy keeps apart."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert
    from sqlalchemy.dialects import postgresql

    return postgresql.insert


async def _now(connection: AsyncConnection) -> float:
    """The time by the clock that all see who have this journal: the server's, or this machine's for a file."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float((await connection.execute(select(func.extract("epoch", func.clock_timestamp())))).scalar_one())


def has_it(run: RunRow, owner: OwnerRow) -> str:
    """That a living process has the run, and what can be done."""
    where = owner.host.partition("/")[0]
    return (
        f"run {run.id} is being run by process {owner.pid} on {where}; wait for it, or end it with "
        f"`agentrt runs cancel {run.id}`"
    )
