"""Old runs are deleted, and the file gives back what they took."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.errors import JournalError
from agentrt.store import archive
from agentrt.store.journal import Journal
from agentrt.store.rows import RunRow, ShownStatus
from agentrt.store.views import status_of

_LOCK_WAIT_S: Final = 10.0
_CHECKPOINT_EVERY: Final = 20
"""Runs after whose deletion the log is moved into the file, so that it does not grow as large as what is deleted."""


async def chosen(
    connection: AsyncConnection, statuses: Collection[ShownStatus], *, before: float | None = None, keep: int = 0
) -> list[RunRow]:
    """Runs of these statuses, the newest first, without the newest ``keep`` of them; never one that is running.

    ``before`` is the time, in seconds since the epoch, before which they began.
    """
    rows = await archive.list_runs(connection)
    living = await archive.owners_of(connection, rows)
    fit = [row for row in rows if row.id not in living and status_of(row, None) in statuses]
    return [row for row in fit[keep:] if before is None or row.wall < before]


async def delete(journal: Journal, rows: Sequence[RunRow]) -> list[RunRow]:
    """Delete runs, and say which: not those that were taken up meanwhile. Other runs may write in between."""
    gone = []
    for number, row in enumerate(rows, start=1):
        async with journal.connect(write=True) as connection:
            if await archive.delete_run(connection, row):
                gone.append(row)
        if number % _CHECKPOINT_EVERY == 0 and journal.file is not None:
            await asyncio.to_thread(_execute, journal.file, "PRAGMA wal_checkpoint(PASSIVE)")
    return gone


async def shrink(journal: Journal) -> bool:
    """Give the room of deleted runs back to the disk.

    ``False`` if the journal is no file, or has runs that go on: then new runs use it.
    """
    if journal.file is None:
        return False
    async with journal.connect() as connection:
        if await archive.owners_of(connection, await archive.list_runs(connection)):
            return False  # they would wait while it is written anew
    await asyncio.to_thread(_execute, journal.file, "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
    return True


def size_of(journal: Journal) -> int:
    """The bytes that a journal takes on this machine's disk, its log included; 0 for one on a server."""
    if journal.file is None:
        return 0
    return sum(one.stat().st_size for one in (journal.file, Path(f"{journal.file}-wal")) if one.exists())


def _execute(file: Path, *statements: str) -> None:
    try:
        with closing(sqlite3.connect(file, timeout=_LOCK_WAIT_S, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement).fetchall()
    except sqlite3.Error as error:
        raise JournalError(f"the journal {str(file)!r} could not be made smaller: {error}; try again later") from error
