"""Where the time of a run went: for each step the stretches it spent waiting, queued and working, on one time axis."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Final, Literal, NamedTuple, TypeAlias

from agentrt.types import StepId, StepKind
from agentrt.ui.folds.density import Level
from agentrt.ui.model import GroupView, RunView, StepView
from agentrt.ui.words import counted, duration, one_line, share

Stage: TypeAlias = Literal["waiting", "queued", "prefill", "decode", "tool", "code", "asking", "pause", "holding"]
"""What a step does just then. waiting: its inputs have not ended; queued: they have, and there is no place for it yet,
or the engine or its gate has not taken it; prefill, decode: of a model turn; tool, code: it runs; asking: a person is
thinking; pause: an attempt failed, the next one is put off; holding: an agent or a program, while its steps run."""

Order: TypeAlias = Literal["start", "tree"]
"""Rows by when they started, or each below the step that called it."""

MOST_STEPS: Final = 60
"""Steps up to which each has a row of its own; above, steps of a name share one."""

MOST_OPENED: Final = 200
"""Rows that an opened group shows at most, the latest ones."""

WORDS: Final[Mapping[str, str]] = {
    "waiting": "waiting",
    "queued": "queued",
    "prefill": "prefill",
    "decode": "decode",
    "tool": "tools",
    "code": "code",
    "asking": "people",
    "pause": "retry pauses",
    "holding": "its steps",
    "between": "between steps",
}
"""What the stages are called where seconds are summed up; ``between`` is the time of the code that calls steps."""

WORK: Final[Mapping[StepKind, Stage]] = {
    "llm": "prefill",  # until its phases say more
    "tool": "tool",
    "python": "code",
    "question": "asking",
    "agent": "holding",
    "program": "holding",
    "join": "holding",
}
"""What a step does while it runs."""


class Stretch(NamedTuple):
    """A step is in a stage from ``start`` to ``end``, seconds since the run began; ``None``: it still is."""

    stage: Stage
    start: float
    end: float | None


class Row(NamedTuple):
    """One line: a step, or all steps of a group (its first one is ``step``)."""

    step: StepView
    depth: int
    label: str
    group: GroupView | None = None


def stretches(step: StepView, ready: float | None) -> tuple[Stretch, ...]:
    """Where a step's time went, without a gap from its call on. ``ready``: when its inputs had ended, if they have."""
    marks: list[tuple[float, Stage]] = [(step.added, "waiting")]
    if step.started is not None:
        marks.append((step.started if ready is None else min(ready, step.started), "queued"))
        marks.append((step.started, _begins_as(step)))
        marks += _moves(step, step.started)
    elif ready is not None and not step.finished:
        marks.append((ready, "queued"))
    return tuple(_between(marks, step.ended))


def _begins_as(step: StepView) -> Stage:
    """A turn that has phases is held up until the first of them; one of which nothing is known is in prefill."""
    return "queued" if step.turn is not None and step.turn.phases else WORK[step.kind]


def _moves(step: StepView, started: float) -> list[tuple[float, Stage]]:
    """What changes after a step's first start, in order."""
    marks: list[tuple[float, Stage]] = []
    if step.turn is not None:
        marks += [(max(at, started), phase) for at, phase in step.turn.phases]
    pauses = [pause for pause in step.pauses if pause[0] >= started]  # those before are of a process that ended
    for failed, again in pauses:
        marks += [(failed, "pause"), (again, _begins_as(step))]
    if pauses and step.status == "pending":
        marks.pop()  # the next attempt has not begun
    return sorted(marks, key=lambda mark: mark[0])


def _between(marks: Sequence[tuple[float, Stage]], end: float | None) -> Iterator[Stretch]:
    for (start, stage), (until, _) in pairwise(marks):
        if until > start:
            yield Stretch(stage, start, until)
    start, stage = marks[-1]
    if end is None or end > start or start == marks[0][0]:  # what took no time at all is still seen
        yield Stretch(stage, start, end)


