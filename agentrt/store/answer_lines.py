"""All answers and feedback as lines of JSON, and back.

The first line is ``{"agentrt": "answers", "version": 1}``; then ``{"answer": ...}``, ``{"feedback": ...}``, and
``{"end": {"answers": N, "feedback": N}}``, so that a file that broke off is told from a whole one.
"""

from __future__ import annotations

import base64
import json
import reprlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from itertools import islice
from typing import Any, Final, NamedTuple, get_args

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.errors import JournalError
from agentrt.semcache.base import Answer, AnswerId, Feedback, Shelf, Standing
from agentrt.store import answer_archive, answers, schema
from agentrt.store.answer_archive import Kept
from agentrt.store.writer import clean
from agentrt.types import ModelReply, ToolCall, Usage

VERSION: Final = 1
"""Of the form of the lines."""

_PAGE: Final = 500
_HEAD: Final = {"agentrt": "answers", "version": VERSION}
_NUMBER: Final = (int, float)
_SHELF: Final = {"scope": str, "category": str, "fingerprint": str}
_USAGE: Final = {"prompt": int, "cached": int, "completion": int}
_REPLY: Final = {"text": str, "tool_calls": list, "finish": str, "usage": dict, "model": str}
_ANSWER: Final = {
    "id": int,
    "shelf": dict,
    "exact": str,
    "question": str,
    "reply": dict,
    "at": _NUMBER,
    "seconds": _NUMBER,
    "tags": list,
    "standing": str,
    "vector": str,
    "embedder": str,
    "hits": int,
    "used": (int, float, type(None)),
}
_FEEDBACK: Final = {
    "shelf": dict,
    "answer": int,
    "question": str,
    "stored": str,
    "cosine": _NUMBER,
    "score": _NUMBER,
    "right": bool,
    "by": str,
    "at": _NUMBER,
}

_Line = dict[str, Any]


class Taken(NamedTuple):
    """How much was taken in, and how much was there already or replaced by something newer."""

    answers: int
    feedback: int
    passed: int


# -- out -------------------------------------------------------------------------------------------------------------


async def lines_of(connection: AsyncConnection) -> AsyncIterator[_Line]:
    """All answers and feedback, each line to be written as JSON."""
    yield dict(_HEAD)
    last = count = 0
    while page := await answer_archive.after(connection, last, limit=_PAGE):
        for one in page:
            yield {"answer": answer_json(one)}
        last, count = page[-1].answer.id, count + len(page)
    judged = await answers.feedback_of(connection)
    for told in judged:
        yield {"feedback": {**told._asdict(), "shelf": told.shelf._asdict()}}
    yield {"end": {"answers": count, "feedback": len(judged)}}


def answer_json(one: Kept) -> _Line:
    """An answer as plain JSON."""
    told = {name: getattr(one.answer, name) for name in _ANSWER if name not in ("hits", "used")}
    reply = {name: getattr(one.answer.reply, name) for name in ("text", "finish", "model")}
    return {
        **told,
        "shelf": one.answer.shelf._asdict(),
        "reply": {
            **reply,
            "tool_calls": [asdict(call) for call in one.answer.reply.tool_calls],
            "usage": asdict(one.answer.reply.usage),
        },
        "tags": list(one.answer.tags),
        "vector": base64.b64encode(one.answer.vector).decode(),
        "hits": one.hits,
        "used": one.used,
    }


# -- in --------------------------------------------------------------------------------------------------------------


async def take(connection: AsyncConnection, lines: Iterable[str], name: str) -> Taken:
    """Keep what such lines hold, all or nothing, in the caller's transaction; ``name`` is for messages.

    Answers get ids of this journal. What is there already is passed over, as is an answer to a request that has a newer
    one; so taking the same lines twice changes nothing. Raises ``JournalError`` that names the line that does not fit.
    """
    taking = _Taking(connection, _Reader(lines, name))
    return await taking.all()


