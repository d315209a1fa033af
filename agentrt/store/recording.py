"""What a run's entries say of its steps, and in which order its program was told what.

``Recording`` is the fold over the entries; ``Replay`` uses it up while the program runs again. Both are pure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from agentrt.errors import JournalError, ReplayDiffers
from agentrt.store.codec import compact
from agentrt.store.edits import Edits, ancestors, still_of_use
from agentrt.store.rows import Entry, RunRow
from agentrt.types import StepId, StepKind, StepStatus, Usage

_SHOWN: Final = 300
"""Characters of arguments in a message."""


@dataclass(slots=True)
class Recorded:
    """One step as it was. ``args`` is JSON text to compare with, ``attempts`` how often it began, ``failures`` how many
    of these failed by themselves; ``end`` the data of its last entry, ``None`` while it was in flight."""

    step: StepId
    kind: StepKind
    args: str
    called: Entry
    began: float | None = None
    attempts: int = 0
    failures: int = 0
    retried: int = 0
    """The number of the entry that tells of the newest of these; what it had called before is over with it."""
    given_up: bool = False
    """A program that was mended did not call it again."""
    ended: Entry | None = None
    end: dict[str, Any] | None = None
    asked: dict[str, Any] | None = None
    """What a person was asked, with the ``problem`` of the last answer that did not fit."""

    @property
    def status(self) -> StepStatus | None:
        """How it ended, ``None`` if it did not."""
        return None if self.end is None else self.end["status"]

    @property
    def settled(self) -> bool:
        """Whether the program was told its result or its failure."""
        return self.status in ("done", "failed")

    @property
    def broken_off(self) -> bool:
        """Whether its body is known to have begun, and nobody knows how far it came."""
        return self.began is not None and not self.settled and self.attempts > self.failures

    @property
    def usage(self) -> Usage:
        """The tokens it used."""
        return Usage(*(self.end or {}).get("usage", ()))


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


class Recording:
    """A run as its entries tell it. ``bodies`` are its large texts by hash."""

    def __init__(self, run: RunRow, entries: Sequence[Entry], bodies: Mapping[str, str]) -> None:
        self.run = run
        self.entries = entries
        self.steps: dict[StepId, Recorded] = {}
        self.handed: list[tuple[int, Entry]] = []
        self.over: dict[str, Any] | None = None
        self.edits = Edits()
        self.last = entries[-1].seq if entries else 0
        self.seconds = entries[-1].at if entries else 0.0
        self._bodies = bodies
        self._processes = 1
        for entry in entries:
            self._take(entry)
        for step in self.steps.values():
            step.attempts = step.attempts or self._unseen_attempts(step)

    def value(self, end: Mapping[str, Any]) -> Any:
        """The value of an ``ended`` or ``over`` entry as plain JSON. Raises ``JournalError`` when it was not stored."""
        if "body" in end:
            return json.loads(self.body(end["body"]))
        if "value" not in end:
            raise JournalError(f"its result was never stored: {end.get('unstorable', 'it has none')}")
        return end["value"]

    def body(self, hash_: str) -> str:
        """A large text. Raises ``JournalError`` when the journal is damaged."""
        try:
            return self._bodies[hash_]
        except KeyError:
            raise JournalError(f"the journal of run {self.run.id} is damaged: the text {hash_} is missing") from None

    def _take(self, entry: Entry) -> None:
        match entry.kind:
            case "called":
                data = json.loads(entry.data)
                args = self.body(data["argsbody"]) if "argsbody" in data else _again(data.get("args"))
                self.steps[entry.step] = Recorded(entry.step, data.get("kind", "python"), args, entry)
            case "begun":
                step = self.steps[entry.step]
                step.attempts = json.loads(entry.data)["attempt"] if entry.data else 1
                step.began = entry.at if step.began is None else step.began
            case "retried":
                if entry.step in self.steps:  # the program itself is none, and begins anew
                    self.steps[entry.step].failures += 1
                    self.steps[entry.step].retried = entry.seq
            case "ended":
                step = self.steps[entry.step]
                step.ended, step.end = entry, json.loads(entry.data)
                step.attempts = step.attempts or 1
                if step.began is None:
                    step.began = step.end.get("began")
                if step.settled:
                    self.handed.append((self._processes, entry))
            case "text":
                self.handed.append((self._processes, entry))
            case _:
                self._take_rarer(entry)

    def _take_rarer(self, entry: Entry) -> None:
        match entry.kind:
            case "asked":
                self.steps[entry.step].asked = json.loads(entry.data)["question"]
            case "answered":
                (self.steps[entry.step].asked or {})["problem"] = json.loads(entry.data).get("problem", "")
            case "over":
                self.over = json.loads(entry.data)
            case "edited":
                if self.edits.take(entry):
                    self.handed.append((self._processes, entry))
            case "resumed":
                self.over = None
                self._processes += 1
                self._take_resumed(json.loads(entry.data))

    def _take_resumed(self, data: dict[str, Any]) -> None:
        """What ended the run counts as not finished from here on, what was not called again as never called."""
        for name in self.steps.keys() & data.get("again", ()):  # a fork has not all of them
            self.steps[name].ended = self.steps[name].end = None
        for name in self.steps.keys() & data.get("without", ()):
            self.steps[name].given_up = True

    def _unseen_attempts(self, step: Recorded) -> int:
        """1 for a plain step in flight that had all it needed: its beginning is written down with its end only."""
        if step.end is not None or step.kind != "python":
            return 0
        inputs = [self.steps.get(one) for one in self.edges(step)[0]]  # an edit may tell of steps that never came
        return int(all(one is not None and one.status == "done" for one in inputs))

    def edges(self, step: Recorded) -> tuple[list[StepId], list[StepId]]:
        """The steps whose values it takes, and those that the program had awaited when it called it."""
        data = json.loads(step.called.data)
        inputs, after = (
            json.loads(self.body(data[f"{name}body"])) if f"{name}body" in data else data.get(name, [])
            for name in ("in", "after")
        )
        return self.edits.rewired.get(step.step, inputs), after

    @property
    def failed_for_good(self) -> set[StepId]:
        """The steps whose failure ended the run, and those around them: failures that no later call came after."""
        if self.run.status != "failed" or self.over is None:
            return set()
        calls = [step.called.seen for step in self.steps.values()]
        newest = max(calls, default=0)
        found = {
            step.step
            for step in self.steps.values()
            if step.status == "failed" and step.ended is not None and step.ended.seen >= newest
        }
        blamed = (self.over or {}).get("step")
        if blamed in self.steps:
            found.add(blamed)
        return found | {above for step in found for above in ancestors(step) if above in self.steps}


def _again(args: Any) -> str:
    return "" if args is None else compact(args)


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
    _kept: dict[StepId, Recorded] = field(default_factory=dict)
    _deliveries: list[Delivery] = field(default_factory=list)
    _missing: dict[int, set[StepId]] = field(default_factory=dict)
    _levels: dict[StepId, int] = field(default_factory=dict)
    _inside: dict[StepId, Usage] = field(default_factory=dict)

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
            elif entry.step in self._kept and (entry.kind == "text" or self._stands(entry)):
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
        elif known.ended is not None and self.settled(known):  # it was given up, and comes after all
            self._deliveries.append(Delivery(step, (0, len(self._deliveries)), None, known.ended.at))
        return known

    @property
    def given_up(self) -> list[StepId]:
        """The recorded calls that were not made again."""
        return [name for name in self._kept if name not in self.made]

    def settled(self, known: Recorded) -> bool:
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

    def _stands(self, entry: Entry) -> bool:
        """Whether it is the end that a step came to at last; one that failed and was resumed has another before it."""
        return self.recording.steps[entry.step].ended is entry and entry.step not in self.reopened

    def _check(self, known: Recorded, kind: StepKind, args: str) -> None:
        if known.kind != kind:
            raise self._differs(f"step {known.step!r} is a {kind} step, before it was a {known.kind} step")
        if known.args and args and known.args != args and self.settled(known):
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
