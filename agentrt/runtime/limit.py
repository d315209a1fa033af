"""A step's time limit, which stands still while an engine is being started."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agentrt.errors import StepTimeout

if TYPE_CHECKING:
    from agentrt.runtime.handle import Handle


class Limit:
    """Bounds one attempt at a step; ``stop`` and ``go`` come in pairs and may nest."""

    __slots__ = ("_left", "_stopped", "_timeout", "over")

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self._timeout = timeout
        self._stopped = 0
        self._left = 0.0
        self.over = False

    def stop(self) -> None:
        """Let no more time pass."""
        self._stopped += 1
        deadline = self._timeout.when()
        if self._stopped == 1 and deadline is not None and self._counts:
            self._left = deadline - asyncio.get_running_loop().time()
            self._timeout.reschedule(None)

    def go(self) -> None:
        """Let time pass again, once for each ``stop``."""
        self._stopped -= 1
        if self._stopped == 0 and self._counts:
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._left)

    @property
    def _counts(self) -> bool:
        return not self.over and not self._timeout.expired()


@contextmanager
def off_the_clock(handle: Handle[Any]) -> Iterator[None]:
    """What happens inside counts against the time limit of neither the step nor those that called it."""
    limits = []
    above: Handle[Any] | None = handle
    while above is not None:
        if above.limit is not None:
            limits.append(above.limit)
        above = above.parent
    for limit in limits:
        limit.stop()
    try:
        yield
    finally:
        for limit in limits:
            limit.go()


async def in_time(handle: Handle[Any], seconds: float, work: Awaitable[Any]) -> Any:
    """Do the step's work for so long at most. Raises ``StepTimeout``."""
    timeout = asyncio.timeout(seconds)
    handle.limit = limit = Limit(timeout)
    try:
        async with timeout:
            return await work
    except TimeoutError as error:
        if not timeout.expired():
            raise  # the step's own
        raise StepTimeout(
            f"step {handle.id!r} ran longer than its timeout of {seconds:g} s (attempt {handle.node.attempt}); "
            f"raise timeout=, or find out what it waits for"
        ) from error
    finally:
        limit.over = True
        handle.limit = None
