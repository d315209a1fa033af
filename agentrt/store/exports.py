"""A run as the lines of a file, for people and scripts, and to be opened again as a journal.

The first line is ``{"run": ..., "recording": {"version", "entries", "notes", "texts"}}``: the run, and how many lines
of each kind follow. Then its entries as ``telling.entry_json`` has them, with large texts in their places; its notes,
with ``note:`` before their kind; and the texts that no entry has in its place (``"kind":
"kept"``): the joins that entries name (see ``joins``), and of a fork what belongs to steps that it does not have.

What reading back needs and the rest does not tell stands beside it: ``apart`` names what the journal keeps apart from
an entry, and ``raw`` is an entry's own text where JSON can be written in several ways and it is in another than ours.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentrt.errors import JournalError
from agentrt.store.codec import compact, digest, quoted
from agentrt.store.rows import Entry, NoteRow, RunRow
from agentrt.store.telling import entry_json, hashes_of

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

VERSION: Final = 2
"""Of the form of the lines; a newer one may have lines that cannot be read back here."""

NOTE: Final = "note:"
KEPT: Final = "kept"
PAGE: Final = 2_000
"""Rows that are read at once: a run of any length is told in the memory of so many."""

_ALWAYS_APART: Final = ("tools", "schema", "messages")

Bodies = dict[str, str]


class _Extent(NamedTuple):
    """How much of a run is there: how many entries and notes, and the numbers of the last ones."""

    entries: int
    last: int
    notes: int
    last_note: int


async def lines_of(connection: AsyncConnection, row: RunRow) -> AsyncIterator[dict[str, Any]]:
    """A run as the lines of its recording, each to be written as JSON; what comes while they are read is left out.

    Raises ``JournalError`` when the journal is damaged.
    """
    extent = await _extent(connection, row)
    kept = await _only_kept(connection, row)
    lines = {"version": VERSION, "entries": extent.entries, "notes": extent.notes, "texts": len(kept)}
    yield {"run": run_json(row), "recording": lines}
    async for entry, bodies in told_entries(connection, row, most=extent.last):
        yield entry_line(entry, bodies)
    async for note in told_notes(connection, row, most=extent.last_note):
        yield note_line(note)
    for start in range(0, len(kept), PAGE):
        some = kept[start : start + PAGE]
        texts = await _bodies(connection, row, some)
        for hash_ in some:
            yield {"run": row.id, "kind": KEPT, "hash": hash_, "text": texts[hash_]}


async def told_entries(
    connection: AsyncConnection, row: RunRow, after: int = 0, most: int | None = None
) -> AsyncIterator[tuple[Entry, Bodies]]:
    """A run's entries from the one that follows number ``after`` up to number ``most``, with the texts they need."""
    async for page in _pages(connection, row, after):
        hashes = list({hash_ for entry in page for hash_ in hashes_of(entry)})
        bodies = await _bodies(connection, row, hashes) if hashes else {}
        for entry in page:
            if most is None or entry.seq <= most:
                yield entry, bodies


async def told_notes(connection: AsyncConnection, row: RunRow, most: int | None = None) -> AsyncIterator[NoteRow]:
    """A run's notes up to number ``most``, in order."""
    from agentrt.store import archive

    after = 0
    while page := await archive.notes_of(connection, row.id, after=after, limit=PAGE):
        for number, note in page:
            if most is None or number <= most:
                yield note
        after = page[-1][0]


def run_json(row: RunRow) -> dict[str, Any]:
    """A run with its inputs in their place, as stored."""
    told = {**row._asdict(), "inputs": json.loads(row.inputs) if row.inputs else None}
    return told if inputs_text(told) == row.inputs else {**told, "raw": row.inputs}


def entry_line(entry: Entry, bodies: Mapping[str, str]) -> dict[str, Any]:
    """One entry with its large texts in their places, and what reading it back needs."""
    line = entry_json(entry, bodies.__getitem__)
    if apart := _apart(entry):
        line["apart"] = apart
    texts = {hash_: bodies[hash_] for hash_ in hashes_of(entry)}
    if stored(line) != (entry.data, texts):
        line["raw"] = {"data": entry.data, "texts": texts}
    return line


