"""Runs are ended by other processes: by a letter to the one that has the run, or in its place when it is gone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.errors import RunCancelled, RunTaken
from agentrt.store import archive
from agentrt.store.codec import encode
from agentrt.store.journal import Journal
from agentrt.store.rows import PROGRAM, Entry, OwnerRow, RunChange, RunRow, ShownStatus
from agentrt.store.views import status_of

LETTER: Final = "cancel"
"""The kind of letter that holds the wish to cancel: ``{"owner": the process it is for}``."""

LOOK_S: Final = 0.2
"""Seconds between two looks whether the run has ended."""

PATIENCE_S: Final = 3.0
"""Seconds after which it is said what is waited for."""


class Cancelled(NamedTuple):
    """The run as it stands then, and how it ``was`` before."""

    run: RunRow
    was: ShownStatus


async def cancel(
    journal: Journal, name: str, *, now: Callable[[], float], waits_for: Callable[[RunRow, OwnerRow], object]
) -> Cancelled:
    """End a run in whichever process it is, and wait for that; what has ended already stays as it is.

    ``waits_for`` is called when a process takes its time. Raises ``NoSuchRun``, and ``RunTaken`` when another process
    takes the run over meanwhile.
    """
    row, owner = await _run_and_owner(journal, name)
    was = status_of(row, owner)
    if owner is not None:
        await _ask_to_end(journal, row, owner, now(), waits_for)
        row, _ = await _run_and_owner(journal, row.id)
    if status_of(row, None) in ("interrupted", "waiting"):
        await _end_in_its_place(journal, row)
        row, _ = await _run_and_owner(journal, row.id)
    return Cancelled(row, was)


async def _ask_to_end(
    journal: Journal, row: RunRow, owner: OwnerRow, wall: float, waits_for: Callable[[RunRow, OwnerRow], object]
) -> None:
    """Have the process end the run, and wait until it has, or is gone itself."""
    async with journal.connect(write=True) as connection:
        await archive.post(connection, row.id, LETTER, PROGRAM, json.dumps({"owner": owner.id}), wall)
    say_at = time.monotonic() + PATIENCE_S
    while True:
        _, has_it = await _run_and_owner(journal, row.id)
        if has_it is None:
            return
        if has_it.id != owner.id:
            raise RunTaken(archive.has_it(row, has_it))
        if time.monotonic() > say_at:
            say_at = float("inf")
            waits_for(row, owner)
        await asyncio.sleep(LOOK_S)


async def _end_in_its_place(journal: Journal, row: RunRow) -> None:
    """Write the end of a run that no process has, in its own journal and in the list."""
    await journal.claim(row)
    try:
        async with journal.connect(write=True) as connection:
            row = await archive.find_run(connection, row.id)  # again: another process may have had it until now
            if status_of(row, None) in ("interrupted", "waiting"):
                await _write_end(connection, row)
    finally:
        journal.writer().leave(row.id)
        await journal.release(row.id)


async def _write_end(connection: AsyncConnection, row: RunRow) -> None:
    error = RunCancelled(f"run {row.id} was cancelled: agentrt runs cancel")
    last = await archive.last_entry(connection, row.id)
    at = 0.0 if last is None else last.at
    seq, batch, seen = (1, 0, 0) if last is None else (last.seq + 1, last.batch + 1, last.seen)
    data = f'{{"status":"cancelled","value":{encode(error)},"error":{json.dumps(str(error))}}}'
    entry = Entry(row.id, seq, batch, at, "over", PROGRAM, seen, data)
    await archive.end_run(connection, entry, RunChange("cancelled", at, str(error), None, row.id))
    for letter in await archive.letters(connection, [row.id]):
        if letter.kind == LETTER:  # for the process that is gone
            await archive.discard(connection, letter)


async def _run_and_owner(journal: Journal, name: str) -> tuple[RunRow, OwnerRow | None]:
    async with journal.connect() as connection:
        return await archive.run_and_owner(connection, name)
