"""Runs a program against its recording: the same calls get the same results, in the same order, at the same points."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from agentrt.errors import AgentrtError, InDoubt, JournalError, StepError, UsageError
from agentrt.graph.machine import InvalidTransition
from agentrt.runtime.durable.landings import SETTLE_ROUNDS
from agentrt.store.codec import restore
from agentrt.store.recording import Recorded
from agentrt.store.replay import Delivery, Replay
from agentrt.store.writer import about_to_happen
from agentrt.types import FINISHED, StepId

if TYPE_CHECKING:
    from agentrt.graph.machine import Node
    from agentrt.runtime.driver import Driver
    from agentrt.runtime.durable.recorder import Recorder
    from agentrt.runtime.handle import Handle

_log = logging.getLogger("agentrt")

PATIENCE_S: Final = 5.0
"""Seconds beyond the recorded time after which a call that is missing will not come any more."""

SHORT_PATIENCE_S: Final = 0.2
"""The same when calls have come that the recording does not have."""


_LOOK_EVERY_S: Final = 0.1

_ENTERED: Final = ("program", "agent")
"""Kinds of steps whose bodies do nothing but call steps."""


class Replayer:
    """Lives until its recording is used up, then calls ``caught_up`` with the steps that wait to be started.

    It calls ``stop`` with what makes it impossible to go on, ``cancelled`` when somebody cancels the run meanwhile.
    """

    def __init__(
        self,
        replay: Replay,
        modules: dict[str, str],
        driver: Driver,
        recorder: Recorder,
        caught_up: Callable[[list[Handle[Any]]], None],
        stop: Callable[[AgentrtError], None],
        cancelled: Callable[[], None],
    ) -> None:
        self._replay = replay
        self._modules = modules
        self._driver = driver
        self._recorder = recorder
        self._caught_up = caught_up
        self._stop = stop
        self._cancelled = cancelled
        self._known: dict[StepId, tuple[Handle[Any], Recorded]] = {}
        self._held: dict[Handle[Any], None] = {}
        self._doubtful: dict[StepId, Handle[Any]] = {}  # they may have had effects, and are to run again
        self._parents = {step.rpartition("/")[0] for step in replay.recording.steps if "/" in step}
        self._rounds = 0
        self._next = about_to_happen(driver.loop)
        self._ticking = False
        self._closed = False
        self._ended = False  # the program has
        self._progress = 0
        self._at = 0.0

    def close(self) -> None:
        """Do nothing further; of what is not handed on yet, nobody is told."""
        self._closed = True
        for handle, _ in list(self._known.values()):
            if handle.node.status == "running":
                self._driver.cannot_land(handle)
        self._known.clear()

    def knows(self, handle: Handle[Any], args: str) -> bool:
        """Whether the call that the program makes is recorded. Stops the run when it should not be made."""
        node = handle.node
        self.nudge()
        try:
            recorded = self._replay.called(node.id, node.kind, args, asyncio.current_task())
        except JournalError as error:
            self._fail(error)
            return True
        if recorded is None:
            return False
        self._progress += 1
        self._recorder.known(node, recorded.called)
        if self._replay.stands(recorded):
            self._known[node.id] = handle, recorded
            node.lane = ""  # it takes nobody's place
            handle.stopping = True  # it has happened, so it cannot be stopped any more
        else:
            attempts = recorded.attempts
            if node.kind in _ENTERED:  # it goes on in the attempt that was under way
                attempts = max(attempts, recorded.failures + 1) - 1
            node.attempt = attempts
            handle.lost = attempts - recorded.failures
            if recorded.broken_off and handle.spec.has_effects and handle.spec.idempotent is not True:
                self._doubtful[node.id] = handle
        return True

    def enters(self, handle: Handle[Any]) -> bool:
        """Whether a step is entered that may start: only to make the recorded calls inside it again."""
        if handle.node.id in self._known or self._forbids(handle):
            return False
        if self._goes_on(handle.node):
            if handle.scope is None and (earlier := self._replay.called_earlier(handle.node.id)):
                scope = self._driver.scope_of(handle)
                for step in earlier:  # its steps are counted on from there
                    scope.name(step.rpartition("/")[2].rpartition("#")[0])
            return True
        self._held[handle] = None  # once, though an edit may have it start again
        return False

    def _goes_on(self, node: Node) -> bool:
        """Whether a step that was in flight is entered while replaying, because of what it calls."""
        return node.kind in _ENTERED or node.id in self._parents

    def decided(self, maker: StepId) -> dict[str, Any] | None:
        """What became of the edit that the step makes now."""
        self._progress += 1
        self.nudge()
        return self._replay.decided(maker)

    def ended(self) -> None:
        """The program has ended."""
        self._ended = True
        try:
            self._replay.ended()
        except JournalError as error:
            self._fail(error)
        self.nudge()

    def nudge(self) -> None:
        """Something happened: go on when the program has come to rest."""
        self._rounds = SETTLE_ROUNDS
        if not self._ticking and not self._closed:
            self._ticking = True
            self._driver.loop.call_soon(self._tick)

    def _tick(self) -> None:
        if self._rounds and self._next and not self._closed:
            self._rounds -= 1
            self._driver.loop.call_soon(self._tick)
            return
        self._ticking = False
        if not self._closed:
            try:
                self._go_on()
            except InvalidTransition as error:  # the program has not brought the graph to where it was
                run = self._replay.recording.run.id
                self._fail(JournalError(f"run {run} cannot go on: its journal tells of a step what cannot be: {error}"))

    def _go_on(self) -> None:
        if self._driver.closing:
            self._cancelled()
            return
        group = self._replay.due()
        if group:
            for one in group:
                self._deliver(one)
            self.nudge()
        elif forbidden := [step for step, handle in self._doubtful.items() if self._forbids(handle)]:
            self._fail(self._asks(forbidden))
        elif self._replay.over:
            self._closed = True
            self._warn()
            self._recorder.seen = len(self._replay.recording.handed)
            self._caught_up(list(self._held))
        else:
            self._watch()

    def _forbids(self, handle: Handle[Any]) -> bool:
        """Whether the step may have had effects, and must not run again without being asked for."""
        asked_for = handle.spec.idempotent is not False or handle.node.id in self._replay.rerun
        return not asked_for and handle.node.id in self._doubtful and not handle.node.finished

    def _asks(self, steps: list[StepId]) -> InDoubt:
        run, some = self._replay.recording.run.id, ", ".join(map(repr, steps))
        options = " ".join(f"--rerun {quote(step)}" for step in steps)
        return InDoubt(
            f"run {run} does not go on unasked: what says idempotent=False had begun and was broken off, it may have "
            f"had its effects: {some}. If it may run again: agentrt runs resume {run} {options}, or "
            f"Runtime.resume(..., rerun=[{some}])"
        )

    def _warn(self) -> None:
        run = self._replay.recording.run.id
        for story in self._replay.differing:
            _log.warning("run %s: %s; its recorded result was taken", run, story)
        unsaid = [step for step, one in self._doubtful.items() if one.spec.idempotent is None and not one.node.finished]
        if unsaid:
            _log.warning(
                "run %s: runs again what had begun and was broken off, and may have had effects: %s; tools that "
                "cannot bear that say idempotent=False, the others True",
                run,
                ", ".join(unsaid),
            )

    def _watch(self) -> None:
        """Wait for a call that came after something that is no step: a sleep, a file, the network."""
        patience = SHORT_PATIENCE_S if self._replay.news else PATIENCE_S
        wait = max(0.0, self._replay.next_at - self._at) + patience
        if self._ended:  # only what it left running can still call something
            wait = SHORT_PATIENCE_S
        self._look(self._driver.loop.time() + wait, self._progress)

    def _look(self, until: float, progress: int) -> None:
        if self._closed or progress != self._progress:
            return
        left = until - self._driver.loop.time()
        if self._driver.closing:
            self._cancelled()
        elif left > 0:
            self._driver.loop.call_later(min(left, _LOOK_EVERY_S), self._look, until, progress)
        else:
            self._too_late()

    def _too_late(self) -> None:
        if not (self._replay.strict or self._held or self._replay.news or self._ended):
            self._watch()  # the program is about something else, and nothing waits for it
            return
        try:
            self._replay.give_up_waiting()
        except JournalError as error:
            self._fail(error)
            return
        self.nudge()

    def _deliver(self, one: Delivery) -> None:
        self._progress += 1
        self._at = one.at
        if one.edit is not None:
            self._edit(one.edit)
            return
        handle, recorded = self._handle(one.step)
        if handle is None:
            return
        if one.text is not None:
            handle.give(one.text)
        elif handle.node.status not in FINISHED:
            self._settle(handle, recorded)

    def _edit(self, document: dict[str, Any]) -> None:
        """Change the graph from outside, as it was changed before."""
        try:
            self._driver.edit_again(document)
        except UsageError as error:
            if self._replay.strict:
                self._fail(JournalError(f"an edit from outside cannot be made again: {error}"))
            else:
                _log.warning("run %s: an edit from outside is left out: %s", self._replay.recording.run.id, error)

    def _handle(self, step: StepId) -> tuple[Handle[Any] | None, Recorded | None]:
        known = self._known.get(step)
        if known is not None:
            return known
        return self._driver.of(step), None

    def _settle(self, handle: Handle[Any], recorded: Recorded | None) -> None:
        if recorded is None or recorded.end is None or recorded.ended is None:
            return
        node = handle.node
        node.attempt, node.usage = recorded.attempts, self._replay.used(recorded)
        if recorded.began is not None:
            node.started = recorded.began
        try:
            value = restore(self._replay.recording.value(recorded.end), self._modules)
        except Exception as error:  # noqa: BLE001 - stored values are made again of the program's own classes
            broken = JournalError(f"step {node.id!r} cannot be taken from the journal: {error}")
            broken.__cause__ = error
            self._fail(broken)
            return
        if recorded.status == "done":
            self._driver.land(handle, value)
        else:
            self._driver.land_failure(handle, value if isinstance(value, BaseException) else StepError(str(value)))
        node.ended = recorded.ended.at
        del self._known[node.id]

    def _fail(self, error: AgentrtError) -> None:
        self._closed = True
        self._stop(error)
