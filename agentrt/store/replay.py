"""A recording is used up, call by call and result by result, while its program runs again. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from agentrt.errors import ReplayDiffers
from agentrt.store.edits import ancestors, still_of_use
from agentrt.store.recording import Recorded, Recording
from agentrt.store.rows import Entry
from agentrt.types import StepId, StepKind, Usage

_SHOWN: Final = 300
"""Characters of arguments in a message."""


class Delivery(NamedTuple):
    """Something the program was handed: a step's end, or a piece of its text; with others of its ``batch`` in one turn
    of the loop. Each process counts its batches anew. An edit from outside is handed to its graph: ``edit``."""

    step: StepId
    batch: tuple[int, int]
    text: str | None
    at: float
    edit: dict[str, Any] | None = None

    @property
    def alone(self) -> bool:
        """Whether it is handed over by itself."""
        return self.text is not None or self.edit is not None


@dataclass(slots=True)
class Replay:
    """A recording that is used up call by call and result by result.

    ``reopened`` steps count as not finished. ``strict`` stops at the first difference; without it, calls that are not
    made again are done without. ``compare`` says whether arguments must be what they were. ``rerun`` are steps that may
    run again though they say that they must not without being asked for. ``news`` are calls that the recording does not
    have, the first of each task: the process may have died before they were written down, so they wait until it is
    used up.
    """

    recording: Recording
    reopened: frozenset[StepId] = frozenset()
    strict: bool = True
    compare: bool = True
    rerun: frozenset[StepId] = frozenset()
    told: int = 0
    made: set[StepId] = field(default_factory=set)
    differing: list[str] = field(default_factory=list)
    news: dict[object, StepId] = field(default_factory=dict)
    edits: Counter[StepId] = field(default_factory=Counter)
    _kept: dict[StepId, Recorded] = field(init=False, default_factory=dict)
    _deliveries: list[Delivery] = field(init=False, default_factory=list)
    _missing: dict[int, set[StepId]] = field(init=False, default_factory=dict)
    _levels: dict[StepId, int] = field(init=False, default_factory=dict)
    _inside: dict[StepId, Usage] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        steps = self.recording.steps
        finished = {name for name, step in steps.items() if step.settled and name not in self.reopened}
        self._kept = {
            name: step
            for name, step in steps.items()
            if not step.given_up
            and ("/" not in name or (finished.isdisjoint(ancestors(name)) and not self._of_failed_attempt(step)))
        }
        level_of = [0]  # after so many deliveries of the recording, so many of those that are kept
        for process, entry in self.recording.handed:
            if entry.kind == "edited":
                edit = still_of_use(entry, finished)
                self._deliveries.append(Delivery(entry.step, (process, entry.batch), None, entry.at, edit))
            elif entry.step in self._kept and (entry.kind == "text" or self._is_final(entry)):
                text = json.loads(entry.data) if entry.kind == "text" else None
                self._deliveries.append(Delivery(entry.step, (process, entry.batch), text, entry.at))
            level_of.append(len(self._deliveries))
        for name, step in self._kept.items():
            level = level_of[min(step.called.seen, len(level_of) - 1)]
            self._missing.setdefault(level, set()).add(name)
            self._levels[name] = level
        for name, step in steps.items():
            outermost = next((above for above in ancestors(name) if above in finished), None)
            if outermost is not None:
                self._inside[outermost] = self._inside.get(outermost, Usage()) + step.usage

    @property
    def over(self) -> bool:
        """Whether everything was called and handed on again: from here on the program runs."""
        return not self._levels and self.told == len(self._deliveries)

    @property
    def missing(self) -> StepId | None:
        """The first call that has not been made again."""
        if not self._levels:
            return None
        level = min(level for level, names in self._missing.items() if names)
        return min(self._missing[level], key=lambda name: self._kept[name].called.seq)

    @property
    def next_at(self) -> float:
        """When, in the recorded run, what is waited for now came; its last entry if nothing is."""
        missing = self.missing
        if missing is not None:
            return self._kept[missing].called.at
        return self._deliveries[self.told].at if self.told < len(self._deliveries) else self.recording.seconds

    def called(self, step: StepId, kind: StepKind, args: str, by: object = None) -> Recorded | None:
        """The program calls a step, in the task ``by``: what is recorded of it, ``None`` for a new one.

        Raises ``ReplayDiffers`` for a step that should not be called now, or not so: what a task calls after a step
        that is not in the recording cannot be in it.
        """
        known = self._kept.get(step)
        if known is None or step in self.made:
            if not self.over:
                self.news.setdefault(by, step)
            return None
        if self.strict and by is not None and by in self.news:
            raise self._differs(f"it calls {self.news[by]!r}, where before it called {step!r}")
        self._check(known, kind, args)
        self.made.add(step)
        level = self._levels.pop(step, None)
        if level is not None:
            self._missing[level].discard(step)
        elif known.ended is not None and self.stands(known):  # it was given up, and comes after all
            self._deliveries.append(Delivery(step, (0, len(self._deliveries)), None, known.ended.at))
        return known

    @property
    def given_up(self) -> list[StepId]:
        """The recorded calls that were not made again."""
        return [name for name in self._kept if name not in self.made]

    def stands(self, known: Recorded) -> bool:
        """Whether the recorded result stands."""
        return known.settled and known.step not in self.reopened

    def decided(self, maker: StepId) -> dict[str, Any] | None:
        """What became of the next edit that a step makes; ``None`` when it made no such edit before."""
        steps = self.recording.steps
        around = [steps[one] for one in (*ancestors(maker), maker) if one in steps]
        since = max((one.retried for one in around), default=0)
        self.edits[maker] += 1
        return self.recording.edits.made_by(maker, self.edits[maker], since)

    def used(self, known: Recorded) -> Usage:
        """The tokens of a finished step, and of the steps inside it, which are not called again."""
        inside = self._inside.get(known.step)
        return known.usage if inside is None else known.usage + inside

    def due(self) -> list[Delivery]:
        """What the program is handed next, together; nothing while calls are missing that came before it."""
        if self.told == len(self._deliveries) or self._missing.get(self.told):
            return []
        group = [self._deliveries[self.told]]
        if not group[0].alone:
            for index in range(self.told + 1, len(self._deliveries)):
                one = self._deliveries[index]
                if one.alone or one.batch != group[0].batch:
                    break
                group.append(one)
        if any(one.step not in self.made for one in group if one.edit is None):
            return []  # a call that is done without has no use for its result
        self.told += len(group)
        return group

    def give_up_waiting(self) -> None:
        """The program does not make the calls that are missing: go on without; ``ReplayDiffers`` if strict."""
        if self.strict and self.news:
            raise self._differs(f"it calls {next(iter(self.news.values()))!r}, where before it called {self.missing!r}")
        if self.strict:
            raise self._differs(f"it does not call {self.missing!r}, which it called before")
        self._missing.clear()
        self._levels.clear()
        self._deliveries = [
            one
            for index, one in enumerate(self._deliveries)
            if index < self.told or one.step in self.made or one.edit is not None
        ]

    def ended(self) -> None:
        """The program has ended. Raises ``ReplayDiffers`` if there it had gone on before, and strict."""
        if self.strict and self._levels:
            raise self._differs(f"it ends, where before it called {self.missing!r}")

    def called_earlier(self, step: StepId) -> list[StepId]:
        """What the failed attempts of a step had called, in order; it goes on with the attempt that was under way."""
        known = self.recording.steps.get(step)
        if known is None or not known.retried:
            return []
        inside = (one for one in self.recording.steps.values() if one.step.rpartition("/")[0] == step)
        return [one.step for one in inside if one.called.seq < known.retried]

    def _of_failed_attempt(self, step: Recorded) -> bool:
        above = (self.recording.steps.get(name) for name in ancestors(step.step))
        return any(one is not None and step.called.seq < one.retried for one in above)

    def _is_final(self, entry: Entry) -> bool:
        """Whether it is the end that a step came to at last; one that failed and was resumed has another before it."""
        return self.recording.steps[entry.step].ended is entry and entry.step not in self.reopened

    def _check(self, known: Recorded, kind: StepKind, args: str) -> None:
        if known.kind != kind:
            raise self._differs(f"step {known.step!r} is a {kind} step, before it was a {known.kind} step")
        if known.args and args and known.args != args and self.stands(known):
            story = f"step {known.step!r} is called with {_cut(args)}, before it was with {_cut(known.args)}"
            if self.compare:
                raise self._differs(story)
            self.differing.append(story)

    def _differs(self, story: str) -> ReplayDiffers:
        run = self.recording.run.id
        return ReplayDiffers(
            f"run {run} cannot go on: its program does not do what it did before: {story}. What varies from run to run "
            f"(time, random numbers, files) belongs into a step. Take the change back, or start over from a step "
            f"before it: agentrt runs fork {run} --from STEP"
        )


def _cut(args: str) -> str:
    return args if len(args) <= _SHOWN else f"{args[:_SHOWN]}..."