class _Open:
    """A step that has not ended, as it was counted last."""

    __slots__ = ("inputs", "met", "ready", "seen", "step", "stretches")

    def __init__(self, step: StepView) -> None:
        self.step = step
        self.inputs: tuple[StepId, ...] = step.inputs
        self.met = 0  # inputs known to have ended
        self.ready: float | None = step.added if not step.inputs else None
        self.seen: object = None
        self.stretches: tuple[Stretch, ...] = ()

    def look(self, steps: Mapping[StepId, StepView]) -> bool:
        """Whether anything of it has changed since; each input is asked until it has ended, and not again."""
        step = self.step
        if self.ready is None or step.inputs is not self.inputs:
            self._wait(steps)
        turn = step.turn
        seen = (step.status, step.started, step.attempt, self.ready, 0 if turn is None else len(turn.phases))
        changed, self.seen = seen != self.seen, seen
        return changed

    def _wait(self, steps: Mapping[StepId, StepView]) -> None:
        if self.step.inputs is not self.inputs:  # an edit gave it others
            self.inputs, self.met, self.ready = self.step.inputs, 0, None
        while self.met < len(self.inputs) and steps[self.inputs[self.met]].ended is not None:
            self.met += 1
        if self.met == len(self.inputs):
            self.ready = max([self.step.added, *(steps[name].ended or 0.0 for name in self.inputs)])


@dataclass(slots=True)
class Crowd:
    """All steps of one group: how many are in each stage, over time, and who they are, in the order of their calls."""

    levels: dict[Stage, Level] = field(default_factory=dict)
    members: list[StepView] = field(default_factory=list)

    def change(self, stage: Stage, at: float, by: int) -> None:
        """From ``at`` on, so many more are in this stage."""
        level = self.levels.get(stage)
        if level is None:
            level = self.levels[stage] = Level()
        level.change(at, by)

    def seconds(self, now: float) -> dict[Stage, float]:
        """What its steps have spent in each stage until ``now``, summed over all of them."""
        return {stage: level.area(now) for stage, level in self.levels.items()}


class Timeline:
    """Follows a view; ``update`` takes over what has changed in it, at the price of the steps that are unfinished."""

    def __init__(self, view: RunView) -> None:
        self.view = view
        self._clear()

    def _clear(self) -> None:
        self.crowds: dict[tuple[str, ...], Crowd] = {}
        self.total = Crowd()
        self._open: dict[StepId, _Open] = {}
        self._ready: dict[StepId, float] = {}
        self._known = 0
        self._finished = 0
        self._ended = self.view.ended

    def update(self) -> None:
        """Count what is new or has changed since the last time."""
        self._take()
        if self._finished != self.view.finished or self._ended != self.view.ended:  # resumed: it may have lost ends
            self._clear()
            self._take()

    def _take(self) -> None:
        view = self.view
        for step in islice(view.steps.values(), self._known, None):
            if step.kind != "join":
                self._open[step.id] = _Open(step)
                self._crowd(step).members.append(step)
        self._known = len(view.steps)
        over = [one for one in self._open.values() if one.look(view.steps) and self._recount(one)]
        for one in over:
            del self._open[one.step.id]
        self._finished += len(over)

    def stretches(self, step: StepView) -> tuple[Stretch, ...]:
        """Where the time of one step went."""
        one = self._open.get(step.id)
        if one is not None:
            return one.stretches
        return stretches(step, self._ready.get(step.id, step.added))

    def crowd(self, group: GroupView) -> Crowd:
        """The steps of a group over time."""
        return self.crowds.get(group.path) or Crowd()

    def _crowd(self, step: StepView) -> Crowd:
        crowd = self.crowds.get(step.path)
        if crowd is None:
            crowd = self.crowds[step.path] = Crowd()
        return crowd

    def _recount(self, one: _Open) -> bool:
        """Count a changed step anew; whether it is over."""
        step = one.step
        new = stretches(step, one.ready)
        crowd = self._crowd(step)
        for stretch in one.stretches:
            if stretch not in new:
                self._count(crowd, stretch, -1)
        for stretch in new:
            if stretch not in one.stretches:
                self._count(crowd, stretch, +1)
        one.stretches = new
        ready = step.started if one.ready is None else one.ready
        if step.finished and ready is not None and ready > step.added:
            self._ready[step.id] = ready
        return step.finished

    def _count(self, crowd: Crowd, stretch: Stretch, by: int) -> None:
        for one in (crowd, self.total):
            one.change(stretch.stage, stretch.start, by)
            if stretch.end is not None:
                one.change(stretch.stage, stretch.end, -by)

    # -- rows ------------------------------------------------------------------------------------------------

    def rows(
        self, order: Order = "start", opened: Collection[tuple[str, ...]] = (), most: int = MOST_STEPS
    ) -> list[Row]:
        """A line for each step while there are at most ``most``, else for each group; ``opened`` ones show theirs."""
        if self.view.total > most:
            return [row for group in self.view.every_group() for row in self._group_rows(group, order, opened)]
        steps = list(self.view.walk())
        if order == "tree":
            return [Row(step, step.depth, _label(step)) for step in steps]
        return [Row(step, 0, _label(step)) for step in sorted(steps, key=_started)]

    def _group_rows(self, group: GroupView, order: Order, opened: Collection[tuple[str, ...]]) -> Iterator[Row]:
        depth = len(group.path) - 1
        if group.total == 1:
            yield Row(group.first, depth, _label(group.first))
            return
        yield Row(group.first, depth, one_line(group.label), group)
        if group.path in opened:
            latest = self.crowd(group).members[-MOST_OPENED:]
            yield from (Row(step, depth + 1, _label(step)) for step in latest)


