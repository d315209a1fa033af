"""DBOS: steps of a workflow, in its SQLite system database.

Its own engine has SQLite's defaults, a rollback journal that is flushed for every commit; here it gets the write-ahead
log, which is faster.
"""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from typing import Any, Self

from dbos import DBOS, DBOSConfig
from sqlalchemy import Engine, event

from agentrt.benchmarks.overhead import contract
from agentrt.benchmarks.overhead.contract import DurableEntrant, Job
from agentrt.benchmarks.overhead.ledger import spell

noop = DBOS.step()(contract.noop)


@DBOS.workflow()
async def chain(steps: int) -> None:
    """Each step awaited."""
    value = None
    for _ in range(steps):
        value = await noop(value)


@DBOS.workflow()
async def layered(layers: int, width: int) -> None:
    """Each layer gathered."""
    for _ in range(layers):
        await asyncio.gather(*[noop() for _ in range(width)])


class DurableDbos(DurableEntrant):
    """Asynchronous workflows of plain steps."""

    recorded = "SELECT count(*) FROM operation_outputs"

    async def __aenter__(self) -> Self:
        event.listen(Engine, "connect", self._prepare)
        config: DBOSConfig = {
            "name": "overhead",
            "system_database_url": f"sqlite:///{self.file}",
            "log_level": "ERROR",
        }
        DBOS(config=config)
        DBOS.launch()
        return self

    async def __aexit__(self, *_: object) -> None:
        DBOS.destroy()
        event.remove(Engine, "connect", self._prepare)

    def _prepare(self, connection: Any, _: object) -> None:
        journal = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        connection.execute(f"PRAGMA synchronous={self.sync}")
        self._modes = spell(journal, connection.execute("PRAGMA synchronous").fetchone()[0])

    async def modes(self) -> str:
        """As the latest connection of its pool answered."""
        return self._modes

    def chain(self, steps: int) -> Job:
        """Each step awaited."""
        return lambda: chain(steps)

    def wide(self, steps: int) -> Job:
        """One layer."""
        return self.layered(1, steps)

    def layered(self, layers: int, width: int) -> Job:
        """Each layer gathered."""
        return lambda: layered(layers, width)


ENTRANT = DurableDbos
