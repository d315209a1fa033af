"""The open questions of one run: who is asked, and whose answer counts.

A question is open while its step runs. The first answer that fits ends the step with it: from the runtime's answerer,
from ``Run.answer``, from a letter in the journal, or its default when its time is up.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from contextvars import Context
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from agentrt.errors import AnswerError, ConfigError, JournalError, StepTimeout, UsageError
from agentrt.runtime.aside import Aside, Open
from agentrt.runtime.handle import Handle
from agentrt.runtime.limit import off_the_clock
from agentrt.runtime.questions import Question
from agentrt.types import StepId

if TYPE_CHECKING:
    from agentrt.runtime.driver import Driver
    from agentrt.runtime.run import Run
    from agentrt.store.rows import Letter

TRIES: Final = 20
"""How often an answerer is asked one question before it counts as broken."""

CLOCK_S: Final = 30.0
"""Seconds between two looks at the time of day: clocks are set, and machines sleep."""

RETRY_S: Final = 1.0


class People:
    """``wall`` is the time of day in seconds; ``mail`` whether answers may come as letters."""

    def __init__(self, run: Run[Any], driver: Driver, *, mail: bool, wall: Callable[[], float]) -> None:
        self._run = run
        self._driver = driver
        self._mail = mail
        self._wall = wall
        self._open: dict[StepId, Open] = {}
        self._answered: set[StepId] = set()
        self._aside = Aside(run, driver, self._open, self._letters) if mail and run.runtime.put_aside else None

    @property
    def open(self) -> list[Question]:
        """What is asked now, in the order in which it was asked."""
        return [one.question for one in self._open.values() if not one.value.done()]

    async def ask(
        self, handle: Handle[Any], question: Question, within: float | None, accept: Callable[[Any], Any]
    ) -> Any:
        """Ask, and wait for an answer; the body of a question's step.

        ``within`` are the seconds after which the default counts. ``accept`` makes the step's value of an answer, or
        raises ``ValueError`` saying what does not fit. Raises ``ConfigError`` when nobody can answer, ``StepTimeout``
        when nobody did in time and there is no default, ``AnswerError`` when the answerer's answers do not fit.
        """
        self._need_somebody(question)
        one = Open(handle, self._begun(question, within), accept)
        await self._written(one)
        self._open[handle.id] = one
        asyncio.Future.add_done_callback(handle, self._closed)
        handle.emit(question.text)
        if self._aside is not None:
            self._aside.look_soon()
        tasks = self._tasks(one)
        try:
            with off_the_clock(handle):
                return await one.value
        finally:
            for task in tasks:
                task.cancel()
            del self._open[handle.id]

    def answer(self, step: str, answer: Any, *, by: str = "") -> None:
        """Answer an open question. Raises ``UsageError`` when it is not open, or the answer does not fit."""
        one = self._open.get(StepId(step))
        if one is None or one.value.done():
            there = ", ".join(question.step for question in self.open) or "none"
            raise UsageError(f"run {self._run.id} has no open question {step!r}; open are: {there}")
        try:
            self._take(one, answer, {"by": by} if by else {})
        except ValueError as error:
            raise UsageError(f"question {step!r}: {error}") from error

    def mailed(self, letter: Letter, discard: Callable[[], None]) -> bool:
        """Take an answer that came as a letter; ``False`` when its question is not open yet."""
        one = self._open.get(letter.step)
        if one is None or one.value.done():
            if not self._has_answer(letter.step):
                return False
            discard()
            return True
        found = json.loads(letter.data)
        note = {"letter": letter.id, "by": found.get("by", "")}
        try:
            self._in_time(one, letter.wall)
            self._take(one, found["answer"], note)
        except ValueError as error:
            self._note(one, {**note, "problem": str(error)}, discard)
        else:
            asyncio.Future.add_done_callback(one.handle, lambda handle: discard() if _is_done(handle) else None)
        return True

    # -- asking ------------------------------------------------------------------------------------------------------

    def _need_somebody(self, question: Question) -> None:
        runtime = self._run.runtime
        if runtime.answers is None and not self._mail:
            from agentrt.runtime.terminal import own_terminal

            runtime.answers = own_terminal()
        if runtime.answers is None and not self._mail:
            raise ConfigError(
                f"step {question.step!r} asks a person ({question.text!r}), and nobody can answer: there is no "
                f"terminal, no Runtime(answers=...), and no journal to keep the question in"
            )

    def _begun(self, question: Question, within: float | None) -> Question:
        """The question with its deadline, which does not begin anew when another process goes on with the run."""
        before = self._before(question.step)
        if before is not None and before.asked is not None and before.end is None:
            return replace(question, until=before.asked.get("until"), problem=before.asked.get("problem", ""))
        return question if within is None else replace(question, until=self._wall() + within)

    async def _written(self, one: Open) -> None:
        """Wait until the question is on disk, where others find it."""
        scribe = self._driver.scribe
        if scribe is not None:
            written = asyncio.Event()
            scribe.asked(one.handle.node, one.question.data(), one.question.context, written.set)
            await written.wait()

    def _before(self, step: StepId) -> Any:
        scribe = self._driver.scribe
        return None if scribe is None else scribe.questions.get(step)

    def _closed(self, handle: Any) -> None:
        if _is_done(handle):
            self._answered.add(handle.id)

    def _has_answer(self, step: StepId) -> bool:
        """Whether the step's answer is on disk, from this process or one before it."""
        before = self._before(step)
        return step in self._answered or (before is not None and before.status == "done")

    def _tasks(self, one: Open) -> list[asyncio.Task[None]]:
        make = self._run.loop.create_task
        tasks = []
        if self._run.runtime.answers is not None:
            one.asking = True
            tasks.append(make(self._ask(one), context=Context()))
        if one.question.until is not None:
            tasks.append(make(self._wait_for(one, one.question.until), context=Context()))
        return tasks

    async def _ask(self, one: Open) -> None:
        """Have the answerer answer."""
        try:
            for _ in range(TRIES):
                answer = await self._asked(one.question)
                if answer is None:
                    self._left_open(one.question)
                    return
                try:
                    self._take(one, answer, {"by": "here"})
                except ValueError as error:
                    one.question = replace(one.question, problem=str(error))
                else:
                    return
            raise AnswerError(f"question {one.question.step!r}: {TRIES} answers did not fit: {one.question.problem}")
        except Exception as error:  # noqa: BLE001 - whatever it raises, the step ends with it
            if not one.value.done():
                one.value.set_exception(error)
        finally:
            one.asking = False

    def _left_open(self, question: Question) -> None:
        if not self._mail:
            raise AnswerError(
                f"question {question.step!r} ({question.text!r}): nobody answers it here, and no journal keeps it for "
                f"others; answer it in a terminal, or keep a journal"
            )

    async def _asked(self, question: Question) -> Any:
        answers = self._run.runtime.answers
        assert answers is not None, "asked only if there is one"
        answer = answers(question)
        return await answer if inspect.isawaitable(answer) else answer

    def _take(self, one: Open, answer: Any, note: dict[str, Any]) -> None:
        """End the question with an answer. Raises ``ValueError`` for one that does not fit."""
        value = one.accept(answer)
        if not one.value.done():
            self._note(one, note)
            one.value.set_result(value)

    def _note(self, one: Open, note: dict[str, Any], then: Callable[[], None] = lambda: None) -> None:
        if "problem" in note:
            one.question = replace(one.question, problem=note["problem"])
        if self._driver.scribe is not None:
            self._driver.scribe.answered(one.handle.node, note, then)

    # -- time --------------------------------------------------------------------------------------------------------

    def _in_time(self, one: Open, wall: float) -> None:
        if one.question.until is not None and wall > one.question.until:
            raise ValueError("the answer came after the question's time was up")

    async def _wait_for(self, one: Open, until: float) -> None:
        while (left := until - self._wall()) > 0:  # noqa: ASYNC110 - the time of day is no event
            await asyncio.sleep(min(left, CLOCK_S))
        for letter in await self._letters():  # what was posted in time counts, though nobody has looked yet
            if letter.step == one.question.step and not one.value.done():
                self.mailed(letter, lambda: None)  # the mailbox throws it away when it finds it
        if one.value.done():
            return
        if one.question.default is not None:
            self._take(one, one.question.default, {"by": "default"})
            return
        one.value.set_exception(
            StepTimeout(
                f"question {one.question.step!r} was not answered in time ({one.question.text!r}); "
                f"give it a default=, or a longer within="
            )
        )

    async def _letters(self) -> list[Letter]:
        """The answers in the mail; a journal that cannot be read is waited for."""
        if not self._mail or (journal := self._run.runtime.journal) is None:
            return []
        from agentrt.store.questions import waiting_answers

        while True:
            try:
                async with journal.connect() as connection:
                    return await waiting_answers(connection, self._run.id)
            except JournalError:
                await asyncio.sleep(RETRY_S)


def _is_done(handle: asyncio.Future[Any]) -> bool:
    return not handle.cancelled() and handle.exception() is None
