"""The answers of the semantic cache and what was learned of them, in a journal's database.

One row is one answer with its reply, and a call writes its rows in one transaction: what is there is whole, whenever
a process dies. Processes may share a database; what one puts, another sees when it reads.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import Float, bindparam, case, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.errors import JournalError, NoSuchAnswer
from agentrt.semcache.base import Answer, AnswerId, Feedback, Shelf, Standing
from agentrt.store import schema
from agentrt.store.archive import upsert
from agentrt.store.grouping import Groups
from agentrt.store.journal import Journal
from agentrt.store.writer import clean
from agentrt.types import ModelReply, ToolCall, Usage

PAGE: Final = 4_000
"""Answers that are read at once."""

LARGEST: Final = 2**63 - 1
"""What databases take as a number; nothing beyond is an answer's."""

_AT_ONCE: Final = 500
"""Answers named in one statement; databases limit that."""

ENTRIES: Final = 8
"""Entries of a run that are about as large as one answer."""

_LOCK: Final = 4_274_912_332
"""Any number, the same for everybody who writes answers in PostgreSQL."""

_ANSWERS: Final = schema.answers.c
_COUNTER: Final = "answer"
_NAMES: Final = ("scope", "category", "fingerprint", "exact")
"""What an answer is replaced by: another to an equal request on the same shelf."""

_HEAVY: Final = ("prompt", "cached", "completion", "hits", "used", "reply")
LIGHT: Final = tuple(column for column in _ANSWERS if column.name not in _HEAVY)
"""The columns of an answer without its reply, in the order in which ``light`` reads them."""


Use: TypeAlias = tuple[int, float | None]
"""How often an answer was given again, and when last."""

NO_USES: Final[Mapping[AnswerId, Use]] = {}


class Known(NamedTuple):
    """What many answers have in common: one object each."""

    shelves: dict[tuple[str, str, str], Shelf]
    replies: dict[str, ModelReply]


class Answers:
    """The answers in a journal: an ``AnswerStore``, whose every call may raise ``JournalError``."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._groups = Groups(self.writing)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that changes answers, one at a time: two that lock rows in different orders end each other."""
        await self.journal.settled()
        async with self.journal.connect(write=True) as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    async def reserve(self, count: int) -> range:
        """Ids for so many answers to come: larger than all before, and nobody else's, in this process or another."""
        if count < 1:
            return range(0)
        async with self.journal.connect(write=True) as connection:
            return await reserve(connection, count)

    async def put(self, answers: Sequence[Answer]) -> None:
        """Keep these, all or none; an answer to an equal request on the same shelf is replaced.

        Raises ``JournalError`` when an id is another answer's already.
        """
        if answers:
            await self._groups.write(put, answers)
            self.journal.grew(ENTRIES * len(answers))

    async def answers(self, *, after: AnswerId = 0) -> AsyncIterator[Sequence[Answer]]:
        """All that are kept, in the order of their ids, some thousand at a time. Of their replies only the model."""
        query = select(*LIGHT).where(_ANSWERS.id > bindparam("after")).order_by(_ANSWERS.id).limit(PAGE)
        known = Known({}, {})
        while True:
            async with self.journal.connect() as connection:
                rows = (await connection.execute(query, {"after": after})).all()
            if not rows:
                return
            after = int(rows[-1][0])
            yield await asyncio.to_thread(_all_light, rows, known)  # some ten milliseconds of Python

    async def reply(self, answer: AnswerId) -> ModelReply | None:
        """What was said; ``None`` when it is gone. Raises ``JournalError`` when it is damaged."""
        query = select(_ANSWERS.model, _ANSWERS.prompt, _ANSWERS.cached, _ANSWERS.completion, _ANSWERS.reply)
        async with self.journal.connect() as connection:
            row = (await connection.execute(query.where(_ANSWERS.id == answer))).one_or_none()
        return None if row is None else said(answer, row.model, Usage(*row[1:4]), row.reply)

    async def drop(self, answers: Sequence[AnswerId]) -> None:
        """Throw these out; what is gone already is no mistake."""
        if answers:
            await self._groups.write(_drop, answers)

    async def stand(self, answer: AnswerId, standing: Standing) -> None:
        """Sign an answer, or refuse it. Raises ``NoSuchAnswer`` when it is gone."""
        if answer > LARGEST:
            raise no_such_answer(answer)
        async with self.writing() as connection:
            stands = update(schema.answers).where(_ANSWERS.id == answer).values(standing=standing)
            if (await connection.execute(stands)).rowcount != 1:
                raise no_such_answer(answer)

    async def used(self, hits: Mapping[AnswerId, int], at: float) -> None:
        """These were given again so many times, the last of them at ``at``."""
        if hits:
            await self._groups.write(_count, [{"answer": id_, "more": more, "last": at} for id_, more in hits.items()])

    async def judge(self, feedback: Sequence[Feedback]) -> None:
        """Keep feedback, all or none; it stays when its answer goes."""
        if feedback:
            await self._groups.write(judge, feedback)
            self.journal.grew(len(feedback))

    async def feedback(self) -> Sequence[Feedback]:
        """All of it, the oldest first."""
        async with self.journal.connect() as connection:
            return await feedback_of(connection)


# -- within a transaction of the caller's ----------------------------------------------------------------------------


async def reserve(connection: AsyncConnection, count: int) -> range:
    """So many ids that nobody was given before."""
    counters = schema.counters
    first = upsert(connection)(counters).values(name=_COUNTER, next=1 + count)
    further = first.on_conflict_do_update(index_elements=["name"], set_={"next": counters.c.next + count})
    end = int((await connection.execute(further.returning(counters.c.next))).scalar_one())
    return range(end - count, end)


