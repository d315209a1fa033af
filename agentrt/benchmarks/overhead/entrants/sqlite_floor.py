"""asyncio, SQLite and nothing else: every step's result is a row that is committed before anybody gets the result.

A chain commits a row at a time, in the event loop. Steps that end in one turn of the loop are committed together. What
every library pays at least that records its steps in SQLite.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from itertools import count
from typing import Any, Self

from agentrt.benchmarks.overhead.contract import DurableEntrant, Job, noop
from agentrt.benchmarks.overhead.ledger import modes_now

TABLE = (
    "CREATE TABLE steps (run INTEGER, number INTEGER, name TEXT, result TEXT, PRIMARY KEY (run, number)) WITHOUT ROWID"
)
INSERT = "INSERT INTO steps VALUES (?, ?, ?, ?)"


class SqliteFloor(DurableEntrant):
    """The floor."""

    recorded = "SELECT count(*) FROM steps"

    async def __aenter__(self) -> Self:
        self._database = sqlite3.connect(self.file, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute(f"PRAGMA synchronous={self.sync}")
        self._database.execute(TABLE)
        self._runs = count(1)
        self._batch: list[tuple[int, int, str, str]] = []
        self._committed: asyncio.Future[None] | None = None
        return self

    async def __aexit__(self, *_: object) -> None:
        self._database.close()

    async def modes(self) -> str:
        """Asked of the one connection."""
        return modes_now(self._database)

    def chain(self, steps: int) -> Job:
        """A task and a commit after the other."""

        async def step(run: int, number: int, value: Any) -> Any:
            value = await noop(value)
            self._database.execute(INSERT, (run, number, "noop", json.dumps(value)))
            return value

        async def job() -> None:
            run, value = next(self._runs), None
            for number in range(steps):
                value = await asyncio.create_task(step(run, number, value))

        return job

    def wide(self, steps: int) -> Job:
        """One layer."""
        return self.layered(1, steps)

    def layered(self, layers: int, width: int) -> Job:
        """A ``gather`` after the other."""

        async def step(run: int, number: int) -> Any:
            value = await noop()
            await self._record((run, number, "noop", json.dumps(value)))
            return value

        async def job() -> None:
            run = next(self._runs)
            for layer in range(layers):
                await asyncio.gather(*(step(run, number) for number in range(layer * width, (layer + 1) * width)))

        return job

    def _record(self, row: tuple[int, int, str, str]) -> asyncio.Future[None]:
        """Have a row committed with the others of this turn."""
        self._batch.append(row)
        if self._committed is None:
            loop = asyncio.get_running_loop()
            self._committed = loop.create_future()
            loop.call_soon(self._commit, self._committed)
        return self._committed

    def _commit(self, waiting: asyncio.Future[None]) -> None:
        rows, self._batch, self._committed = self._batch, [], None
        self._database.execute("BEGIN")
        self._database.executemany(INSERT, rows)
        self._database.execute("COMMIT")
        waiting.set_result(None)


ENTRANT = SqliteFloor
