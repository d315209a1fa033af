"""A journal in an SQLite file.

In WAL mode with ``synchronous=NORMAL`` a commit only writes to the page cache: tens of microseconds, less than handing
it to a thread costs. So it is done in the event loop itself, without waiting for any lock; whenever it cannot be done
at once (another process writes, the disk is full, it is large) it is done in a thread that may wait. Checkpoints, which
move the log into the file and wait for the disk, are always done there.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import create_engine, insert, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.expression import Executable, bindparam

from agentrt.errors import JournalError
from agentrt.store import schema
from agentrt.store.rows import Batch, NoteRow
from agentrt.store.writer import Collision, Passing, Unfit

Sync = Literal["normal", "full"]

_LOCK_WAIT_S: Final = 10.0
_READERS_WAIT_S: Final = 0.2
"""Seconds for which the end of a checkpoint waits for readers of the log; while it does, nobody can write."""

_LARGE: Final = 1 << 20
"""Characters from which on a group is written elsewhere: a megabyte takes about a millisecond."""

_CHECKPOINT_EVERY: Final = 4_000
"""Entries between two checkpoints; about a megabyte of log."""

_LATER: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)


_TAKEN: Final = frozenset({sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE})
_DAMAGED: Final = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
)
_FAILURES: Final = (sqlite3.Error, UnicodeError, OverflowError)


def _sql(statement: Executable) -> str:
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="qmark")))  # type: ignore[attr-defined]


_here = sqlite.insert(schema.owners)
_BEAT: Final = _sql(_here.on_conflict_do_update(index_elements=["id"], set_={"beat": _here.excluded.beat}))
_INSERT_RUN: Final = _sql(insert(schema.runs))
_INSERT_ENTRY: Final = _sql(insert(schema.entries))
_INSERT_NOTE: Final = _sql(insert(schema.notes).values({name: bindparam(name) for name in NoteRow._fields}))
_INSERT_BODY: Final = _sql(insert(schema.bodies).prefix_with("OR IGNORE"))
_WRITE_ANYTHING: Final = f"PRAGMA user_version={len(schema.MIGRATIONS)}"
_CHANGE_RUN: Final = _sql(
    update(schema.runs)
    .where(schema.runs.c.id == bindparam("run"))
    .values({name: bindparam(f"new_{name}") for name in ("status", "seconds", "error", "owner")})
)


class SQLiteCommits:
    """Writes groups of entries into one file; with ``sync="full"`` through to the disk, which survives a power cut."""

    def __init__(self, path: Path, *, sync: Sync = "normal") -> None:
        self.path = path
        self._sync = sync
        self._elsewhere = True  # commits are made in a thread
        self._fast: sqlite3.Connection | None = None
        self._slow: sqlite3.Connection | None = None
        self._since_checkpoint = 0
        self._checkpoint: threading.Thread | None = None

    def open(self) -> None:
        """Create or migrate the file, which may take some milliseconds. Raises ``JournalError``."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _prepare(self.path)
            self._fast = self._connect(0)
            self._slow = self._connect(_LOCK_WAIT_S)
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            raise JournalError(
                f"the journal {str(self.path)!r} cannot be opened: {getattr(error, 'orig', None) or error}; name a "
                f"file that can be written, with AGENTRT_JOURNAL or --journal"
            ) from error
        self._elsewhere = self._sync == "full"

    def close(self) -> None:
        """Close the file; what was committed is in it, and the log is gone if nobody else has it open."""
        self.settle()
        self._elsewhere = True
        for connection in (self._fast, self._slow):
            if connection is not None:
                connection.close()
        self._fast = self._slow = None

    def commit_now(self, batch: Batch) -> bool:
        """Commit in the calling thread if nobody else writes and nothing waits for the disk."""
        if self._elsewhere or batch.size > _LARGE:
            return False
        assert self._fast is not None, "open() comes first"
        try:
            self._write(self._fast, batch)
        except _FAILURES:
            return False  # the thread finds out what it is, and whether it passes
        return True

    async def commit(self, batch: Batch) -> None:
        """Commit in a thread, waiting for other writers."""
        await asyncio.to_thread(self._commit, batch)

    def _commit(self, batch: Batch) -> None:
        assert self._slow is not None, "open() comes first"
        try:
            self._write(self._slow, batch)
        except _FAILURES as error:
            raise self._judged(error) from error

    def _judged(self, error: Exception) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0)
        if code in _TAKEN:
            return Collision()
        if code & 0xFF in _LATER:
            return Passing(f"{str(self.path)!r}: {error}")
        if code & 0xFF in _DAMAGED:
            return JournalError(f"the journal {str(self.path)!r} cannot be written: {error}; name another one")
        return Unfit(str(error))

    def _write(self, connection: sqlite3.Connection, batch: Batch) -> None:
        execute = connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            if batch.owner is not None:
                execute(_BEAT, batch.owner)
            if batch.runs:
                connection.executemany(_INSERT_RUN, batch.runs)
            if batch.bodies:
                connection.executemany(_INSERT_BODY, [(*key, text) for key, text in batch.bodies.items()])
            if batch.entries:
                connection.executemany(_INSERT_ENTRY, batch.entries)
            if batch.notes:
                connection.executemany(_INSERT_NOTE, batch.notes)
            if batch.changes:
                connection.executemany(_CHANGE_RUN, batch.changes)
            execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # some failures have rolled it back already
                execute("ROLLBACK")
            raise
        self.grew(len(batch.entries))

    def grew(self, entries: int) -> None:
        """The log grew by about so many entries, whoever wrote them; it is moved into the file when it is long."""
        self._since_checkpoint += entries
        if self._since_checkpoint >= _CHECKPOINT_EVERY:
            self._since_checkpoint = 0
            self._begin_checkpoint()

    @property
    def moving(self) -> bool:
        """Whether the log is being moved into the file."""
        return self._checkpoint is not None and self._checkpoint.is_alive()

    def settle(self) -> None:
        """Wait for the log to be in the file, if it is being moved."""
        if (checkpoint := self._checkpoint) is not None:
            checkpoint.join()

    def _begin_checkpoint(self) -> None:
        if self._checkpoint is None or not self._checkpoint.is_alive():
            checkpoint = threading.Thread(target=self._move_log, name="agentrt-checkpoint")
            checkpoint.start()
            self._checkpoint = checkpoint  # begun, for others may wait for its end

    def _move_log(self) -> None:
        """Move the log into the file, so that it begins anew: most of it while others write, the rest while they wait.

        Left to itself under a constant load, the log would never be empty, and grow for ever. The first to write into
        the new log waits for the disk: that is done here, and meanwhile no commit in the loop.
        """
        with suppress(sqlite3.Error), closing(self._connect(_READERS_WAIT_S)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._elsewhere = True
            try:
                connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
                connection.execute(_WRITE_ANYTHING)
            finally:
                self._elsewhere = self._sync == "full"

    def _connect(self, wait: float) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA synchronous={self._sync}")  # waits for one who just creates or leaves the log
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute(f"PRAGMA busy_timeout={round(1000 * wait)}")
        return connection


def _prepare(path: Path) -> None:
    """Make the file private, in WAL mode, and of this version. Only one of many processes does each of that."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(path, timeout=60, isolation_level=None), poolclass=NullPool
    )
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection), "made above"
        raw.execute("PRAGMA page_size=1024")  # of a new file: each commit writes whole pages, and most are small
        _wal(raw)
        if schema.current(connection):
            return  # nobody is waited for
        raw.execute("BEGIN IMMEDIATE")
        try:
            schema.migrate(connection, repr(str(path)))
        except BaseException:
            raw.execute("ROLLBACK")
            raise
        raw.execute("COMMIT")


def _wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; SQLite does not wait for others while it does, so this does."""
    until = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            mode = str(error)
        if mode == "wal":
            return
        if time.monotonic() >= until:
            raise OSError(f"it cannot be switched to WAL ({mode}), as on a network drive")
        time.sleep(0.01)
