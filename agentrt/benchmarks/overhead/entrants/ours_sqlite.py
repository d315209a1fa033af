"""agentrt with its journal in SQLite."""

from __future__ import annotations

from pathlib import Path

from agentrt import Runtime
from agentrt.benchmarks.overhead.contract import DurableEntrant, Sync
from agentrt.benchmarks.overhead.entrants.ours import Ours
from agentrt.benchmarks.overhead.ledger import modes_now
from agentrt.store import Journal
from agentrt.store.sqlite import SQLiteCommits


class DurableOurs(DurableEntrant, Ours):
    """agentrt, with a journal."""

    recorded = "SELECT count(*) FROM agentrt_entries WHERE kind = 'ended'"

    def __init__(self, file: Path, sync: Sync) -> None:
        super().__init__(file, sync)
        self._journal = Journal(f"sqlite:///{file}?sync={sync}")
        self._runtime = Runtime(journal=self._journal)

    async def __aexit__(self, *_: object) -> None:
        await self._runtime.close()
        await self._journal.close()

    async def modes(self) -> str:
        """Asked of the connection that steps are committed through."""
        commits = self._journal._open_commits()
        assert isinstance(commits, SQLiteCommits)
        connection = commits._fast if self.sync == "normal" else commits._slow
        assert connection is not None, "it is open"
        return modes_now(connection)


ENTRANT = DurableOurs
