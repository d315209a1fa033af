"""What a run's entries say of its steps, and in which order its program was told what: the fold over them, pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentrt.errors import JournalError
from agentrt.store.codec import compact
from agentrt.store.edits import Edits, ancestors
from agentrt.store.joins import edges_of, is_join, new_joins
from agentrt.store.rows import Entry, RunRow
from agentrt.types import StepId, StepKind, StepStatus, Usage


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
        inputs = [self.steps.get(one) for one in self._behind(self.edges(step)[0])]  # an edit may tell of more
        return int(all(one is not None and one.status == "done" for one in inputs))

    def edges(self, step: Recorded) -> tuple[list[StepId], list[StepId]]:
        """By their names, the steps whose values it takes, and those that the program had awaited when it called it.

        Joins stand for some of them: see ``new_joins``.
        """
        inputs, after = edges_of(json.loads(step.called.data))
        return self.edits.rewired.get(step.step, inputs), after

    def new_joins(self, names: Iterable[StepId], known: set[StepId]) -> Iterator[tuple[StepId, list[StepId]]]:
        """The joins among these names and behind them that are not ``known`` yet, with what each gathers.

        Each comes after those that it gathers, and is known from then on.
        """
        return new_joins(names, known, self.body)

    def _behind(self, names: Iterable[StepId]) -> set[StepId]:
        found = set(names)
        for _, gathered in self.new_joins(names, set()):
            found.update(gathered)
        return {one for one in found if not is_join(one)}

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
