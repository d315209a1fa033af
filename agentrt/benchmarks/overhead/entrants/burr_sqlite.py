"""Burr with its SQLite persister, which writes the state after every action, in the sub-applications as well.

It writes in the event loop. Burr advises the asynchronous one for actions like these, and says so for every
sub-application, but that costs more: it takes part beside this one. The connection is made here, so that it gets the
write-ahead log; by itself the persister has SQLite's defaults, a rollback journal that is flushed for every commit.
"""

from __future__ import annotations

import logging
import sqlite3
from typing import Self

from burr.core.persistence import SQLitePersister

from agentrt.benchmarks.overhead.contract import DurableEntrant
from agentrt.benchmarks.overhead.entrants.burr import Burr
from agentrt.benchmarks.overhead.ledger import modes_now


class DurableBurr(DurableEntrant, Burr):
    """State machine applications whose states are written."""

    recorded = "SELECT count(*) FROM burr_state"

    async def __aenter__(self) -> Self:
        logging.getLogger("burr.core.parallelism").setLevel(logging.ERROR)
        self._connection = sqlite3.connect(self.file)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute(f"PRAGMA synchronous={self.sync}")
        self.persister = SQLitePersister(str(self.file), connection=self._connection)
        self.persister.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._connection.close()

    async def modes(self) -> str:
        """Asked of the persister's connection."""
        return modes_now(self._connection)


ENTRANT = DurableBurr
