"""What a cache has to do with its store, so that no answer ever waits for a disk that can be done without."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from agentrt.errors import JournalError
from agentrt.semcache.base import Answer, AnswerId, AnswerStore
from agentrt.types import ModelReply

_REPLIES: Final = 4_096
"""Replies that are kept in memory; the others are read from the store."""

_IDS: Final = 64
"""Ids that are reserved at once."""


class Keeper:
    """Replies by their answers' ids. ``trouble`` is what the store complained of last: that costs hits, no answers."""

    def __init__(self, store: AnswerStore) -> None:
        self.store = store
        self.trouble = ""
        self._replies: OrderedDict[AnswerId, ModelReply] = OrderedDict()
        self._ids: list[AnswerId] = []
        self._writing: set[asyncio.Task[None]] = set()

    async def new_id(self) -> AnswerId | None:
        """An id for an answer to come; ``None`` when the store has none to give."""
        if not self._ids:
            try:
                self._ids = list(reversed(await self.store.reserve(_IDS)))
            except JournalError as error:
                self.trouble = str(error)
                return None
        return self._ids.pop()

    async def reply(self, answer: AnswerId) -> ModelReply | None:
        """What was said; ``None`` when it is gone, or cannot be read now."""
        if (known := self._replies.get(answer)) is not None:
            self._replies.move_to_end(answer)
            return known
        try:
            reply = await self.store.reply(answer)
        except JournalError as error:
            self.trouble = str(error)
            return None
        if reply is not None:
            self._remember(answer, reply)
        return reply

    def put(self, answer: Answer, gone: Sequence[AnswerId]) -> None:
        """Keep an answer, for which these had to go."""
        for one in gone:
            self._replies.pop(one, None)
        self._remember(answer.id, answer.reply)
        self.beside(self._put(answer, gone))

    async def _put(self, answer: Answer, gone: Sequence[AnswerId]) -> None:
        await self.store.put([answer])
        if gone:
            await self.store.drop(gone)

    def used(self, answer: AnswerId, at: float) -> None:
        """It was given again."""
        self.beside(self.store.used({answer: 1}, at))

    async def flushed(self) -> None:
        """Wait until everything is written."""
        while self._writing:
            await asyncio.wait(self._writing)

    def _remember(self, answer: AnswerId, reply: ModelReply) -> None:
        self._replies[answer] = reply
        self._replies.move_to_end(answer)
        if len(self._replies) > _REPLIES:
            self._replies.popitem(last=False)

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done that no reply waits for; what the store says against it is told as ``trouble``."""
        task = asyncio.ensure_future(self._written(work))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _written(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except JournalError as error:
            self.trouble = str(error)
