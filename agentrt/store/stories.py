"""All that a journal holds of one step, or of some of them: what screens and reports tell of a step is made of that."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.store import archive, schema
from agentrt.store.rows import Entry, NoteRow, StepStory
from agentrt.store.telling import entry_json, hashes_of
from agentrt.types import RunId, StepId

_PAGE: Final = 2_000
"""Entries that are read at once to find those of some steps."""

_REMEMBERED: Final = 1 << 24
"""Characters of conversations that are not read again."""

Hints = Sequence[tuple[float, dict[str, Any]]]


async def story_of(connection: AsyncConnection, run: RunId, step: StepId) -> StepStory:
    """Everything about a step; empty for one that there is not."""
    column = schema.entries.c
    query = select(schema.entries).where(column.run == run, column.step == step).order_by(column.seq)
    entries = [Entry(*row) for row in await connection.execute(query)]
    notes = [note_json(note) for _, note in await archive.notes_of(connection, run, step=step)]
    asked = any(entry.kind == "sent" for entry in entries)
    hints = await _hints(connection, run) if asked else ()
    return await _told(step, entries, notes, hints, Conversations(connection, run))


async def stories_of(connection: AsyncConnection, run: RunId, steps: Collection[StepId]) -> AsyncIterator[StepStory]:
    """All about some steps, in the order in which they were called. What a step streamed is not among it."""
    entries: dict[StepId, list[Entry]] = {}
    after = 0
    while page := await archive.entries_of(connection, run, after=after, limit=_PAGE):
        for entry in page:
            if entry.step in steps and entry.kind != "text":
                entries.setdefault(entry.step, []).append(entry)
        after = page[-1].seq
    hints = await _hints(connection, run)
    conversations = Conversations(connection, run)
    for step, some in entries.items():
        yield await _told(step, some, (), hints, conversations)


def note_json(note: NoteRow) -> dict[str, Any]:
    """A note with what it says in place of the text of that."""
    return {**note._asdict(), "data": json.loads(note.data)}


async def _told(
    step: StepId, rows: Sequence[Entry], notes: Sequence[dict[str, Any]], hints: Hints, conversations: Conversations
) -> StepStory:
    hashes = {hash_ for entry in rows for hash_ in hashes_of(entry)}
    bodies = await conversations.texts(hashes)
    entries = [entry_json(entry, bodies.__getitem__) for entry in rows]
    sent: dict[str, Any] = next((one["data"] for one in reversed(entries) if one["kind"] == "sent"), {})
    messages = await conversations.messages(sent.get("messages"))
    about = (["session", sent.get("session")], ["agent", sent.get("agent")])
    own = [(at, hint) for at, hint in hints if hint["subject"][:2] in about]
    return StepStory(step, entries, notes, messages, sent.get("tools") or (), own)


async def _hints(connection: AsyncConnection, run: RunId) -> Hints:
    """Every hint that the engines of a run were sent, with its time."""
    note = schema.notes.c
    told = select(note.at, note.data).where(note.run == run, note.kind == "hints").order_by(note.id)
    return [(at, hint) for at, data in await connection.execute(told) for hint in json.loads(data)["hints"]]


class Conversations:
    """What models were sent, link by link: later turns of a conversation begin with the links of earlier ones."""

    def __init__(self, connection: AsyncConnection, run: RunId) -> None:
        self._connection = connection
        self._run = run
        self._known: dict[str, dict[str, Any]] = {}
        self._size = 0

    async def texts(self, hashes: Collection[str]) -> dict[str, str]:
        """Those of the run's large texts."""
        return await archive.some_bodies(self._connection, self._run, list(hashes))

    async def messages(self, link: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        """A list whole: the messages of its newest link, and of all links before it that are there."""
        found: list[list[dict[str, Any]]] = []
        while link is not None:
            found.append(link["more"])
            link = await self._before(link["on"]) if link["on"] else None
        return [message for more in reversed(found) for message in more]

    async def _before(self, hash_: str) -> dict[str, Any] | None:
        if hash_ not in self._known:
            text = (await self.texts([hash_])).get(hash_)
            if text is None:
                return None
            if self._size > _REMEMBERED:
                self._known.clear()
                self._size = 0
            self._known[hash_] = json.loads(text)
            self._size += len(text)
        return self._known[hash_]
