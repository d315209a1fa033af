"""What a durable entrant has written, looked at from outside: through a connection of the benchmark's own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentrt.benchmarks.overhead import contract
from agentrt.benchmarks.overhead.contract import DurableEntrant

if TYPE_CHECKING:
    import aiosqlite

SYNCHRONOUS: Final = {0: "off", 1: "normal", 2: "full", 3: "extra"}
"""SQLite's numbers for ``PRAGMA synchronous``."""


def used(file: Path) -> int:
    """Bytes of the pages in use, those that are still in the write-ahead log among them."""
    with closing(sqlite3.connect(file)) as look:
        pages, free, size = (
            look.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def spell(journal: object, synchronous: object) -> str:
    """Two answers of SQLite in words: ``wal, normal``."""
    return f"{journal}, {SYNCHRONOUS.get(int(str(synchronous)), 'unknown')}"


async def modes(connection: aiosqlite.Connection) -> str:
    """What a connection says of itself: ``wal, normal``."""
    answers: list[object] = []
    for name in ("journal_mode", "synchronous"):
        async with connection.execute(f"PRAGMA {name}") as cursor:
            answers.extend(await cursor.fetchone() or ())
    return spell(*answers)


def modes_now(connection: sqlite3.Connection) -> str:
    """The same of one of this thread."""
    answers = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    return spell(*answers)


class Witness(list[None]):
    """Stands in for ``ran`` while a chain runs: at the start of each step it counts the results that are on record.

    ``late`` is the largest number of earlier steps whose results were in use, but not recorded.
    """

    def __init__(self, look: sqlite3.Connection, query: str) -> None:
        super().__init__()
        self._look = look
        self._query = query
        self._before = self._count()
        self.late = 0

    @property
    def recorded(self) -> int:
        """How many results were recorded since."""
        return self._count() - self._before

    def append(self, mark: None) -> None:
        """A step starts."""
        self.late = max(self.late, len(self) - self.recorded)
        super().append(mark)

    def _count(self) -> int:
        return int(self._look.execute(self._query).fetchone()[0])


async def late(entrant: DurableEntrant, steps: int) -> int:
    """Run a chain and say how many results at most were used before they were recorded: 0 for what is durable."""
    job = entrant.chain(steps)
    with closing(sqlite3.connect(entrant.file, check_same_thread=False)) as look:
        witness = Witness(look, entrant.recorded)
        contract.ran, kept = witness, contract.ran
        try:
            await job()
        finally:
            contract.ran = kept
        found = witness.recorded
    if not (len(witness) == steps <= found <= steps + 1):  # some record the end of the chain as well
        raise RuntimeError(f"{len(witness)} steps ran and {found} were recorded, expected {steps}")
    return witness.late