class _Reader:
    """Lines as what they hold, and the number of the last one for messages."""

    def __init__(self, lines: Iterable[str], name: str) -> None:
        self._lines = enumerate(lines, start=1)
        self._name = name
        self.number = 0

    def __iter__(self) -> Iterator[Kept | Feedback]:
        """What the lines hold, up to the end."""
        self._head()
        for kind, body in self._rest():
            if kind == "end":
                return
            yield self._answer(body) if kind == "answer" else self._feedback(body)
        raise self.wrong("it ends before its end: export it again")

    def _head(self) -> None:
        found = self._next()
        if found is None or found.get("agentrt") != "answers":
            raise self.wrong("this is no export of answers; expected what `agentrt cache export` writes")
        if found.get("version") != VERSION:
            raise self.wrong(f"version {found.get('version')!r}; this agentrt knows {VERSION}: install a newer one")

    def _rest(self) -> Iterator[tuple[str, _Line]]:
        while (line := self._next()) is not None:
            ((kind, body),) = line.items() if len(line) == 1 else [("", line)]
            if kind not in ("answer", "feedback", "end") or not isinstance(body, dict):
                raise self.wrong("expected one of answer, feedback and end")
            yield kind, body

    def _next(self) -> _Line | None:
        self.number, text = next(self._lines, (self.number + 1, None))
        if text is None:
            return None
        try:
            line = json.loads(text, parse_constant=_refuse)
        except ValueError as error:
            raise self.wrong(f"no JSON: {error}") from error
        return line if isinstance(line, dict) else {}

    def wrong(self, problem: str) -> JournalError:
        """An error that names the line."""
        return JournalError(f"{self._name}, line {self.number}: {problem}")

    def _checked(self, what: str, told: Any, fields: Mapping[str, Any]) -> _Line:
        """What a line holds, if its fields are of these types. Raises ``JournalError`` naming the one that is not."""
        if not isinstance(told, dict):
            raise self.wrong(f"{what} is {reprlib.repr(told)}, expected an object")
        for name, kinds in fields.items():
            value = told.get(name)
            if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
                names = [one.__name__ for one in (kinds if isinstance(kinds, tuple) else (kinds,))]
                raise self.wrong(f"{what} has {name}={reprlib.repr(value)}, expected {' or '.join(names)}")
        return {name: told[name] for name in fields}

    def _answer(self, body: _Line) -> Kept:
        told = self._checked("the answer", body, _ANSWER)
        if told["standing"] not in get_args(Standing):
            raise self.wrong(f"the standing {told['standing']!r}: expected new, signed or refused")
        hits, used = told.pop("hits"), told.pop("used")
        told |= {"shelf": self._shelf(told), "reply": self._reply(told["reply"]), "tags": tuple(map(str, told["tags"]))}
        try:
            told["vector"] = base64.b64decode(told["vector"], validate=True)
        except ValueError as error:
            raise self.wrong(f"the vector is no base64: {error}") from error
        return Kept(Answer(**told), hits, used)

    def _reply(self, body: Any) -> ModelReply:
        told = self._checked("the reply", body, _REPLY)
        try:
            calls = tuple(ToolCall(**call) for call in told["tool_calls"])
        except TypeError as error:
            raise self.wrong(f"the reply cannot be read: {error}") from error
        usage = self._checked("the usage", told["usage"], _USAGE)
        return ModelReply(told["text"], calls, told["finish"], Usage(**usage), told["model"])

    def _feedback(self, body: _Line) -> Feedback:
        told = self._checked("the feedback", body, _FEEDBACK)
        return Feedback(**{**told, "shelf": self._shelf(told)})

    def _shelf(self, told: _Line) -> Shelf:
        return Shelf(**self._checked("the shelf", told["shelf"], _SHELF))


class _Taking:
    """One export on its way into a journal."""

    def __init__(self, connection: AsyncConnection, reader: _Reader) -> None:
        self._connection = connection
        self._reader = reader
        self._ids: dict[AnswerId, AnswerId] = {}
        self._answers = self._feedback = self._passed = 0

    async def all(self) -> Taken:
        """Take everything; feedback follows the answers that it is about."""
        there = {_judgement(one) for one in await answers.feedback_of(self._connection)}
        lines = iter(self._reader)
        while page := list(islice(lines, _PAGE)):
            await self._take_answers([one for one in page if isinstance(one, Kept)])
            await self._take_feedback([one for one in page if isinstance(one, Feedback)], there)
        return Taken(self._answers, self._feedback, self._passed)

    async def _take_answers(self, page: list[Kept]) -> None:
        there = await self._there([one.answer.exact for one in page])
        new: dict[tuple[str, ...], Kept] = {}
        for one in page:
            id_, at = there.get(_request(one.answer), (0, float("-inf")))
            if at < one.answer.at:
                new[_request(one.answer)] = one
                continue
            self._passed += 1
            if at == one.answer.at:
                self._ids[one.answer.id] = id_
        if not new:
            return
        ids = await answers.reserve(self._connection, len(new))
        self._ids |= {one.answer.id: id_ for one, id_ in zip(new.values(), ids, strict=True)}
        kept = [one._replace(answer=replace(one.answer, id=self._ids[one.answer.id])) for one in new.values()]
        await answers.put(
            self._connection, [one.answer for one in kept], {one.answer.id: (one.hits, one.used) for one in kept}
        )
        self._answers += len(kept)

    async def _there(self, exact: list[str]) -> dict[tuple[str, ...], tuple[AnswerId, float]]:
        """The answers to these requests that are here: their ids and times."""
        column = schema.answers.c
        names = (column.scope, column.category, column.fingerprint, column.exact)
        query = select(*names, column.id, column.at).where(column.exact.in_(exact))
        rows = await self._connection.execute(query)
        return {(answers.again(row[0]), answers.again(row[1]), row[2], row[3]): (row[4], row[5]) for row in rows}

    async def _take_feedback(self, told: list[Feedback], there: set[tuple[Any, ...]]) -> None:
        new = []
        for one in told:
            if _judgement(one) in there:
                self._passed += 1
                continue
            there.add(_judgement(one))
            new.append(one._replace(answer=self._ids.get(one.answer, 0)))
        if new:
            await answers.judge(self._connection, new)
        self._feedback += len(new)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _request(answer: Answer) -> tuple[str, ...]:
    return (*answer.shelf, answer.exact)


def _judgement(one: Feedback) -> tuple[Any, ...]:
    """What makes two judgements one: who found what of which questions, and when."""
    return (one.shelf, clean(one.question), clean(one.stored), one.by, one.at)