def _label(step: StepView) -> str:
    return one_line(step.label)


def _started(step: StepView) -> tuple[bool, float]:
    """By their start, and below them those that have none yet."""
    return step.started is None, step.added if step.started is None else step.started


# -- what is slow ------------------------------------------------------------------------------------------------


def path_seconds(line: Timeline, path: Iterable[StepId], now: float) -> dict[str, float]:
    """How long a chain of steps, in the order in which they ended, was in each stage, every moment counted once.

    What lies between them is the time of the code that called them: ``between``.
    """
    spent: dict[str, float] = {}
    at = 0.0
    for name in path:
        step = line.view.steps[name]
        for stage, start, end in line.stretches(step):
            until = now if end is None else min(end, now)
            if start > at and until > at and stage != "holding":
                spent["between"] = spent.get("between", 0.0) + start - at
                at = start
            if until > at and stage != "holding":
                spent[stage] = spent.get(stage, 0.0) + until - at
                at = until
    return spent


def summary(line: Timeline, path: Sequence[StepId], now: float) -> str:
    """What the run's time was: ``critical path 12.3 s: decode 61% · tools 22% · prefill 9% · waiting 8%``.

    ``path`` is the chain of steps that determined the end. Without one, of all steps in sum.
    """
    spent = path_seconds(line, path, now) if path else summed(line, now)
    whole = sum(spent.values())
    if not whole:
        return "nothing has taken time yet"
    named = sorted(((seconds, WORDS[stage]) for stage, seconds in spent.items() if seconds), reverse=True)
    parts = " · ".join(f"{word} {share(seconds, whole)}" for seconds, word in named)
    what = "critical path" if path else "all steps together"
    return f"{what} {duration(whole)}: {parts}"


def summed(line: Timeline, now: float) -> dict[str, float]:
    """What all steps together have spent in each stage, in seconds; holders are what they hold."""
    return {stage: seconds for stage, seconds in line.total.seconds(now).items() if stage != "holding"}


def slowest(line: Timeline, now: float, most: int = 5) -> list[tuple[tuple[str, ...], float]]:
    """The names whose steps have worked longest, in sum, with their seconds; longest first."""
    idle = ("waiting", "queued", "pause", "holding")
    spent = {
        path: sum(seconds for stage, seconds in crowd.seconds(now).items() if stage not in idle)
        for path, crowd in line.crowds.items()
    }
    found = [(path, seconds) for path, seconds in spent.items() if seconds > 0]
    return sorted(found, key=lambda one: -one[1])[:most]


def told(line: Timeline, step: StepView, now: float) -> str:
    """What a step's time was, in its order: ``waiting 1.2 s, queued 40 ms, prefill 0.3 s, 2 attempts``."""
    spent: dict[Stage, float] = {}
    for stage, start, end in line.stretches(step):
        spent[stage] = spent.get(stage, 0.0) + max(0.0, (now if end is None else min(end, now)) - start)
    tries = [counted(step.attempt, "attempt")] if step.attempt > 1 else []
    return ", ".join([part for part in (worded(spent), *tries) if part])


def worded(spent: Mapping[Stage, float]) -> str:
    """Seconds of stages, in words: ``waiting 1.2 s, tools 4.0 s``."""
    return ", ".join(f"{WORDS[stage]} {duration(seconds)}" for stage, seconds in spent.items() if seconds > 0)
