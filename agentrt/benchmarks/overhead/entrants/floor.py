"""asyncio and nothing else: a task per step. What every asyncio library pays at least."""

from __future__ import annotations

import asyncio

from agentrt.benchmarks.overhead.contract import Entrant, Job, Skew, nap, noop, sink


class Floor(Entrant):
    """The floor."""

    def chain(self, steps: int) -> Job:
        """A task after the other."""

        async def job() -> None:
            value = None
            for _ in range(steps):
                value = await asyncio.create_task(noop(value))

        return job

    def wide(self, steps: int) -> Job:
        """One ``gather``."""

        async def job() -> None:
            await asyncio.gather(*(noop() for _ in range(steps)))

        return job

    def layered(self, layers: int, width: int) -> Job:
        """A ``gather`` after the other."""

        async def job() -> None:
            for _ in range(layers):
                await asyncio.gather(*(noop() for _ in range(width)))

        return job

    def dense(self, layers: int, width: int) -> Job:
        """Each step gathers the tasks of the layer before."""

        async def step(before: list[asyncio.Task[None]]) -> None:
            await sink(await asyncio.gather(*before))

        async def job() -> None:
            layer: list[asyncio.Task[None]] = []
            for _ in range(layers):
                layer = [asyncio.create_task(step(layer)) for _ in range(width)]
            await asyncio.gather(*layer)

        return job

    def skewed(self, skew: Skew) -> Job:
        """A coroutine per branch."""

        async def branch(naps: tuple[float, ...]) -> None:
            for seconds in naps:
                await asyncio.create_task(nap(seconds))

        async def job() -> None:
            await asyncio.gather(*(branch(naps) for naps in skew.branches))

        return job


ENTRANT = Floor
