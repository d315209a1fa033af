"""What a person can do to a run from the screens: whether it makes sense, what it will do, and doing it.

Nothing of Textual, and nothing that the commands of the same names do not do too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from agentrt.errors import AgentrtError, UsageError
from agentrt.types import RunId, StepId
from agentrt.ui.model import RunView
from agentrt.ui.watch.background import Background, begin, log_of
from agentrt.ui.watch.sources.base import RunState
from agentrt.ui.words import counted, one_line

if TYPE_CHECKING:
    from agentrt.runtime.questions import Question
    from agentrt.store import Journal

ActionName: TypeAlias = Literal["cancel", "resume", "fork"]
Severity: TypeAlias = Literal["information", "warning", "error"]

READ_ONLY: Final = "this view is read-only (--readonly): it answers, cancels, resumes and forks nothing"

_ENDED: Final = ("done", "failed", "cancelled")
_WAITING: Final = 3
_CANCELLED: Final = 130
"""Exit codes of the commands that run programs."""


class Choice(NamedTuple):
    """One thing that can be done: the key that does it, and the words on its button."""

    key: str
    does: str
    says: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is about to happen, to be confirmed: a question, what it will do in plain words, and the ways to do it.

    Whoever does not choose one of ``choices`` has nothing done.
    """

    title: str
    text: str
    choices: tuple[Choice, ...]


class Counts(NamedTuple):
    """Steps of a run by how they stand; ``running`` is ``None`` where that is not known."""

    running: int | None
    done: int
    failed: int

    @classmethod
    def of(cls, view: RunView) -> Counts:
        """Those of a run that is watched."""
        return cls(view.count("running"), view.count("done"), view.count("failed"))


class Told(NamedTuple):
    """What came of an action, for the person who did it."""

    text: str
    severity: Severity = "information"


# -- what makes sense, and what it will do ---------------------------------------------------------------------------


def plan(action: ActionName, state: RunState, counts: Counts, step: StepId | None = None) -> Plan:
    """What an action would do to a run as it stands. Raises ``UsageError`` saying why it makes no sense now."""
    if action == "cancel":
        return _cancelling(state, counts)
    return _resuming(state, counts) if action == "resume" else _forking(state, step)


def _cancelling(state: RunState, counts: Counts) -> Plan:
    if state.status in _ENDED:
        raise UsageError(f"run {state.id} has ended already ({state.status}): there is nothing to cancel")
    if state.status != "running":
        now = f"It is {state.status}, no process has it; what"
    elif counts.running is None:
        now = "What"
    else:
        now = f"{_are(counts.running, 'step')} running; what"
    text = f"{now} it did so far stays; it can be resumed."
    return Plan(f"Cancel run {state.id}?", text, (Choice("y", "cancel", "Cancel the run"),))


def _resuming(state: RunState, counts: Counts) -> Plan:
    if state.status == "done":
        raise UsageError(f"run {state.id} is done, there is nothing to go on with; `f` makes a new run out of it")
    if state.status == "running":
        raise UsageError(f"run {state.id} goes on already: a process has it")
    left = f"{counted(counts.failed, 'step')} that failed, and what" if counts.failed else "what"
    text = (
        f"{_are(counts.done, 'step')} done and not run again; {left} was broken off or had not begun, is. "
        f"It goes on in a process of its own, also when this view is closed."
    )
    return Plan(f"Resume run {state.id}?", text, (Choice("y", "resume", "Resume the run"),))


def _forking(state: RunState, step: StepId | None) -> Plan:
    if step is None and state.status == "done":
        raise UsageError(f"run {state.id} is done: choose the step first that a fork shall do anew")
    if step is None:
        title = f"Fork run {state.id}?"
        text = "A new run begins with all that this one did; this one stays as it is."
    else:
        title = f"Fork run {state.id} at {one_line(step)}?"
        text = "A new run begins with what this one did, without that step and all that depended on it; this one stays."
    return Plan(title, text, (Choice("y", "fork", "Fork"), Choice("r", "fork and run", "Fork and run it")))


def _are(number: int, noun: str) -> str:
    return f"{counted(number, noun)} {'is' if number == 1 else 'are'}"