def note_line(note: NoteRow) -> dict[str, Any]:
    """One note."""
    line = {**note._asdict(), "kind": f"{NOTE}{note.kind}", "data": json.loads(note.data)}
    return line if note_text(line["data"]) == note.data else {**line, "raw": note.data}


def _apart(entry: Entry) -> list[str]:
    """The names, as they are shown, of what an entry has the hash of; those that always are so are not named."""
    data = json.loads(entry.data) if "body" in entry.data else None
    if not isinstance(data, dict):
        return []
    return [name.removesuffix("body") or "value" for name in data if name.endswith("body")]


async def _pages(connection: AsyncConnection, row: RunRow, after: int = 0) -> AsyncIterator[list[Entry]]:
    from agentrt.store import archive

    while True:
        page = await archive.entries_of(connection, row.id, after=after, limit=PAGE)
        yield page
        if len(page) < PAGE:
            return
        after = page[-1].seq


async def _extent(connection: AsyncConnection, row: RunRow) -> _Extent:
    from sqlalchemy import func, select

    from agentrt.store import schema

    found: list[int] = []
    for table, number in ((schema.entries, schema.entries.c.seq), (schema.notes, schema.notes.c.id)):
        query = select(func.count(), func.coalesce(func.max(number), 0)).where(table.c.run == row.id)
        found += (await connection.execute(query)).one()
    return _Extent(*found)


async def _only_kept(connection: AsyncConnection, row: RunRow) -> list[str]:
    """The hashes of texts that no entry has in its place."""
    from sqlalchemy import select

    from agentrt.store import schema

    body = schema.bodies.c
    needed = {hash_ async for page in _pages(connection, row) for entry in page for hash_ in hashes_of(entry)}
    found = await connection.execute(select(body.hash).where(body.run == row.id).order_by(body.hash))
    return [str(hash_) for (hash_,) in found if hash_ not in needed]


async def _bodies(connection: AsyncConnection, row: RunRow, hashes: list[str]) -> Bodies:
    from agentrt.store import archive

    found = await archive.some_bodies(connection, row.id, hashes)
    if missing := next((hash_ for hash_ in hashes if hash_ not in found), None):
        raise JournalError(f"the journal of run {row.id} is damaged: the text {missing} is missing")
    return found


# -- as the journal has it -------------------------------------------------------------------------------------------


def stored(line: Mapping[str, Any]) -> tuple[str, Bodies]:
    """An entry's text as the journal has it, and the texts kept apart by hash, of a line that has no ``raw``."""
    data = line["data"]
    if not isinstance(data, dict):
        return compact(data), {}
    if not data:
        return ("{}" if line["kind"] == "called" else ""), {}
    texts: Bodies = {}
    parts = [_part(line, name, value, texts) for name, value in data.items()]
    return f"{{{','.join(parts)}}}", texts


def _part(line: Mapping[str, Any], name: str, value: Any, texts: Bodies) -> str:
    always = line["kind"] == "sent" and name in _ALWAYS_APART and value is not None
    if always or name in line.get("apart", ()):
        text = compact({key: value[key] for key in ("on", "more")} if always and name == "messages" else value)
        hash_ = digest(text)
        if always and name == "messages" and value["id"] != hash_:
            raise ValueError("the messages are not those of their id")
        texts[hash_] = text
        return f'{quoted(name if always else "body" if name == "value" else f"{name}body")}:"{hash_}"'
    if name == "began" and isinstance(value, float):
        return f'"began":{value:.6f}'
    return f"{quoted(name)}:{compact(value)}"


def inputs_text(told: Mapping[str, Any]) -> str:
    """A run's inputs as the journal has them, of what ``run_json`` tells."""
    inputs = told.get("inputs")
    return "" if inputs is None else compact(inputs)


def note_text(data: Any) -> str:
    """What a note says, as the journal has it."""
    from agentrt.store.writer import clean

    return clean(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
