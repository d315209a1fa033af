"""Burr with its asynchronous SQLite persister, which writes in a thread; see ``burr_sqlite``."""

from __future__ import annotations

from typing import Self

import aiosqlite
from burr.integrations.persisters.b_aiosqlite import AsyncSQLitePersister

from agentrt.benchmarks.overhead.contract import DurableEntrant
from agentrt.benchmarks.overhead.entrants.burr import Burr
from agentrt.benchmarks.overhead.ledger import modes


class DurableBurrAsync(DurableEntrant, Burr):
    """State machine applications whose states are written in a thread."""

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


ENTRANT = DurableBurrAsync
