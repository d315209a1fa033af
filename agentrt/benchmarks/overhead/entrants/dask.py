"""Dask distributed: a scheduler and one worker in this process, as its documentation advises for small tasks.

``processes=False`` saves it the serialisation between processes. Keys are given, or it would take equal calls for the
same one and run them once.
"""

from __future__ import annotations

import warnings
from itertools import count
from typing import Any, Self

from distributed import Client

from agentrt.benchmarks.overhead import contract
from agentrt.benchmarks.overhead.contract import Entrant, Job, Skew


async def _noop(*before: Any) -> None:
    await contract.noop()


async def _nap(seconds: float, *before: Any) -> None:
    await contract.nap(seconds)


class Dask(Entrant):
    """Futures of an asynchronous client."""

    async def __aenter__(self) -> Self:
        warnings.simplefilter("ignore")
        # 64 threads, so that sleeping steps do not run out of places; no dashboard, which only costs.
        self._client = await Client(
            processes=False, n_workers=1, threads_per_worker=64, dashboard_address=None, asynchronous=True
        )
        self._keys = count()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    def _submit(self, function: Any, *args: Any) -> Any:
        return self._client.submit(function, *args, key=f"step-{next(self._keys)}")

    def chain(self, steps: int) -> Job:
        """Each future depends on the one before."""

        async def job() -> None:
            last = self._submit(_noop)
            for _ in range(steps - 1):
                last = self._submit(_noop, last)
            await last

        return job

    def wide(self, steps: int) -> Job:
        """One layer."""
        return self.layered(1, steps)

    def layered(self, layers: int, width: int) -> Job:
        """Each layer gathered."""

        async def job() -> None:
            for _ in range(layers):
                await self._client.gather([self._submit(_noop) for _ in range(width)])

        return job

    def skewed(self, skew: Skew) -> Job:
        """Each future depends on the one before in its branch."""

        async def job() -> None:
            ends = []
            for naps in skew.branches:
                end = self._submit(_nap, naps[0])
                for seconds in naps[1:]:
                    end = self._submit(_nap, seconds, end)
                ends.append(end)
            await self._client.gather(ends)

        return job


ENTRANT = Dask
