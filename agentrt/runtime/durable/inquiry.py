"""Questions and their answers between processes: what is open in a journal, and how an answer gets to its run."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from agentrt.errors import UsageError
from agentrt.runtime.durable.letters import came_of
from agentrt.runtime.questions import Question
from agentrt.store import archive
from agentrt.store import questions as store
from agentrt.store.journal import Journal
from agentrt.store.rows import RunRow
from agentrt.types import RunId, StepId

Outcome: TypeAlias = Literal["taken", "kept", "late"]
"""taken: the question's step ends with it; kept: it waits in the journal for the process that goes on with the run;
late: the question was answered otherwise in the meantime."""


class Posted(NamedTuple):
    """An answer on its way. ``seq`` is the number of the run's last entry by then."""

    run: RunId
    step: StepId
    letter: int
    seq: int


async def open_questions(journal: Journal, run: str | None = None) -> list[Question]:
    """What people are asked now: by one run, or by all. Raises ``NoSuchRun``."""
    async with journal.connect() as connection:
        rows = await store.unfinished_runs(connection) if run is None else [await archive.find_run(connection, run)]
        return [one for row in rows for one in await _open(connection, row)]


async def find(journal: Journal, run: str, step: str | None = None) -> Question:
    """The open question of a run at that step; of all it has, if it is the only one.

    Raises ``NoSuchRun``, and ``UsageError`` saying what there is instead.
    """
    async with journal.connect() as connection:
        return await _find(connection, await archive.find_run(connection, run), step)


async def post(journal: Journal, question: Question, answer: Any, *, now: Callable[[], float], by: str = "") -> Posted:
    """Leave an answer, as plain JSON, for the process that has the run or will go on with it. The first one counts.

    Raises ``UsageError`` when the answer does not fit, the question is not open any more, its time is up, or an answer
    is on its way already.
    """
    try:
        question.check(answer)
    except ValueError as error:
        raise UsageError(f"question {question.step!r}: {error}") from error
    async with journal.connect(write=True) as connection:
        await store.lock(connection, question.run)
        row = await archive.find_run(connection, question.run)
        question = await _find(connection, row, question.step)
        wall = now()
        if question.until is not None and wall > question.until:
            raise UsageError(f"question {question.step!r} of run {row.id}: its time is up, so an answer does not count")
        if any(letter.step == question.step for letter in await store.waiting_answers(connection, row.id)):
            raise UsageError(
                f"question {question.step!r} of run {row.id} has an answer already, which the run has not taken yet; "
                f"go on with it: agentrt runs resume {row.id}"
            )
        seq = await archive.last_seq(connection, row.id)
        letter = await store.post(connection, row.id, question.step, {"answer": answer, "by": by}, wall)
        return Posted(row.id, question.step, letter, seq)


async def outcome(journal: Journal, posted: Posted) -> Outcome:
    """Wait until the process that has the run, if one does, has taken the answer.

    Raises ``UsageError`` saying what does not fit when the program refused it.
    """
    return await came_of(journal, posted.run, partial(_became, posted)) or "kept"


async def _became(posted: Posted, connection: AsyncConnection, _: RunRow) -> Outcome | None:
    for entry in await store.about(connection, posted.run, posted.step):
        data = json.loads(entry.data) if entry.seq > posted.seq else {}
        if entry.kind == "answered" and data.get("letter") == posted.letter:
            if "problem" in data:
                raise UsageError(f"question {posted.step!r}: {data['problem']}")
            return "taken"
        if entry.kind == "ended" and entry.seq > posted.seq:
            return "late"
    return None


async def _open(connection: AsyncConnection, row: RunRow) -> list[Question]:
    return [Question.of(*one) for one in await store.asked_in(connection, row.id)]


async def _find(connection: AsyncConnection, row: RunRow, step: str | None) -> Question:
    found = await _open(connection, row)
    there = ", ".join(one.step for one in found)
    same = [one for one in found if step in (None, one.step)]
    if len(same) == 1:
        return same[0]
    if same:
        raise UsageError(f"run {row.id} has {len(same)} open questions; say which one is answered: {there}")
    if step is not None:
        for entry in await store.about(connection, row.id, StepId(step)):
            if entry.kind == "ended":
                raise UsageError(
                    f"question {step!r} of run {row.id} is {_ended(entry.data)}; open are: {there or 'none'}"
                )
    what = "no open question" if step is None else f"no open question {step!r}"
    raise UsageError(f"run {row.id} ({row.status}) has {what}; open are: {there or 'none'}")


def _ended(data: str) -> str:
    end = json.loads(data)
    return f"answered already, with {json.dumps(end.get('value'))}" if "value" in end else f"{end['status']} already"
