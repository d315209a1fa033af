"""Writes that come while another is on its way go together into the next transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.errors import JournalError
from agentrt.store.writer import resolve

Write: TypeAlias = Callable[[AsyncConnection, Sequence[Any]], Awaitable[None]]
"""Writes rows of one kind."""

Begin: TypeAlias = Callable[[], AbstractAsyncContextManager[AsyncConnection]]
"""Begins a transaction."""


class _Call(NamedTuple):
    write: Write
    rows: Sequence[Any]
    done: asyncio.Future[None]


class Groups:
    """Calls in the order in which they come, a transaction for all that wait; each is kept whole or not at all.

    When rows do not fit, each call of their group is made by itself, so that the error is told to whose it is. What
    keeps a database from being written is told to all of them at once.
    """

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._waiting: list[_Call] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, write: Write, rows: Sequence[Any]) -> None:
        """Write these rows; when this returns they are kept. Raises what ``write`` raises."""
        loop = asyncio.get_running_loop()
        call = _Call(write, rows, loop.create_future())
        self._waiting.append(call)
        if self._writing is None or self._writing.done():
            self._writing = loop.create_task(self._write_all())
        await call.done

    async def _write_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            await self._try(group)

    async def _try(self, group: list[_Call]) -> None:
        try:
            await self._commit(group)
        except Exception as error:  # noqa: BLE001 - it is told to those who wait
            if len(group) > 1 and _of_rows(error):
                for call in group:
                    await self._try([call])
                return
            for call in group:
                if not call.done.done():
                    call.done.set_exception(error)

    async def _commit(self, group: list[_Call]) -> None:
        async with self._begin() as connection:
            for write, calls in groupby(group, key=lambda call: call.write):
                await write(connection, [row for call in calls for row in call.rows])
        for call in group:
            resolve(call.done)


def _of_rows(error: Exception) -> bool:
    """Whether the rows are at fault, so that others may be kept; waiting for a lock, say, is in vain for all."""
    return not isinstance(error, JournalError) or isinstance(error.__cause__, (DataError, IntegrityError))
