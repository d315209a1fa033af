"""Edits of a run by other processes: a letter with the document, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.errors import EditRefused, UsageError
from agentrt.runtime.documents import parsed
from agentrt.runtime.durable.letters import came_of
from agentrt.store import archive
from agentrt.store.journal import Journal
from agentrt.store.rows import PROGRAM, RunRow
from agentrt.types import RunId

LETTER: Final = "edit"
"""The kind of letter that holds the document of an edit."""

EditOutcome: TypeAlias = Literal["applied", "kept"]
"""applied: the run's graph is changed; kept: the edit waits in the journal for a process that goes on with the run."""


class Sent(NamedTuple):
    """An edit on its way. ``seq`` is the number of the run's last entry by then."""

    run: RunId
    document: dict[str, Any]
    seq: int


async def send(journal: Journal, run: str, document: Mapping[str, Any] | str, *, now: Callable[[], float]) -> Sent:
    """Leave an edit for the process that has the run or will go on with it.

    Raises ``ConfigError`` for what is no such document, ``NoSuchRun``, and ``UsageError`` for a run that is done.
    """
    plain = parsed(document).model_dump(by_alias=True)
    async with journal.connect(write=True) as connection:
        row = await archive.find_run(connection, run)
        if row.status == "done":
            raise UsageError(f"run {row.id} is done, there is nothing to edit; branch off with `agentrt runs fork`")
        seq = await archive.last_seq(connection, row.id)
        await archive.post(connection, row.id, LETTER, PROGRAM, json.dumps(plain), now())
        return Sent(row.id, plain, seq)


async def outcome(journal: Journal, sent: Sent) -> EditOutcome:
    """Wait until the process that has the run, if one does, has made the edit.

    Raises ``EditRefused`` when it did not, ``UsageError`` when the run was done before.
    """
    return await came_of(journal, sent.run, partial(_made, sent)) or "kept"


async def _made(sent: Sent, connection: AsyncConnection, row: RunRow) -> EditOutcome | None:
    for entry in await archive.entries_of(connection, sent.run, after=sent.seq):
        data = json.loads(entry.data) if entry.kind == "edited" else {}
        if data.get("document") == sent.document:
            if "refused" in data:
                reasons = data["refused"]
                raise EditRefused(f"edit refused, nothing was changed: {'; '.join(reasons)}", reasons=reasons)
            return "applied"
    if row.status == "done":
        raise UsageError(f"run {row.id} was done before it could be edited")
    return None
