"""Putting a run aside: when nothing is left of it but questions, it needs no process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

from agentrt.errors import RunWaiting
from agentrt.runtime.handle import Handle
from agentrt.runtime.questions import Question
from agentrt.types import StepId

if TYPE_CHECKING:
    from agentrt.graph.machine import Node
    from agentrt.runtime.driver import Driver
    from agentrt.runtime.run import Run
    from agentrt.store.rows import Letter

QUIET_S: Final = 0.5
"""Seconds in which nothing may happen in a run before it is put aside."""


class Open:
    """One open question. ``accept`` makes the step's value of an answer; ``asking`` while an answerer has it."""

    __slots__ = ("accept", "asking", "handle", "question", "value")

    def __init__(self, handle: Handle[Any], question: Question, accept: Callable[[Any], Any]) -> None:
        self.handle = handle
        self.question = question
        self.accept = accept
        self.value: asyncio.Future[Any] = handle.run.loop.create_future()
        self.asking = False


class Aside:
    """Watches a run while it has open questions. ``letters`` gives the answers that are in the mail."""

    def __init__(
        self,
        run: Run[Any],
        driver: Driver,
        asked: Mapping[StepId, Open],
        letters: Callable[[], Awaitable[Sequence[Letter]]],
    ) -> None:
        self._run = run
        self._driver = driver
        self._open = asked
        self._letters = letters
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    def look_soon(self) -> None:
        """A question is open: look whether anything else goes on."""
        if self._timer is None:
            self._timer = self._run.loop.call_later(QUIET_S, self._look, None, context=Context())

    def _look(self, before: tuple[int, ...] | None) -> None:
        """Put the run aside when nothing has happened since the last look, and nothing can."""
        self._timer = None
        if not self._open or self._run.done:
            return
        now = self._state() if self._only_asks() else None
        if now is not None and now == before:
            self._ending = self._run.loop.create_task(self._put_aside(), context=Context())
        else:
            self._timer = self._run.loop.call_later(QUIET_S, self._look, now, context=Context())

    def _state(self) -> tuple[int, ...]:
        machine = self._run.machine
        return len(machine.nodes), machine.unfinished, machine.version, *map(id, self._open.values())

    def _only_asks(self) -> bool:
        """Whether all that runs are questions that nobody here is asked, and steps around them."""
        scribe = self._driver.scribe
        if scribe is None or scribe.replaying or any(one.asking or one.value.done() for one in self._open.values()):
            return False
        return all(map(self._rests, self._run.machine.nodes.values()))

    def _rests(self, node: Node) -> bool:
        if node.ended is not None or node.id in self._open:
            return True
        if node.status == "pending" and not node.attempt:  # it waits for what it takes; not out a retry's delay
            return True
        handle = self._driver.handles.get(node)
        return handle is not None and handle in self._driver.tasks and _waits_inside(handle)

    async def _put_aside(self) -> None:
        answered = {letter.step for letter in await self._letters()}
        if not answered.isdisjoint(self._open) or not self._only_asks():
            self.look_soon()
            return
        questions = [one.question for one in self._open.values()]
        details = [f"  {one.step} asks: {one.text} ({one.expected})" for one in questions]
        first = f"run {self._run.id} waits for people: {', '.join(self._open)}"
        self._run.put_aside(RunWaiting("\n".join([first, *details])))


def _waits_inside(handle: Handle[Any]) -> bool:
    return handle.scope is not None and any(not one.done() for one in handle.scope.handles)
