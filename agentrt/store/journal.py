"""A journal: where runs are written down, and read again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, cast

from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from agentrt.errors import ConfigError, JournalError
from agentrt.store import archive, owners, schema
from agentrt.store.rows import RunRow
from agentrt.store.writer import PATIENCE_S, Commits, Writer
from agentrt.types import RunId

if TYPE_CHECKING:
    from agentrt.store.sqlite import SQLiteCommits, Sync

BEATING: Final = "agentrt-journal"
"""The name of the task by which an open journal gives signs of life."""

_EXPECTED: Final = "expected a file, sqlite:///FILE or postgresql://USER@HOST/DATABASE"
_WRITE: Final = "agentrt_write"
_MIGRATION_LOCK: Final = 4_274_912_331
"""Any number, the same for everybody who migrates a journal in PostgreSQL."""


class Journal:
    """One database of runs: they are written through ``writer()`` and read within ``connect()``.

    ``url`` is a file name, ``sqlite:///FILE`` (with ``?sync=full`` to survive power cuts) or ``postgresql://...``.
    ``patience``: seconds that runs wait for a database that cannot be written before they end. Raises ``ConfigError``
    for a url that is none of these.
    """

    def __init__(self, url: str | Path, *, patience: float = PATIENCE_S) -> None:
        self.me = owners.myself()
        self._url, self._sync = _parsed(url)
        self._patience = patience
        self._engine: AsyncEngine | None = None
        self._commits: Commits | None = None
        self._writer: Writer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beating: asyncio.Task[None] | None = None
        self._releasing: set[RunId] = set()
        self._migrated = False

    def __str__(self) -> str:
        if self._is_file:
            return str(self._url.database)
        return self._url.set(drivername="postgresql").render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"<Journal {self}>"

    @property
    def file(self) -> Path | None:
        """The file it is in, ``None`` of one on a server."""
        return Path(str(self._url.database)) if self._is_file else None

    @property
    def _is_file(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    def writer(self) -> Writer:
        """Where the runs of the running event loop are written, the same for all of them.

        A file is created at once, which raises ``JournalError`` when it cannot be; a server is connected to by the
        first commit.
        """
        loop = asyncio.get_running_loop()
        if self._writer is None:
            self._writer = Writer(self._open_commits(), loop, self.me, patience=self._patience)
            owners.enter(self.me)
            self._beating = loop.create_task(self._beat(), name=BEATING, context=Context())
            self._loop = loop
        elif self._loop is not loop:
            raise JournalError(
                f"the journal {self} is open in another event loop; close it there, or make one for each loop"
            )
        return self._writer

    async def claim(self, row: RunRow) -> None:
        """Make a run this process's own, to go on with it. Raises ``RunTaken`` when it is being run."""
        writer = self.writer()
        writer.reserve(row.id)
        try:
            async with self.connect(write=True) as connection:
                await archive.claim(connection, row, self.me)
        except BaseException:
            writer.leave(row.id)
            raise

    async def release(self, run: RunId) -> None:
        """The run is nobody's again: now, or as soon as the journal can be written."""
        self._releasing.add(run)
        with suppress(JournalError):
            await self._release()

    @asynccontextmanager
    async def connect(self, *, write: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction, for what ``agentrt.store.archive`` asks; ``write`` if it changes something.

        Raises ``JournalError`` when there can be none.
        """
        try:
            engine = await self._ready()
            async with engine.connect() as connection:
                await connection.execution_options(**{_WRITE: write})
                async with connection.begin():
                    yield connection
        except (SQLAlchemyError, OSError) as error:
            said = " ".join(str(getattr(error, "orig", None) or error).split())
            raise JournalError(f"the journal {self} cannot be used: {said}") from error

    def grew(self, entries: int) -> None:
        """What was written within ``connect()`` was as large as so many entries: the log of a file may have to move."""
        if self._is_file and self._commits is not None:
            cast("SQLiteCommits", self._commits).grew(entries)

    async def settled(self) -> None:
        """Wait while a file's log is moved into it, for whoever writes so much that it would be quicker than that."""
        if self._is_file and self._commits is not None:
            file = cast("SQLiteCommits", self._commits)
            if file.moving:
                await asyncio.to_thread(file.settle)

    async def close(self) -> None:
        """Commit what was put, and let go of files and connections."""
        try:
            if self._beating is not None:
                self._beating.cancel()
                await asyncio.wait({self._beating})
            if self._writer is not None:
                with suppress(JournalError):  # every run has been told of it
                    await self._writer.flush()
                    async with self.connect(write=True) as connection:
                        await archive.forget(connection, self.me)
        finally:
            owners.leave(self.me)
            await self._let_go()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- connections -------------------------------------------------------------------------------------------------

    async def _let_go(self) -> None:
        if self._engine is not None:
            await self._engine.dispose()
        if self._commits is not None and self._is_file:
            await asyncio.to_thread(cast("SQLiteCommits", self._commits).close)
        self._engine = self._commits = self._writer = self._beating = None

    def _open_commits(self) -> Commits:
        if self._commits is None:
            self._commits = self._file() if self._is_file else self._server()
        return self._commits

    def _file(self) -> Commits:
        from agentrt.store.sqlite import SQLiteCommits

        file = SQLiteCommits(Path(str(self._url.database)), sync=self._sync)
        file.open()
        return file

    def _server(self) -> Commits:
        from agentrt.store.postgres import PostgresCommits

        return PostgresCommits(self._ready)

    async def _ready(self) -> AsyncEngine:
        """Connections to a database of this version."""
        if self._engine is None:
            self._engine = self._new_engine()
        if self._is_file:
            self._open_commits()
        elif not self._migrated:
            async with self._engine.begin() as connection:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
                await connection.run_sync(schema.migrate, str(self))
            self._migrated = True
        return self._engine

    def _new_engine(self) -> AsyncEngine:
        if not self._is_file:
            from agentrt.store.postgres import engine_of

            return engine_of(self._url)
        engine = create_async_engine(self._url, connect_args={"timeout": 30, "isolation_level": None})
        event.listen(engine.sync_engine, "connect", partial(_prepare, self._sync))
        event.listen(engine.sync_engine, "begin", _begin)
        return engine

    async def _beat(self) -> None:
        """Give a sign of life now and then: in a commit, which takes no lock that is held while the loop is busy."""
        while self._writer is not None:
            self._writer.beat()
            with suppress(JournalError):
                await self._release()
            await asyncio.sleep(owners.BEAT_S)

    async def _release(self) -> None:
        for run in list(self._releasing):
            async with self.connect(write=True) as connection:
                await archive.release(connection, run, self.me)
            self._releasing.discard(run)


def _prepare(sync: Sync, connection: DBAPIConnection, _: object) -> None:
    """As in ``sqlite``: nothing waits for the disk that need not, so that nobody waits for the lock meanwhile."""
    cursor = connection.cursor()
    for setting in (f"synchronous={sync}", "wal_autocheckpoint=0"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Take SQLite's lock for writing at the start, where waiting for it is possible; readers need none."""
    write = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _parsed(url: str | Path) -> tuple[URL, Sync]:
    if isinstance(url, Path) or "://" not in url:
        if not str(url):
            raise ConfigError(f"journal '': {_EXPECTED}")
        return URL.create("sqlite+aiosqlite", database=os.path.abspath(Path(url).expanduser())), "normal"  # noqa: PTH100
    try:
        parsed = make_url(url)
        kind = parsed.get_backend_name()
    except ArgumentError as error:
        raise ConfigError(f"the journal's address cannot be read; {_EXPECTED}") from error
    if kind == "postgresql":
        return parsed.set(drivername="postgresql+asyncpg"), "normal"
    if kind != "sqlite" or not parsed.database:
        raise ConfigError(f"journal {parsed.render_as_string(hide_password=True)!r}: {_EXPECTED}")
    sync = str(parsed.query.get("sync", "normal"))
    if sync not in ("normal", "full") or parsed.query.keys() - {"sync"}:
        asked = " and ".join(f"{name}={value!r}" for name, value in parsed.query.items())
        raise ConfigError(f"journal {url!r}: {asked}: expected sync=normal, sync=full, or nothing")
    file = os.path.abspath(Path(parsed.database).expanduser())  # noqa: PTH100
    return URL.create("sqlite+aiosqlite", database=file), cast("Sync", sync)
