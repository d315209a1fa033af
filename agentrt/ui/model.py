"""A run as its events tell it: the state that every display draws, with no drawing in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from agentrt.events import (
    Event,
    GraphEdited,
    RunEnded,
    RunResumed,
    RunStarted,
    StepAdded,
    StepEnded,
    StepRetried,
    StepStarted,
    StepText,
    TurnMoved,
    TurnPhase,
    TurnSent,
)
from agentrt.types import FINISHED, RunId, RunStatus, SessionId, StepId, StepKind, StepStatus, Usage

TAIL: Final = 400
"""How many characters of a step's streamed text are kept: what fits a line of the widest terminal, and some."""

_TELLING: Final[tuple[StepStatus, ...]] = ("running", "failed", "cancelled", "skipped")
NO_TOKENS: Final = Usage()


@dataclass(slots=True)
class GroupView:
    """All steps of one name in one place of the program: the writers of every section, say.

    ``path`` are the names of the enclosing steps and its own. Kept up to date event by event, so that a run of any
    size is drawn in the time its program's size asks for. ``started`` is the first start, ``ended`` the last end.
    """

    path: tuple[str, ...]
    first: StepView
    counts: dict[StepStatus, int] = field(default_factory=dict)
    usage: Usage = NO_TOKENS
    started: float | None = None
    ended: float | None = None
    children: list[GroupView] = field(default_factory=list)

    @property
    def label(self) -> str:
        """What it is called where it stands for many: ``writer x12``."""
        return f"{self.path[-1]} x{self.total:,}"

    @property
    def total(self) -> int:
        """How many steps it has so far."""
        return sum(self.counts.values())

    @property
    def status(self) -> StepStatus:
        """One status for all: failed or running when any is, done when nothing else is left."""
        for status in _TELLING:
            if self.counts.get(status):
                return status
        return "done" if self.counts.get("done") == self.total else "pending"

    def seconds(self, now: float) -> float | None:
        """From the first start to the last end, or to now while any is unfinished; ``None`` before the first."""
        if self.started is None:
            return None
        open_still = any(count for status, count in self.counts.items() if status not in FINISHED)
        return (now if open_still or self.ended is None else self.ended) - self.started


@dataclass(slots=True)
class TurnView:
    """One model turn: whom it asks, and when it entered its phases, of all attempts, in seconds since the run began."""

    model: str
    agent: str
    session: SessionId | None
    phases: list[tuple[float, TurnPhase]] = field(default_factory=list)


@dataclass(slots=True)
class StepView:
    """One step as seen so far. Times are seconds since the run started; ``tail`` is the end of its streamed text.

    ``turn`` is what is known of it as a model turn, ``None`` for all else. ``pauses`` are those between its attempts:
    when one failed, and when the next began, or is to begin.
    """

    id: StepId
    name: str
    kind: StepKind
    parent: StepId | None
    inputs: tuple[StepId, ...]
    after: tuple[StepId, ...]
    depth: int
    added: float
    status: StepStatus = "pending"
    attempt: int = 0
    started: float | None = None
    ended: float | None = None
    retry_at: float | None = None
    usage: Usage = NO_TOKENS
    error: str | None = None
    tail: str = ""
    path: tuple[str, ...] = ()
    children: list[StepView] = field(default_factory=list)
    turn: TurnView | None = None
    pauses: tuple[tuple[float, float], ...] = ()

    @property
    def label(self) -> str:
        """What it is called beside its like: the last part of its id."""
        return self.id.rpartition("/")[2]

    @property
    def finished(self) -> bool:
        """Whether it has its final status."""
        return self.status in FINISHED

    def seconds(self, now: float) -> float | None:
        """How long it has run, ``None`` before it starts."""
        if self.started is None:
            return None
        return (now if self.ended is None else self.ended) - self.started


