"""What is asked of a journal beside writing: its runs, their entries, who has them, letters to them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.errors import NoSuchRun, RunTaken
from agentrt.store import schema
from agentrt.store.owners import alive
from agentrt.store.rows import Entry, Letter, OwnerRow, RunRow, StoredStatus
from agentrt.types import RunId, StepId

_RUNS: Final = schema.runs.c
_ENTRIES: Final = schema.entries.c


async def find_run(connection: AsyncConnection, name: str) -> RunRow:
    """The run of that id, or of the only id that begins so; ``last`` is the newest.

    Raises ``NoSuchRun`` naming what there is instead.
    """
    if name == "last":
        found = await list_runs(connection, limit=1)
    else:
        query = select(schema.runs).where(_RUNS.id.startswith(name, autoescape=True)).order_by(_RUNS.wall.desc())
        found = [RunRow(*row) for row in await connection.execute(query.limit(9))]
        found = [row for row in found if row.id == name] or found
    if len(found) == 1:
        return found[0]
    if found:
        raise NoSuchRun(f"{len(found)} runs begin with {name!r}: {', '.join(row.id for row in found)}; give more of it")
    raise NoSuchRun(f"the journal holds no run {name!r}; `agentrt runs list` shows those it holds")


async def list_runs(
    connection: AsyncConnection, *, limit: int | None = None, status: StoredStatus | None = None
) -> list[RunRow]:
    """Runs, the newest first."""
    query = select(schema.runs).order_by(_RUNS.wall.desc(), _RUNS.id)
    if status is not None:
        query = query.where(_RUNS.status == status)
    return [RunRow(*row) for row in await connection.execute(query.limit(limit))]


async def entries_of(connection: AsyncConnection, run: RunId, *, after: int = 0) -> list[Entry]:
    """A run's entries in order, from the one that follows number ``after``."""
    query = select(schema.entries).where(_ENTRIES.run == run, _ENTRIES.seq > after).order_by(_ENTRIES.seq)
    return [Entry(*row) for row in await connection.execute(query)]


async def bodies_of(connection: AsyncConnection, run: RunId) -> dict[str, str]:
    """The large texts of a run by their hash."""
    body = schema.bodies.c
    query = select(body.hash, body.text).where(body.run == run)
    return {str(hash_): str(text) for hash_, text in await connection.execute(query)}


async def last_seq(connection: AsyncConnection, run: RunId) -> int:
    """The number of a run's last entry, 0 when it has none."""
    query = select(func.coalesce(func.max(_ENTRIES.seq), 0)).where(_ENTRIES.run == run)
    return int((await connection.execute(query)).scalar_one())


async def owner_of(connection: AsyncConnection, run: RunRow) -> OwnerRow | None:
    """The process that has the run and still lives."""
    if run.owner is None:
        return None
    query = select(schema.owners).where(schema.owners.c.id == run.owner)
    row = (await connection.execute(query)).one_or_none()
    owner = OwnerRow(*row) if row else None
    return owner if owner is not None and alive(owner, time.time()) else None


async def claim(connection: AsyncConnection, run: RunRow, me: OwnerRow) -> None:
    """Make the run this process's own. Raises ``RunTaken`` when another one lives that has it, or was quicker."""
    owner = await owner_of(connection, run)
    if owner is not None and owner.id != me.id:
        raise RunTaken(_has_it(run, owner))
    same = _RUNS.owner.is_(None) if run.owner is None else _RUNS.owner == run.owner
    mine = update(schema.runs).where(_RUNS.id == run.id, same).values(owner=me.id)
    if (await connection.execute(mine)).rowcount != 1:
        raise RunTaken(f"run {run.id} was taken by another process just now; see `agentrt runs show {run.id}`")


async def release(connection: AsyncConnection, run: RunId, me: OwnerRow) -> None:
    """The run is nobody's again."""
    await connection.execute(update(schema.runs).where(_RUNS.id == run, _RUNS.owner == me.id).values(owner=None))


async def beat(connection: AsyncConnection, me: OwnerRow, now: float) -> None:
    """Give a sign of life, and enter this process first if it is not there."""
    seen = update(schema.owners).where(schema.owners.c.id == me.id).values(beat=now)
    if (await connection.execute(seen)).rowcount == 0:
        await connection.execute(insert(schema.owners), me._replace(beat=now)._asdict())


async def forget(connection: AsyncConnection, me: OwnerRow) -> None:
    """This process ends well: it has nothing any more."""
    await connection.execute(delete(schema.owners).where(schema.owners.c.id == me.id))


async def post(connection: AsyncConnection, run: RunId, kind: str, step: StepId, data: str, now: float) -> None:
    """Leave a letter for the process that has the run, or will."""
    row = {"run": run, "kind": kind, "step": step, "data": data, "wall": now}
    await connection.execute(insert(schema.mail), row)


async def letters(connection: AsyncConnection, runs: Sequence[RunId]) -> list[Letter]:
    """What waits for these runs, the oldest first."""
    query = select(schema.mail).where(schema.mail.c.run.in_(runs)).order_by(schema.mail.c.id)
    return [Letter(*row) for row in await connection.execute(query)]


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


async def delete_runs(connection: AsyncConnection, runs: Sequence[RunId]) -> None:
    """Delete runs whole."""
    for start in range(0, len(runs), 500):
        some = runs[start : start + 500]
        for table in (schema.entries, schema.bodies, schema.mail):
            await connection.execute(delete(table).where(table.c.run.in_(some)))
        await connection.execute(delete(schema.runs).where(_RUNS.id.in_(some)))


async def counts(connection: AsyncConnection, runs: Sequence[RunId]) -> dict[RunId, dict[str, int]]:
    """How many entries of each kind runs have."""
    query = (
        select(_ENTRIES.run, _ENTRIES.kind, func.count())
        .where(_ENTRIES.run.in_(runs))
        .group_by(_ENTRIES.run, _ENTRIES.kind)
    )
    found: dict[RunId, dict[str, int]] = {run: {} for run in runs}
    for run, kind, number in await connection.execute(query):
        found[run][kind] = number
    return found


def _has_it(run: RunRow, owner: OwnerRow) -> str:
    where = owner.host.partition("/")[0]
    return (
        f"run {run.id} is being run by process {owner.pid} on {where}; wait for it, or end it with "
        f"`agentrt runs cancel {run.id}`"
    )
