"""Old runs are deleted, and the file gives back what they took."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.errors import JournalError
from agentrt.store import archive
from agentrt.store.journal import Journal
from agentrt.store.rows import RunRow
from agentrt.store.views import ShownStatus, status_of

_LOCK_WAIT_S = 10.0


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
    for row in rows:
        async with journal.connect(write=True) as connection:
            if await archive.delete_run(connection, row):
                gone.append(row)
    return gone


async def shrink(journal: Journal) -> int | None:
    """Give the room of deleted runs back to the disk: how many bytes that were.

    ``None`` if the journal is no file, or is in use: then it is used again by new runs.
    """
    file = journal.file
    if file is None:
        return None
    async with journal.connect() as connection:
        if await archive.owners_of(connection, await archive.list_runs(connection)):
            return None  # they would wait while it is written anew
    before = _bytes_of(file)
    try:
        await asyncio.to_thread(_vacuum, file)
    except sqlite3.Error as error:
        raise JournalError(f"the journal {str(file)!r} could not be made smaller: {error}; try again later") from error
    return before - _bytes_of(file)


def _vacuum(file: Path) -> None:
    with closing(sqlite3.connect(file, timeout=_LOCK_WAIT_S, isolation_level=None)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _bytes_of(file: Path) -> int:
    log = Path(f"{file}-wal")
    return file.stat().st_size + (log.stat().st_size if log.exists() else 0)