async def put(connection: AsyncConnection, answers: Sequence[Answer], uses: Mapping[AnswerId, Use] = NO_USES) -> None:
    """Keep these, replacing those to equal requests; ``uses`` is how often they were given again.

    Raises ``JournalError`` when an id is another answer's already.
    """
    statement = upsert(connection)(schema.answers)
    new = {column.name: statement.excluded[column.name] for column in _ANSWERS if column.name not in _NAMES}
    rows = [row_of(answer, uses.get(answer.id, (0, None))) for answer in answers]
    try:
        await connection.execute(statement.on_conflict_do_update(index_elements=list(_NAMES), set_=new), rows)
    except IntegrityError as error:
        ids = sorted(answer.id for answer in answers)
        raise JournalError(
            f"an id between {ids[0]} and {ids[-1]} is another answer's already; use each id once, as reserve() gives it"
        ) from error


async def _drop(connection: AsyncConnection, answers: Sequence[AnswerId]) -> None:
    for some in _some(answers):
        await connection.execute(delete(schema.answers).where(_ANSWERS.id.in_(some)))


async def _count(connection: AsyncConnection, uses: Sequence[Mapping[str, Any]]) -> None:
    last = bindparam("last", type_=Float)
    latest = case((_ANSWERS.used > last, _ANSWERS.used), else_=last)
    count = update(schema.answers).where(_ANSWERS.id == bindparam("answer"))
    await connection.execute(count.values(hits=_ANSWERS.hits + bindparam("more"), used=latest), uses)


async def judge(connection: AsyncConnection, feedback: Sequence[Feedback]) -> None:
    """Keep feedback."""
    rows = [
        {
            **_shelf_columns(one.shelf),
            **one._asdict(),
            "question": clean(one.question),
            "stored": clean(one.stored),
        }
        for one in feedback
    ]
    for row in rows:
        del row["shelf"]
    await connection.execute(insert(schema.feedback), rows)


async def feedback_of(connection: AsyncConnection, answer: AnswerId | None = None) -> list[Feedback]:
    """What was judged, of one answer or of all, the oldest first."""
    told = schema.feedback.c
    columns = [told[name] for name in ("scope", "category", "fingerprint", *Feedback._fields[1:])]
    query = select(*columns).order_by(told.at, told.id)
    if answer is not None:
        query = query.where(told.answer == answer)
    rows = await connection.execute(query)
    return [Feedback(Shelf(again(row[0]), again(row[1]), row[2]), *row[3:]) for row in rows]


def no_such_answer(answer: AnswerId) -> NoSuchAnswer:
    """That it is not there, and how those that are can be found."""
    return NoSuchAnswer(f"the journal keeps no answer {answer}; `agentrt cache inspect TEXT` finds those it keeps")


# -- rows ------------------------------------------------------------------------------------------------------------


def row_of(answer: Answer, use: Use) -> dict[str, Any]:
    """An answer as its row."""
    usage = answer.reply.usage
    return {
        "id": answer.id,
        **_shelf_columns(answer.shelf),
        "exact": answer.exact,
        "question": clean(answer.question),
        "at": answer.at,
        "seconds": answer.seconds,
        "tags": json.dumps(answer.tags),
        "standing": answer.standing,
        "vector": answer.vector,
        "embedder": answer.embedder,
        "model": clean(answer.reply.model),
        "prompt": usage.prompt,
        "cached": usage.cached,
        "completion": usage.completion,
        "hits": use[0],
        "used": use[1],
        "reply": _told(answer.reply),
    }


def light(row: Sequence[Any], known: Known) -> Answer:
    """A row of ``LIGHT`` as an answer with nothing of its reply but the model that gave it."""
    id_, scope, category, fingerprint, exact, question, at, seconds, tags, standing, vector, embedder, model = row
    stored = (scope, category, fingerprint)
    shelf = known.shelves.get(stored)
    if shelf is None:
        shelf = known.shelves[stored] = Shelf(again(scope), again(category), fingerprint)
    reply = known.replies.get(model)
    if reply is None:
        reply = known.replies[model] = ModelReply("", model=model)
    tagged = () if tags == "[]" else tags_of(tags)
    return Answer(id_, shelf, exact, question, reply, at, seconds, tagged, standing, vector, sys.intern(embedder))


def tags_of(text: str) -> tuple[str, ...]:
    """An answer's tags as they are kept."""
    return tuple(json.loads(text))


def said(answer: AnswerId, model: str, usage: Usage, text: str) -> ModelReply:
    """A reply as it is kept. Raises ``JournalError`` when it is damaged."""
    try:
        told = json.loads(text)
        calls = tuple(ToolCall(**call) for call in told["tool_calls"])
        return ModelReply(told["text"], calls, told["finish"], usage, model)
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError(
            f"the reply of answer {answer} is damaged: {error}; refuse it: agentrt cache inspect {answer} --refuse"
        ) from error


def kept(name: str) -> str:
    """A name of a shelf as databases take it: two names that differ stay so, and ``again`` gives the name."""
    return name.encode("unicode_escape").decode("ascii")


def again(name: str) -> str:
    """The name that ``kept`` was given."""
    return name.encode("ascii").decode("unicode_escape") if "\\" in name else name


def _all_light(rows: Iterable[Sequence[Any]], known: Known) -> list[Answer]:
    return [light(row, known) for row in rows]


def _shelf_columns(shelf: Shelf) -> dict[str, Any]:
    return {"scope": kept(shelf.scope), "category": kept(shelf.category), "fingerprint": shelf.fingerprint}


def _told(reply: ModelReply) -> str:
    calls = [asdict(call) for call in reply.tool_calls]
    return json.dumps({"text": reply.text, "tool_calls": calls, "finish": reply.finish})


def _some(ids: Sequence[AnswerId]) -> Iterable[Sequence[AnswerId]]:
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))
