"""Prefect: async tasks in an async flow, against the temporary server that it starts by itself.

The server is a process of its own, and its CPU time is not counted. Its data lies in a temporary folder, it sends no
usage statistics, and logs errors only: lines on the screen are not what is measured.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from typing import Any, Self

from agentrt.benchmarks.overhead import contract
from agentrt.benchmarks.overhead.contract import Entrant, Job, Skew


class Prefect(Entrant):
    """Tasks of a flow."""

    async def __aenter__(self) -> Self:
        self._home = tempfile.TemporaryDirectory(prefix="agentrt-bench-", ignore_cleanup_errors=True)
        os.environ |= {
            "PREFECT_HOME": self._home.name,
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        }
        import prefect

        self._flow: Any = prefect.flow
        self._noop: Any = prefect.task(contract.noop)
        self._nap: Any = prefect.task(contract.nap)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._home.cleanup()

    def chain(self, steps: int) -> Job:
        """Each task awaited."""

        async def chain() -> None:
            for _ in range(steps):
                await self._noop()

        job: Job = self._flow(chain)
        return job

    def wide(self, steps: int) -> Job:
        """One layer."""
        return self.layered(1, steps)

    def layered(self, layers: int, width: int) -> Job:
        """Each layer gathered."""

        async def layered() -> None:
            for _ in range(layers):
                await asyncio.gather(*[self._noop() for _ in range(width)])

        job: Job = self._flow(layered)
        return job

    def skewed(self, skew: Skew) -> Job:
        """A coroutine per branch."""

        async def branch(naps: tuple[float, ...]) -> None:
            for seconds in naps:
                await self._nap(seconds)

        async def skewed() -> None:
            await asyncio.gather(*[branch(naps) for naps in skew.branches])

        job: Job = self._flow(skewed)
        return job


ENTRANT = Prefect
