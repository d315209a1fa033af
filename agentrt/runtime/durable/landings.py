"""When results are written: together, and the next ones once the program has come to rest after the last ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from agentrt.store.writer import about_to_happen

SETTLE_ROUNDS: Final = 8
"""Turns of the event loop that a program is given to come to rest after it was handed something, when the loop does
not come to rest before: enough for a value to come up through that many nested ``gather`` and tasks."""


class Landings:
    """The results of one run on their way to the disk and back.

    Those that are there when the program comes to rest are written, and so handed on, together; those that come
    meanwhile wait. A replay lets it come to rest between the same groups, so that it does the same with them.
    """

    __slots__ = ("_loop", "_next", "_rounds", "_under_way", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._next = about_to_happen(loop)
        self._waiting: list[Callable[[], None]] = []
        self._under_way = 0
        self._rounds = 0

    def free(self) -> bool:
        """Whether the program is at rest, so that a result may be written now; ``put`` it otherwise."""
        if self._next or self._under_way:
            return False
        self._under_way = 1
        return True

    def put(self, write: Callable[[], None]) -> None:
        """Write a result soon; ``landed`` has to be called when it is about to be handed on."""
        self._waiting.append(write)
        if len(self._waiting) == 1 and not self._under_way:
            self._settle()

    def landed(self) -> None:
        """One of those that were written is on disk."""
        self._under_way -= 1
        if not self._under_way and self._waiting:
            self._settle()

    def together(self) -> None:
        """See that what is put into the journal in this turn of the loop is committed in one group.

        The writer commits at once when nothing is about to happen in the loop.
        """
        self._loop.call_soon(_nothing)

    def close(self) -> None:
        """Write nothing further."""
        self._waiting.clear()

    def _settle(self) -> None:
        self._rounds = SETTLE_ROUNDS
        self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        if self._next and self._rounds:
            self._rounds -= 1
            self._loop.call_soon(self._tick)
            return
        waiting, self._waiting = self._waiting, []
        self._under_way = len(waiting)
        if self._under_way > 1:
            self.together()
        for write in waiting:
            write()


def _nothing() -> None:
    """Something that is about to happen."""
