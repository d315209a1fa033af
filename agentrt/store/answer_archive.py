"""What people ask of the answers that a journal keeps: how many, what they saved, which fit, what one of them says."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, case, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.semcache.base import Answer, AnswerId
from agentrt.store import schema
from agentrt.store.answers import LARGEST, LIGHT, Known, again, kept, light, no_such_answer, said, tags_of
from agentrt.store.codec import quoted
from agentrt.types import Usage

_ANSWERS: Final = schema.answers.c
_FEEDBACK: Final = schema.feedback.c
_BESIDE: Final = (
    _ANSWERS.prompt,
    _ANSWERS.cached,
    _ANSWERS.completion,
    _ANSWERS.hits,
    _ANSWERS.used,
    _ANSWERS.reply,
)


class Kept(NamedTuple):
    """An answer with its whole reply, how often it was given again, and when last."""

    answer: Answer
    hits: int
    used: float | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which answers: those that all of these fit, as far as they are given.

    ``before`` is when they were made, in seconds since the epoch. ``scope`` is one of them, or ``user`` or ``tenant``
    for all of a kind. ``refused`` is those that were.
    """

    tag: str | None = None
    before: float | None = None
    model: str | None = None
    category: str | None = None
    scope: str | None = None
    embedder: str | None = None
    refused: bool = False

    @property
    def empty(self) -> bool:
        """Whether it chooses all there are."""
        return self == Choice()


@dataclass(slots=True)
class Sum:
    """What some answers come to. ``judged`` of them by feedback, ``wrong`` of those."""

    answers: int = 0
    hits: int = 0
    tokens_saved: int = 0
    seconds_saved: float = 0.0
    judged: int = 0
    wrong: int = 0

    @property
    def error(self) -> float | None:
        """The share that was wrong of what was judged; ``None`` where nothing was."""
        return self.wrong / self.judged if self.judged else None


class Summary(NamedTuple):
    """What all answers come to, and those of each category, scope and standing."""

    every: Sum
    categories: dict[str, Sum]
    scopes: dict[str, Sum]
    standings: dict[str, Sum]


async def summary(connection: AsyncConnection) -> Summary:
    """What the answers come to; savings are of those that are still kept."""
    told = Summary(Sum(), defaultdict(Sum), defaultdict(Sum), defaultdict(Sum))
    hits = cast(_ANSWERS.hits, BigInteger)
    groups = (_ANSWERS.category, _ANSWERS.scope, _ANSWERS.standing)
    tokens = func.sum(hits * (_ANSWERS.prompt + _ANSWERS.completion))
    query = select(*groups, func.count(), func.sum(hits), tokens, func.sum(hits * _ANSWERS.seconds))
    for category, scope, standing, *sums in await connection.execute(query.group_by(*groups)):
        for one in (told.every, told.categories[again(category)], told.scopes[again(scope)], told.standings[standing]):
            one.answers += sums[0]
            one.hits += int(sums[1])
            one.tokens_saved += int(sums[2])
            one.seconds_saved += sums[3]
    wrong = func.sum(case((_FEEDBACK.right, 0), else_=1))
    of = (_FEEDBACK.category, _FEEDBACK.scope)
    for category, scope, judged, failed in await connection.execute(select(*of, func.count(), wrong).group_by(*of)):
        for one in (told.every, told.categories[again(category)], told.scopes[again(scope)]):
            one.judged += judged
            one.wrong += int(failed)
    return told


async def one_of(connection: AsyncConnection, answer: AnswerId) -> Kept:
    """One answer. Raises ``NoSuchAnswer`` when it is not there, and ``JournalError`` when it is damaged."""
    if answer <= LARGEST:
        for found in await _kept(connection, _whole().where(_ANSWERS.id == answer)):
            return found
    raise no_such_answer(answer)


async def find(connection: AsyncConnection, text: str = "", *, limit: int) -> list[Kept]:
    """Answers whose questions hold the text, whether in capitals or not, the newest first."""
    query = _whole().where(_ANSWERS.question.icontains(text, autoescape=True)) if text else _whole()
    return await _kept(connection, query.order_by(_ANSWERS.id.desc()).limit(limit))


async def after(connection: AsyncConnection, answer: AnswerId, *, limit: int) -> list[Kept]:
    """The answers that follow one, in the order of their ids."""
    return await _kept(connection, _whole().where(_ANSWERS.id > answer).order_by(_ANSWERS.id).limit(limit))


async def choose(connection: AsyncConnection, choice: Choice) -> list[AnswerId]:
    """The answers that a choice fits."""
    query = select(_ANSWERS.id, _ANSWERS.tags).where(*_conditions(choice)).order_by(_ANSWERS.id)
    return [
        int(row.id) for row in await connection.execute(query) if choice.tag is None or choice.tag in tags_of(row.tags)
    ]


def _conditions(choice: Choice) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if choice.tag is not None:  # as part of a text first, which is more than those that have it
        found.append(_ANSWERS.tags.contains(quoted(choice.tag), autoescape=True))
    if choice.before is not None:
        found.append(_ANSWERS.at < choice.before)
    if choice.scope is not None:
        kind = f"{kept(choice.scope)}:"
        found.append(or_(_ANSWERS.scope == kept(choice.scope), func.substr(_ANSWERS.scope, 1, len(kind)) == kind))
    if choice.category is not None:
        found.append(_ANSWERS.category == kept(choice.category))
    if choice.model is not None:
        found.append(_ANSWERS.model == choice.model)
    if choice.embedder is not None:
        found.append(_ANSWERS.embedder == choice.embedder)
    if choice.refused:
        found.append(_ANSWERS.standing == "refused")
    return found


def _whole() -> Select[Any]:
    return select(*LIGHT, *_BESIDE)


async def _kept(connection: AsyncConnection, query: Select[Any]) -> list[Kept]:
    known = Known({}, {})
    return [_one(row, known) for row in (await connection.execute(query)).all()]


def _one(row: Any, known: Known) -> Kept:
    listed = light(row[: len(LIGHT)], known)
    prompt, cached, completion, hits, used, reply = row[len(LIGHT) :]
    whole = said(listed.id, listed.reply.model, Usage(prompt, cached, completion), reply)
    return Kept(replace(listed, reply=whole), hits, used)
