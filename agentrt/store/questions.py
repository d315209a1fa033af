"""The questions to people that are open in a journal, and the answers on their way to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.store import archive, schema
from agentrt.store.rows import Entry, Letter, RunRow
from agentrt.types import RunId, StepId

LETTER: Final = "answer"
"""The kind of letter that holds an answer: ``{"answer": JSON, "by": who}``."""

_ENTRIES: Final = schema.entries.c
_BODIES: Final = schema.bodies.c
_ABOUT: Final = ("asked", "answered", "ended")


class Asked(NamedTuple):
    """A question that is open: ``question`` as it is kept, with the ``problem`` of the last answer that did not fit."""

    run: RunId
    step: StepId
    question: dict[str, Any]
    context: str


async def unfinished_runs(connection: AsyncConnection) -> list[RunRow]:
    """The runs that may have open questions: those that go on, wait, or had a process that died."""
    runs = schema.runs
    query = select(runs).where(or_(runs.c.status.in_(("running", "waiting")), runs.c.owner.is_not(None)))
    return [RunRow(*row) for row in await connection.execute(query.order_by(runs.c.wall.desc(), runs.c.id))]


async def asked_in(connection: AsyncConnection, run: RunId) -> list[Asked]:
    """The open questions of a run, in the order in which they were asked."""
    found: dict[StepId, tuple[Entry, dict[str, Any]]] = {}
    for entry in await _entries(connection, run):
        data = json.loads(entry.data)
        if entry.kind == "asked":
            found[entry.step] = entry, data
        elif entry.kind == "ended":
            found.pop(entry.step, None)
        elif entry.step in found:
            found[entry.step][1]["question"]["problem"] = data.get("problem", "")
    return [
        Asked(run, step, data["question"], await _context(connection, run, data)) for step, (_, data) in found.items()
    ]


async def about(connection: AsyncConnection, run: RunId, step: StepId) -> list[Entry]:
    """What a run's journal says of one question."""
    return [entry for entry in await _entries(connection, run) if entry.step == step]


async def lock(connection: AsyncConnection, run: RunId) -> None:
    """Let nobody else lock the run within this transaction, so that two answers come one after the other."""
    await connection.execute(select(schema.runs.c.id).where(schema.runs.c.id == run).with_for_update())


async def waiting_answers(connection: AsyncConnection, run: RunId) -> list[Letter]:
    """The answers that nobody has taken yet, the oldest first."""
    return [letter for letter in await archive.letters(connection, [run]) if letter.kind == LETTER]


async def post(connection: AsyncConnection, run: RunId, step: StepId, data: dict[str, Any], wall: float) -> int:
    """Leave an answer; its letter's number."""
    return await archive.post(connection, run, LETTER, step, json.dumps(data), wall)


async def _entries(connection: AsyncConnection, run: RunId) -> Sequence[Entry]:
    steps = select(_ENTRIES.step).where(_ENTRIES.run == run, _ENTRIES.kind == "asked")
    query = (
        select(schema.entries)
        .where(_ENTRIES.run == run, _ENTRIES.kind.in_(_ABOUT), _ENTRIES.step.in_(steps))
        .order_by(_ENTRIES.seq)
    )
    return [Entry(*row) for row in await connection.execute(query)]


async def _context(connection: AsyncConnection, run: RunId, data: dict[str, Any]) -> str:
    if "contextbody" not in data:
        return str(data.get("context", ""))
    query = select(_BODIES.text).where(_BODIES.run == run, _BODIES.hash == data["contextbody"])
    return str(json.loads((await connection.execute(query)).scalar_one()))
