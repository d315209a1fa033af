"""Equal requests that are on their way at the same time are asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import TypeAlias

from agentrt.executors.base import Emit, ignore
from agentrt.types import ModelReply

Ask: TypeAlias = Callable[[Emit], Awaitable[ModelReply]]


class Flights:
    """Requests on their way, by what makes them equal."""

    def __init__(self) -> None:
        self._there: dict[Hashable, _Flight] = {}

    def __len__(self) -> int:
        return len(self._there)

    async def share(self, key: Hashable, ask: Ask, emit: Emit = ignore) -> tuple[ModelReply, bool]:
        """The reply to ``ask``, or to the one of the same ``key`` that was asked before and is not answered yet; and
        whether it was this one that was asked.

        Who joins later hears what was said so far at once, and then what comes. The request ends when all who wait for
        it were cancelled, not before. What it fails with, it fails with for all.
        """
        flight = self._there.get(key)
        first = flight is None or flight.ending
        if flight is None or flight.ending:
            flight = self._there[key] = _Flight(ask)
            flight.task.add_done_callback(lambda _: self._landed(key, flight))
        return await flight.reply(emit), first

    def _landed(self, key: Hashable, flight: _Flight) -> None:
        if self._there.get(key) is flight:
            del self._there[key]


class _Flight:
    """One request on its way, and all who wait for it."""

    def __init__(self, ask: Ask) -> None:
        self._said: list[str] = []
        self._waiting: dict[object, Emit] = {}
        self.ending = False
        """Everybody has gone: nobody may come any more."""
        self.task = asyncio.ensure_future(ask(self._hear))

    async def reply(self, emit: Emit) -> ModelReply:
        """Wait for it."""
        me = object()
        for piece in self._said:
            emit(piece)
        self._waiting[me] = emit
        try:
            return await asyncio.shield(self.task)
        finally:
            del self._waiting[me]
            if not self._waiting and not self.task.done():
                self.ending = True
                self.task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await self.task  # it ends at the server, too, before this does

    def _hear(self, piece: str) -> None:
        self._said.append(piece)
        for emit in list(self._waiting.values()):
            emit(piece)
