"""Burr with its asynchronous SQLite persister: the state after every action, in the sub-applications as well.

The connection is made here, so that it gets the write-ahead log; by itself the persister has SQLite's defaults, a
rollback journal that is flushed for every commit.
"""

from __future__ import annotations

from typing import Self

import aiosqlite
from burr.integrations.persisters.b_aiosqlite import AsyncSQLitePersister

from agentrt.benchmarks.overhead.contract import DurableEntrant
from agentrt.benchmarks.overhead.entrants.burr import Burr
from agentrt.benchmarks.overhead.ledger import modes


class DurableBurr(DurableEntrant, Burr):
    """State machine applications whose states are written."""

    recorded = "SELECT count(*) FROM burr_state"

    async def __aenter__(self) -> Self:
        self._connection = await aiosqlite.connect(self.file)
        await self._connection.execute("PRAGMA journal_mode=WAL")
        await self._connection.execute(f"PRAGMA synchronous={self.sync}")
        self.persister = AsyncSQLitePersister(self._connection)
        await self.persister.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def modes(self) -> str:
        """Asked of the persister's connection."""
        return await modes(self._connection)


ENTRANT = DurableBurr
