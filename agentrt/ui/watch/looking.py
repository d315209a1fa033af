"""Looks at what is slow to look at: one at a time, and never so often that it is a burden. Nothing of Textual."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

PAUSE: Final = 4.0
"""How many times as long as a look took the next one is put off: whoever searches a long log is no burden to it."""


class Looking:
    """Does ``look`` whenever it is ``wanted``; once more after it, if it was wanted meanwhile.

    ``work`` starts a coroutine in the background; ``clock`` is in seconds.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[None]],
        work: Callable[[Coroutine[Any, Any, None]], object],
        clock: Callable[[], float],
    ) -> None:
        self._look = look
        self._work = work
        self._clock = clock
        self._stale = self._busy = False

    def wanted(self) -> None:
        """There may be something new: look at once, or as soon as may be."""
        self._stale = True
        if not self._busy:
            self._busy = True
            self._work(self._keep())

    async def _keep(self) -> None:
        try:
            while self._stale:
                self._stale = False
                began = self._clock()
                await self._look()
                await asyncio.sleep(PAUSE * (self._clock() - began))
        finally:
            self._busy = False