class RunView:
    """One run as its events tell it. ``apply`` takes them in order; everything else only reads.

    Joins are edges that have a name, not work: they are in ``steps`` and in nothing that counts or lists.
    """

    def __init__(self) -> None:
        self.id = RunId("")
        self.program = ""
        self.inputs: dict[str, Any] = {}
        self.wall = 0.0
        self.status: RunStatus = "running"
        self.error: str | None = None
        self.last = 0.0
        self.steps: dict[StepId, StepView] = {}
        self.roots: list[StepView] = []
        self.groups: list[GroupView] = []
        self._group_of: dict[tuple[str, ...], GroupView] = {}
        self.counts: dict[StepStatus, int] = {}
        self.usage = Usage()
        self.running: dict[StepId, StepView] = {}
        """What runs now, the longest first."""
        self.failed: dict[StepId, StepView] = {}
        """What has failed, the first one first."""
        self._asking = 0

    def apply(self, event: Event) -> None:
        """Take in what happened next."""
        match event:
            case StepText():
                self._text(event)
            case StepAdded():
                self._added(event)
            case StepStarted():
                self._started(event)
            case StepEnded():
                self._ended(event)
            case StepRetried():
                self._retried(event)
            case RunStarted(run, program, inputs, wall):
                self.id, self.program, self.inputs, self.wall = run, program, inputs, wall
            case RunEnded():
                self.status, self.error, self.last = event.status, event.error, event.at
            case TurnSent() | TurnMoved() | GraphEdited() | RunResumed():
                self._rarer(event)

    def _rarer(self, event: TurnSent | TurnMoved | GraphEdited | RunResumed) -> None:
        match event:
            case GraphEdited():
                self._edited(event)
            case RunResumed():
                self._resumed(event)
            case _:
                self._turned(event)

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self.status != "running"

    @property
    def total(self) -> int:
        """How many steps there are so far."""
        return sum(self.counts.values())

    @property
    def finished(self) -> int:
        """How many steps have their final status."""
        return sum(count for status, count in self.counts.items() if status in FINISHED)

    def count(self, *statuses: StepStatus) -> int:
        """How many steps have one of these statuses."""
        return sum(self.counts.get(status, 0) for status in statuses)

    @property
    def asking(self) -> int:
        """How many questions wait for a person."""
        return self._asking

    def walk(self) -> Iterator[StepView]:
        """Every step, each followed by the steps it called, in the order of the calls."""
        stack = list(reversed(self.roots))
        while stack:
            step = stack.pop()
            yield step
            stack.extend(reversed(step.children))

    def every_group(self) -> Iterator[GroupView]:
        """Every group, each followed by those inside it."""
        stack = list(reversed(self.groups))
        while stack:
            group = stack.pop()
            yield group
            stack.extend(reversed(group.children))

    def through_joins(self, steps: Iterable[StepId]) -> Iterator[StepView]:
        """These steps, and in place of joins the steps that they gather, each once, in order."""
        stack = list(reversed([*steps]))
        seen: set[StepId] = set()
        while stack:
            step = self.steps.get(name := stack.pop())
            if step is None or name in seen:
                continue
            seen.add(name)
            if step.kind == "join":
                stack.extend(reversed([*step.inputs, *step.after]))
            else:
                yield step

    def waits_for(self, step: StepView) -> list[StepView]:
        """The unfinished steps that a step waits for, looking through joins."""
        return [before for before in self.through_joins(step.inputs) if not before.finished]

    def _added(self, event: StepAdded) -> None:
        above = self.steps[event.parent] if event.parent else None
        depth = above.depth + 1 if above else 0
        step = StepView(
            event.step, event.name, event.kind, event.parent, event.inputs, event.after, depth, added=event.at
        )
        self.steps[event.step] = step
        self.last = max(self.last, event.at)
        if event.kind == "join":
            return
        (above.children if above else self.roots).append(step)
        step.path = (*above.path, step.name) if above else (step.name,)
        self._count(step, None, "pending")

    def _group(self, step: StepView) -> GroupView:
        group = self._group_of.get(step.path)
        if group is None:
            group = self._group_of[step.path] = GroupView(step.path, step)
            above = self._group_of.get(step.path[:-1])
            (above.children if above else self.groups).append(group)
        return group

    def _started(self, event: StepStarted) -> None:
        step = self.steps.get(event.step)
        if step is None or step.finished:  # the program itself, which is the run; or a note that comes late
            return
        if step.started is None:
            step.started = event.at
            group = self._group(step)
            if group.started is None:
                group.started = event.at
        if step.retry_at is not None and step.pauses:
            step.pauses = (*step.pauses[:-1], (step.pauses[-1][0], event.at))
        step.attempt, step.retry_at, step.tail = event.attempt, None, ""
        self._move(step, "running", event.at)

    def _text(self, event: StepText) -> None:
        step = self.steps.get(event.step)
        if step is not None:
            step.tail = (step.tail + event.text)[-TAIL:]
            self.last = max(self.last, event.at)

    def _turned(self, event: TurnSent | TurnMoved) -> None:
        step = self.steps.get(event.step)
        if step is None:
            return
        if isinstance(event, TurnMoved):
            if step.turn is not None:
                step.turn.phases.append((event.at, event.phase))
        elif step.turn is None:
            step.turn = TurnView(event.model, event.agent, event.session)
        self.last = max(self.last, event.at)

    def _edited(self, event: GraphEdited) -> None:
        for change in event.changes:
            step = self.steps.get(change.step)
            if step is not None and change.change in ("rewire", "insert", "split"):
                step.inputs = change.inputs
        self.last = max(self.last, event.at)

    def _resumed(self, event: RunResumed) -> None:
        """What was not finished, and what ended the run before, is open again."""
        self.status, self.error, self.last = "running", None, max(self.last, event.at)
        self.wall = event.wall - event.at  # its clock goes on from where it stopped
        again = set(event.again)
        for step in self.steps.values():
            if step.id in again or not step.finished:
                self.usage -= step.usage
                step.started = step.ended = step.error = None
                step.usage = NO_TOKENS
                self._move(step, "pending", event.at)

    def _retried(self, event: StepRetried) -> None:
        step = self.steps.get(event.step)
        if step is not None:
            step.error, step.retry_at = event.error, event.at + event.delay
            step.pauses += ((event.at, step.retry_at),)
            self._move(step, "pending", event.at)

    def _ended(self, event: StepEnded) -> None:
        step = self.steps[event.step]
        step.ended, step.error, step.usage = event.at, event.error, event.usage
        self.usage += event.usage
        if step.kind != "join":
            group = self._group(step)
            group.ended = event.at
            group.usage += event.usage
        self._move(step, event.status, event.at)

    def _move(self, step: StepView, status: StepStatus, at: float) -> None:
        self.last = max(self.last, at)
        if step.kind != "join":
            self._count(step, step.status, status)
            self._list(step, status)
        step.status = status

    def _list(self, step: StepView, status: StepStatus) -> None:
        """Keep the lists of what runs and what failed."""
        if step.kind == "question":
            self._asking += (status == "running") - (step.status == "running")
        for listed, which in ((self.running, "running"), (self.failed, "failed")):
            if status == which:
                listed.setdefault(step.id, step)
            elif step.status == which:
                listed.pop(step.id, None)

    def _count(self, step: StepView, before: StepStatus | None, now: StepStatus) -> None:
        for counts in (self.counts, self._group(step).counts):
            if before is not None:
                counts[before] -= 1
            counts[now] = counts.get(now, 0) + 1
