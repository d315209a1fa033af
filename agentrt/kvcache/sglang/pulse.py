"""The one clock of hints: while any may be valid, the HTTP process sends the time to the schedulers. Standard library.

Schedulers read no clock of their own for hints: with tensor parallelism all ranks must let a hint expire between the
same two steps. So expiry comes as a message, in one order with the hints and requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

PERIOD = 0.25
"""Seconds from tick to tick: how late a hint may expire."""

TICKS_PER_LOOK = 20
"""After so many ticks the schedulers are asked whether any hint is left; if not, the ticks end."""


class Pulse:
    """Calls ``tick`` every ``PERIOD`` seconds from ``wake`` on, for as long as ``look`` finds a valid hint.

    An engine without hints gets no ticks: it may sleep. ``sleep`` waits for some seconds; tests put theirs.
    """

    def __init__(
        self,
        tick: Callable[[], None],
        look: Callable[[], Awaitable[bool]],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._tick, self._look, self._sleep = tick, look, sleep
        self._task: asyncio.Task[None] | None = None
        self._woken = False

    @property
    def beating(self) -> bool:
        """Whether ticks are being sent."""
        return self._task is not None and not self._task.done()

    def wake(self) -> None:
        """A hint may have come: tick from now on. Call it within the event loop, as often as you like."""
        self._woken = True
        if not self.beating:
            self._task = asyncio.get_running_loop().create_task(self._beat(), name="agentrt-pulse")

    async def _beat(self) -> None:
        wanted = True
        while wanted:
            for _ in range(TICKS_PER_LOOK):
                await self._sleep(PERIOD)
                self._tick()
            self._woken = False
            wanted = await self._left() or self._woken

    async def _left(self) -> bool:
        try:
            return await self._look()
        except Exception:  # noqa: BLE001 - a scheduler that is slow to answer still wants to know the time
            logger.warning("agentrt: no answer on whether hints are left; the clock goes on")
            return True