# -- doing it --------------------------------------------------------------------------------------------------------


class Actions:
    """Does what a person wants with the runs of one journal.

    ``named`` is how the user named the journal, with its password; ``words`` are further words of the commands that
    run programs, such as ``--engine URL``. ``readonly`` says why nothing may be done, empty when all may. ``folder`` is
    where the output of processes that outlive the view is kept.
    """

    def __init__(
        self,
        journal: Journal,
        named: str,
        *,
        readonly: str = "",
        words: Sequence[str] = (),
        folder: Path | None = None,
        by: str = "",
        now: Callable[[], float] = time.time,
        new_id: Callable[[], RunId] | None = None,
    ) -> None:
        self.readonly = readonly
        self._journal = journal
        self._named = named
        self._words = tuple(words)
        self._folder = folder
        self._by = by
        self._now = now
        self._new_id = new_id

    async def questions(self, run: RunId) -> list[Question]:
        """What a run asks people now. Raises ``JournalError``."""
        from agentrt.runtime.durable.inquiry import open_questions

        return await open_questions(self._journal, run)

    async def answer(self, question: Question, answer: Any) -> Told:
        """Answer, and wait until it is known what came of it. Raises ``AgentrtError`` saying what does not fit."""
        from agentrt.runtime.durable import inquiry

        self._allowed()
        posted = await inquiry.post(self._journal, question, answer, now=self._now, by=self._by)
        outcome = await inquiry.outcome(self._journal, posted)
        return {
            "taken": Told(f"{question.step}: taken"),
            "kept": Told(f"{question.step}: kept; the run takes it when it is resumed (r)"),
            "late": Told(f"{question.step}: not needed any more, it was answered otherwise meanwhile", "warning"),
        }[outcome]

    async def cancel(self, run: RunId, say: Callable[[str], object] = lambda text: None) -> Told:
        """End a run in whichever process it is, and wait for that; ``say`` is told when that takes long."""
        from agentrt.runtime.durable import cancelling
        from agentrt.store.views import host_of

        self._allowed()
        ended = await cancelling.cancel(
            self._journal,
            run,
            now=self._now,
            waits_for=lambda row, owner: say(f"waiting for process {owner.pid} on {host_of(owner)} to end run {run}"),
        )
        if ended.was in _ENDED:
            return Told(f"run {run} had ended already: {ended.was}", "warning")
        if ended.run.status != "cancelled":
            return Told(f"run {run} ended before it could be cancelled: {ended.run.status}", "warning")
        return Told(f"run {run} is cancelled")

    async def fork(self, run: RunId, step: StepId | None) -> RunId:
        """Enter a copy of a run, without a step and all that depended on it; its id. Raises ``AgentrtError``."""
        from agentrt.runtime.durable import keeping
        from agentrt.runtime.runtime import new_run_id

        self._allowed()
        make = self._new_id or new_run_id
        return (await keeping.fork(self._journal, run, step, make(), self._now())).id

    def resume(self, run: RunId) -> Background:
        """Go on with a run in a process of its own, which outlives this one. Raises ``OSError``."""
        self._allowed()
        words = ["runs", "resume", run, "--no-ask", "--wait", *self._words]
        return begin(words, journal=self._named, log=log_of(run, self._folder))

    def _allowed(self) -> None:
        if self.readonly:
            raise UsageError(self.readonly)


async def resumed(background: Background, run: RunId) -> Told:
    """Wait for a run that goes on in the background, and say how that ended."""
    code = await background.ended()
    said = background.complaint()
    why = f": {said}" if said else ""
    if code == 0:
        return Told(f"run {run} is done")
    if code == _WAITING:
        return Told(f"run {run} waits for people", "warning")
    if code == _CANCELLED:
        return Told(f"run {run} was cancelled", "warning")
    return Told(f"run {run} could not be brought to its end{why} (its output: {background.log})", "error")


def in_words(error: Exception) -> str:
    """What to tell a person of an error."""
    return str(error) if isinstance(error, (AgentrtError, OSError)) else f"{type(error).__name__}: {error}"
