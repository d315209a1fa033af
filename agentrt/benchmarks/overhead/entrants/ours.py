"""agentrt through its public names."""

from __future__ import annotations

import asyncio

from agentrt import Handle, Program, Runtime, program, step
from agentrt.benchmarks.overhead import contract
from agentrt.benchmarks.overhead.contract import Entrant, Job, Skew

noop = step(contract.noop)
sink = step(contract.sink)


@step
async def nap(seconds: float, after: float = 0.0) -> float:
    """A step of the skewed graph; ``after`` is the one before it in its branch."""
    return await contract.nap(seconds)


@program
async def chain(steps: int) -> None:
    """Each step awaited."""
    value = None
    for _ in range(steps):
        value = await noop(value)


@program
async def layered(layers: int, width: int) -> None:
    """Each layer gathered."""
    for _ in range(layers):
        await asyncio.gather(*[noop() for _ in range(width)])


@program
async def dense(layers: int, width: int) -> None:
    """Each step takes all handles of the layer before."""
    layer: list[Handle[None]] = []
    for _ in range(layers):
        layer = [sink(layer) for _ in range(width)]
    await asyncio.gather(*layer)


@program
async def skewed(skew: Skew) -> None:
    """Handles all the way; what waits for what is left to the graph."""
    ends = []
    for naps in skew.branches:
        end = nap(naps[0])
        for seconds in naps[1:]:
            end = nap(seconds, end.ref)
        ends.append(end)
    await asyncio.gather(*ends)


class Ours(Entrant):
    """agentrt, in memory."""

    def __init__(self) -> None:
        self._runtime = Runtime()

    async def __aexit__(self, *_: object) -> None:
        await self._runtime.close()

    def _job(self, it: Program[..., None], *args: object) -> Job:
        async def job() -> None:
            result = await self._runtime.run(it, *args)
            assert result.status == "done", result.error

        return job

    def chain(self, steps: int) -> Job:
        """Each step awaited."""
        return self._job(chain, steps)

    def wide(self, steps: int) -> Job:
        """One layer."""
        return self._job(layered, 1, steps)

    def layered(self, layers: int, width: int) -> Job:
        """Each layer gathered."""
        return self._job(layered, layers, width)

    def dense(self, layers: int, width: int) -> Job:
        """Handles of a layer in the arguments of the next."""
        return self._job(dense, layers, width)

    def skewed(self, skew: Skew) -> Job:
        """Handles all the way."""
        return self._job(skewed, skew)


ENTRANT = Ours
