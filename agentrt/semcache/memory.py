"""A store that lasts as long as its process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from agentrt.errors import NoSuchAnswer
from agentrt.semcache.base import Answer, AnswerId, Feedback, Shelf, Standing
from agentrt.types import ModelReply

_PAGE = 1_000


class MemoryStore:
    """An ``AnswerStore`` in memory, for programs that keep nothing."""

    def __init__(self) -> None:
        self._answers: dict[AnswerId, Answer] = {}
        self._equal: dict[tuple[Shelf, str], AnswerId] = {}
        self._feedback: list[Feedback] = []
        self._next = 1

    async def reserve(self, count: int) -> range:
        """See ``AnswerStore``."""
        first, self._next = self._next, self._next + count
        return range(first, self._next)

    async def put(self, answers: Sequence[Answer]) -> None:
        """See ``AnswerStore``."""
        for one in answers:
            self._answers.pop(self._equal.get((one.shelf, one.exact), 0), None)
            self._answers[one.id] = one
            self._equal[one.shelf, one.exact] = one.id

    async def answers(self, *, after: AnswerId = 0) -> AsyncIterator[Sequence[Answer]]:
        """See ``AnswerStore``."""
        found = sorted((one for one in self._answers.values() if one.id > after), key=lambda one: one.id)
        for first in range(0, len(found), _PAGE):
            yield [replace(one, reply=replace(one.reply, text="")) for one in found[first : first + _PAGE]]

    async def reply(self, answer: AnswerId) -> ModelReply | None:
        """See ``AnswerStore``."""
        found = self._answers.get(answer)
        return None if found is None else found.reply

    async def drop(self, answers: Sequence[AnswerId]) -> None:
        """See ``AnswerStore``."""
        for one in answers:
            gone = self._answers.pop(one, None)
            if gone is not None and self._equal.get((gone.shelf, gone.exact)) == one:
                del self._equal[gone.shelf, gone.exact]

    async def stand(self, answer: AnswerId, standing: Standing) -> None:
        """See ``AnswerStore``."""
        if answer not in self._answers:
            raise NoSuchAnswer(f"there is no answer {answer}; it was thrown out, or never kept")
        self._answers[answer] = replace(self._answers[answer], standing=standing)

    async def used(self, hits: Mapping[AnswerId, int], at: float) -> None:
        """See ``AnswerStore``; nothing asks for it here."""

    async def judge(self, feedback: Sequence[Feedback]) -> None:
        """See ``AnswerStore``."""
        self._feedback += feedback

    async def feedback(self) -> Sequence[Feedback]:
        """See ``AnswerStore``."""
        return tuple(self._feedback)
