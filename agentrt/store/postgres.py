"""A journal in a PostgreSQL database: one transaction for each group of entries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from agentrt.errors import ConfigError, JournalError
from agentrt.store import archive, schema
from agentrt.store.rows import Batch, Entry, RunRow
from agentrt.store.writer import Collision, Passing, Unfit

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_CONNECT_S: Final = 10.0
_ANSWER_S: Final = 60.0
"""Seconds after which a server that does not answer is taken for gone; a connection may die without a word."""

_PASSING_STATES: Final = ("08", "40", "53", "55", "57", "58", "25006")
"""SQLSTATE classes that may be gone at the next attempt: connection, deadlock, out of resources (disk full among
them), object in use, operator intervention (a restart), system error, read-only."""

_TAKEN: Final = "23505"
_UNFIT_STATES: Final = ("22", "23")
"""Values that do not fit: NUL in a text, a text that is too long, nothing where something has to be."""


def engine_of(url: URL) -> AsyncEngine:
    """Connections to a server. Raises ``ConfigError`` when its driver is not installed.

    The address is read as PostgreSQL's own programs do: ``sslmode``, a password file and the like.
    """
    shown = url.set(drivername="postgresql")
    try:
        import asyncpg  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the journal {shown.render_as_string()} needs a driver that is not installed: pip install "
            f"'agentrt[postgres]'"
        ) from error
    address = shown.render_as_string(hide_password=False)

    async def connect() -> Any:
        try:
            return await asyncpg.connect(address, timeout=_CONNECT_S, command_timeout=_ANSWER_S)
        except asyncpg.PostgresError as error:
            if str(error.sqlstate).startswith(_PASSING_STATES):
                raise ConnectionError(str(error)) from error
            raise JournalError(f"the journal {shown.render_as_string()} cannot be used: {error}") from error
        except (asyncpg.InterfaceError, ValueError) as error:
            raise JournalError(f"the journal {shown.render_as_string()} cannot be used: {error}") from error

    return create_async_engine(url, async_creator=connect, pool_pre_ping=True)


class PostgresCommits:
    """Writes groups of entries through a pool of connections. ``ready`` gives it, of a database of this version."""

    def __init__(self, ready: Callable[[], Awaitable[AsyncEngine]]) -> None:
        self._ready = ready
        self._doubtful: Batch | None = None

    def commit_now(self, batch: Batch) -> bool:
        """Nothing on another machine is done within microseconds."""
        return False

    async def commit(self, batch: Batch) -> None:
        """Commit all of it, or nothing."""
        try:
            try:
                await self._commit(batch)
            except IntegrityError:
                if self._doubtful is not batch or not await self._has(batch):
                    raise
        except (DBAPIError, OSError, TimeoutError) as error:
            found = judged(error)
            if isinstance(found, Passing):
                self._doubtful = batch  # it may be there all the same, and only the answer was lost
            raise found from error
        self._doubtful = None

    async def _commit(self, batch: Batch) -> None:
        engine = await self._ready()
        async with engine.begin() as connection:
            if batch.owner is not None:
                await archive.beat(connection, batch.owner)
            if batch.runs:
                await connection.execute(insert(schema.runs), [row._asdict() for row in batch.runs])
            if batch.bodies:
                rows = [{"run": run, "hash": hash_, "text": text} for (run, hash_), text in batch.bodies.items()]
                await connection.execute(upsert(schema.bodies).on_conflict_do_nothing(), rows)
            if batch.entries:
                await connection.execute(insert(schema.entries), [row._asdict() for row in batch.entries])
            if batch.notes:
                await connection.execute(insert(schema.notes), [row._asdict() for row in batch.notes])
            for change in batch.changes:
                await archive.change_run(connection, change)

    async def _has(self, batch: Batch) -> bool:
        """Whether the group was committed before: then its last entry is there, word for word."""
        async with (await self._ready()).connect() as connection:
            if batch.entries:
                return await _entry(connection, batch.entries[-1]) == batch.entries[-1]
            return await _run(connection, batch.runs[-1]) == batch.runs[-1]


async def _entry(connection: AsyncConnection, like: Entry) -> Entry | None:
    columns = schema.entries.c
    query = select(schema.entries).where(columns.run == like.run, columns.seq == like.seq)
    row = (await connection.execute(query)).one_or_none()
    return Entry(*row) if row else None


async def _run(connection: AsyncConnection, like: RunRow) -> RunRow | None:
    row = (await connection.execute(select(schema.runs).where(schema.runs.c.id == like.id))).one_or_none()
    return RunRow(*row) if row else None


def judged(error: Exception) -> Exception:
    """What became of a commit: ``Collision``, ``Unfit``, ``Passing``, or ``JournalError`` for good."""
    said = " ".join(str(getattr(error, "orig", error)).split()) or type(error).__name__
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    if state == _TAKEN:
        return Collision()
    if state.startswith(_UNFIT_STATES):
        return Unfit(f"PostgreSQL: {said}")
    broken = isinstance(error, DBAPIError) and error.connection_invalidated
    if broken or isinstance(error, (OSError, TimeoutError, InterfaceError)) or state.startswith(_PASSING_STATES):
        return Passing(f"PostgreSQL: {said}")
    if isinstance(error, OperationalError) and not state:
        return Passing(f"PostgreSQL: {said}")
    return JournalError(f"the journal cannot be written: PostgreSQL says: {said}")
