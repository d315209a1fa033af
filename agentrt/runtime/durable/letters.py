"""Waiting for what comes of a letter to a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.store import archive
from agentrt.store.journal import Journal
from agentrt.store.rows import RunRow

T = TypeVar("T")

LOOK_S: Final = 0.2
"""Seconds between two looks."""

PATIENCE_S: Final = 10.0
"""Seconds after which a process that has the run, and has not read the letter, is not waited for any longer."""


async def came_of(
    journal: Journal, run: str, look: Callable[[AsyncConnection, RunRow], Awaitable[T | None]]
) -> T | None:
    """What ``look`` finds, as soon as it does; ``None`` when no process has the run, or it takes too long."""
    left = PATIENCE_S
    while True:
        async with journal.connect() as connection:
            row = await archive.find_run(connection, run)
            live = await archive.owner_of(connection, row) is not None  # before the look, which is then the last one
            found = await look(connection, row)
        if found is not None or not live or left <= 0:
            return found
        await asyncio.sleep(LOOK_S)
        left -= LOOK_S
