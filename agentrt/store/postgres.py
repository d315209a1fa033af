"""A journal in a PostgreSQL database: one transaction for each group of entries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.sql.expression import bindparam

from agentrt.errors import JournalError
from agentrt.store import schema
from agentrt.store.rows import Batch
from agentrt.store.writer import Collision, Passing

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_PASSING_STATES: Final = ("08", "40", "53", "55", "57", "58", "25006")
"""SQLSTATE classes that may be gone at the next attempt: connection, deadlock, out of resources (disk full among
them), object in use, operator intervention (a restart), system error, read-only."""

_CHANGE_RUN: Final = (
    update(schema.runs)
    .where(schema.runs.c.id == bindparam("run"))
    .values({name: bindparam(f"new_{name}") for name in ("status", "seconds", "error", "owner")})
)


class PostgresCommits:
    """Writes groups of entries through a pool of connections. ``ready`` gives it, of a database of this version."""

    def __init__(self, ready: Callable[[], Awaitable[AsyncEngine]]) -> None:
        self._ready = ready

    def commit_now(self, batch: Batch) -> bool:
        """Nothing on another machine is done within microseconds."""
        return False

    async def commit(self, batch: Batch) -> None:
        """Commit all of it, or nothing."""
        try:
            await self._commit(batch)
        except IntegrityError as error:
            raise Collision from error
        except (DBAPIError, OSError, TimeoutError) as error:
            raise judged(error) from error

    async def _commit(self, batch: Batch) -> None:
        engine = await self._ready()
        async with engine.begin() as connection:
            if batch.runs:
                await connection.execute(insert(schema.runs), [row._asdict() for row in batch.runs])
            if batch.bodies:
                rows = [{"run": run, "hash": hash_, "text": text} for (run, hash_), text in batch.bodies.items()]
                await connection.execute(upsert(schema.bodies).on_conflict_do_nothing(), rows)
            if batch.entries:
                await connection.execute(insert(schema.entries), [row._asdict() for row in batch.entries])
            for change in batch.changes:
                new = {f"new_{name}": value for name, value in change._asdict().items() if name != "id"}
                await connection.execute(_CHANGE_RUN, {"run": change.id, **new})


def judged(error: Exception) -> Exception:
    """Whether a failure may pass."""
    said = " ".join(str(getattr(error, "orig", error)).split()) or type(error).__name__
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    broken = isinstance(error, DBAPIError) and error.connection_invalidated
    if broken or isinstance(error, (OSError, TimeoutError, InterfaceError)) or state.startswith(_PASSING_STATES):
        return Passing(f"PostgreSQL: {said}")
    if isinstance(error, OperationalError) and not state:
        return Passing(f"PostgreSQL: {said}")
    return JournalError(f"the journal cannot be written: PostgreSQL says: {said}")
