"""What may go wrong on the way of a hint: it is lost, it comes late, or it says something else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from agentrt.errors import ExecutorError
from agentrt.executors.hinting import HintChannel
from agentrt.kvcache.hints import Capability, Hint
from agentrt.types import Message, ToolSpec

DELAY_S: Final = 5.0
LONGEST_S: Final = 30.0
"""The longest time that a hint drawn at random speaks of, in seconds."""


class Faulty:
    """A channel around another one, which still says what the engine can do."""

    def __init__(self, inner: HintChannel, seed: int) -> None:
        self._inner = inner
        self._draw = random.Random(seed)  # noqa: S311 - faults, not secrets

    async def capability(self) -> Capability:
        """See ``HintChannel``."""
        return await self._inner.capability()

    async def prefix(self, fixed: tuple[Message, ...], tools: tuple[ToolSpec, ...]) -> tuple[int, ...]:
        """See ``HintChannel``."""
        return await self._inner.prefix(fixed, tools)

    async def send(self, hints: Sequence[Hint]) -> None:
        """Hand them on."""
        await self._inner.send(hints)

    async def close(self) -> None:
        """Nothing is on its way."""


class Dropped(Faulty):
    """Every hint is lost."""

    async def send(self, hints: Sequence[Hint]) -> None:
        """Send nothing."""


class Delayed(Faulty):
    """Every hint comes ``DELAY_S`` seconds late, in its order."""

    def __init__(self, inner: HintChannel, seed: int) -> None:
        super().__init__(inner, seed)
        self._late: set[asyncio.Task[None]] = set()

    async def send(self, hints: Sequence[Hint]) -> None:
        """Return at once, send later; what is still on its way when the run is over is lost."""
        task = asyncio.get_running_loop().create_task(self._later(tuple(hints)))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def close(self) -> None:
        """Lose what is on its way."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _later(self, hints: Sequence[Hint]) -> None:
        await asyncio.sleep(DELAY_S)
        with suppress(ExecutorError):  # a hint that cannot be told is a hint that is not there
            await self._inner.send(hints)


class Random(Faulty):
    """Every hint comes in time and says something drawn at random; now and then that a context has ended."""

    async def send(self, hints: Sequence[Hint]) -> None:
        """Send other hints on the same subjects."""
        await self._inner.send([self._drawn(hint) for hint in hints])

    def _drawn(self, hint: Hint) -> Hint:
        draw = self._draw
        return replace(
            hint,
            keep=draw.uniform(0, LONGEST_S),
            priority=draw.uniform(-10, 10),
            steps=draw.choice([None, *range(20)]),
            remaining=draw.choice([None, draw.uniform(0, LONGEST_S)]),
            ended=draw.random() < 0.1,
            prefetch=draw.random() < 0.1,
        )
