"""LangGraph's functional API: ``@task`` inside ``@entrypoint``, without a checkpointer."""

from __future__ import annotations

import asyncio
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.func import entrypoint, task
from langgraph.pregel import Pregel

from agentrt.benchmarks.overhead import contract
from agentrt.benchmarks.overhead.contract import Entrant, Job, Skew

noop = task(contract.noop)
nap = task(contract.nap)


class LangGraphTasks(Entrant):
    """Futures of tasks, awaited by ordinary code."""

    saver: BaseCheckpointSaver[str] | None = None

    def job(self, flow: Pregel[Any]) -> Job:
        """Runs of an entrypoint."""
        return lambda: flow.ainvoke(0)

    def chain(self, steps: int) -> Job:
        """Each task awaited."""

        @entrypoint(self.saver)
        async def chain(_: Any) -> None:
            value = None
            for _ in range(steps):
                value = await noop(value)

        return self.job(chain)

    def wide(self, steps: int) -> Job:
        """One layer."""
        return self.layered(1, steps)

    def layered(self, layers: int, width: int) -> Job:
        """Each layer gathered."""

        @entrypoint(self.saver)
        async def layered(_: Any) -> None:
            for _ in range(layers):
                await asyncio.gather(*[noop(None) for _ in range(width)])

        return self.job(layered)

    def skewed(self, skew: Skew) -> Job:
        """A coroutine per branch."""

        async def branch(naps: tuple[float, ...]) -> None:
            for seconds in naps:
                await nap(seconds)

        @entrypoint(self.saver)
        async def skewed(_: Any) -> None:
            await asyncio.gather(*[branch(naps) for naps in skew.branches])

        return self.job(skewed)


ENTRANT = LangGraphTasks
