"""What a journal says of a run, told again as the events that its observers were told: the fold behind every view.

Entries and notes come from two tables; within a page they are told in the order of their times. Events that say nothing
to those who were not there are left out, and what only an end tells, as when a plain step began, is told before it.
Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence, Set
from heapq import merge
from typing import Any, Final

from agentrt.events import (
    Event,
    GraphChange,
    GraphEdited,
    HintsSent,
    KvSampled,
    RunEnded,
    RunResumed,
    RunStarted,
    StepAdded,
    StepEnded,
    StepRetried,
    StepStarted,
    StepText,
    TurnMoved,
    TurnSent,
)
from agentrt.store.joins import edges_of, new_joins
from agentrt.store.rows import Entry, NoteRow, RunRow
from agentrt.store.views import inputs_of
from agentrt.types import SessionId, StepId, Usage


class Retelling:
    """One run. ``body`` gives a large text by its hash: of joins that are not among the ``joins`` told already.

    ``end`` is the entry that tells of the run's end, ``None`` while it has none, or when it went on after that.
    """

    def __init__(self, run: RunRow, body: Callable[[str], str]) -> None:
        self.end: Entry | None = None
        self._run = run
        self._body = body
        self._begun = False
        self._attempts: dict[StepId, int] = {}
        self.joins: set[StepId] = set()
        self._gathered: tuple[StepId, Set[StepId]] | None = None
        """The join that was told last, and what it stands for."""
        self._order: dict[StepId, int] = {}
        self._versions = 0

    def tell(self, entries: Sequence[Entry], notes: Sequence[NoteRow]) -> Iterator[Event]:
        """The events of a page, which follows the one before."""
        if not self._begun:
            self._begun = True
            yield RunStarted(self._run.id, self._run.program, inputs_of(self._run) or {}, self._run.wall)
        rows: Iterator[Entry | NoteRow] = merge(entries, notes, key=_at)
        for row in rows:
            yield from self._entry(row) if isinstance(row, Entry) else self._note(row)

    def _entry(self, entry: Entry) -> Iterator[Event]:
        tell = _ENTRIES.get(entry.kind)
        if tell is not None:
            yield from tell(self, entry, json.loads(entry.data) if entry.data else {})

    def _note(self, note: NoteRow) -> Iterator[Event]:
        data = json.loads(note.data)
        match note.kind:
            case "text":
                yield StepText(note.run, note.at, note.step, data)
            case "phase":
                yield TurnMoved(note.run, note.at, note.step, data)
            case "runs":
                for at, step, attempt in data:
                    yield from self._start(step, at, attempt)
            case "hints":
                yield HintsSent(note.run, note.at, data["model"], tuple(data["hints"]))
            case "kv":
                yield KvSampled(note.run, note.at, data["model"], data["state"])

    # -- entries -----------------------------------------------------------------------------------------------------

    def _called(self, entry: Entry, data: dict[str, Any]) -> Iterator[Event]:
        self._order[entry.step] = entry.seq
        above, _, last = entry.step.rpartition("/")
        inputs, after = edges_of(data)
        old = "inbody" in data or "afterbody" in data
        for join, gathered in new_joins((*inputs, *after), self.joins, self._body):
            before = self._since_the_last(join, gathered) if old else gathered
            yield StepAdded(entry.run, entry.at, join, "join", "join", None, tuple(before), ())
        parent = StepId(above) if above else None
        kind = data.get("kind", "python")
        name = last.rpartition("#")[0]
        yield StepAdded(entry.run, entry.at, entry.step, name, kind, parent, tuple(inputs), tuple(after))

    def _since_the_last(self, join: StepId, gathered: Sequence[StepId]) -> Sequence[StepId]:
        """What a join of before version 3 gathers, which names all steps behind it again and again: one that goes on
        where the last one ended gathers that, and what is new."""
        before = dict.fromkeys(gathered).keys()
        last, self._gathered = self._gathered, (join, before)
        if last is None or not self._goes_on(last[1], before):
            return gathered
        return [last[0], *(one for one in gathered if one not in last[1])]

    def _goes_on(self, last: Set[StepId], before: Set[StepId]) -> bool:
        """Whether ``before`` is ``last`` and more, but for the oldest ones, of which a long run lets go."""
        gone = last - before
        if not gone:
            return True
        newest = max(self._order.get(one, 0) for one in gone)
        return len(gone) < len(last) and all(self._order.get(one, 0) > newest for one in before)

    def _begin(self, entry: Entry, data: dict[str, Any]) -> Iterator[Event]:
        yield from self._start(entry.step, entry.at, data.get("attempt", 1))

    def _start(self, step: StepId, at: float, attempt: int) -> Iterator[Event]:
        if self._attempts.get(step, 0) < attempt:
            self._attempts[step] = attempt
            yield StepStarted(self._run.id, at, step, attempt)

    def _sent(self, entry: Entry, data: dict[str, Any]) -> Iterator[Event]:
        session = data.get("session")
        known = None if session is None else SessionId(session)
        yield TurnSent(entry.run, entry.at, entry.step, data["model"], data.get("agent", ""), known)

    def _retried(self, entry: Entry, data: dict[str, Any]) -> Iterator[Event]:
        attempt = max(1, self._attempts.get(entry.step, 0))
        yield from self._start(entry.step, data.get("began", entry.at), attempt)
        yield StepRetried(entry.run, entry.at, entry.step, attempt, data["error"], data["delay"])

    def _ended(self, entry: Entry, data: dict[str, Any]) -> Iterator[Event]:
        status = data["status"]
        if status in ("done", "failed"):
            yield from self._start(entry.step, data.get("began", entry.at), self._attempts.get(entry.step, 0) or 1)
        self._attempts.pop(entry.step, None)
        because = data.get("because")
        error = data.get("error") or (f"because of {because}" if because else None)
        yield StepEnded(entry.run, entry.at, entry.step, status, error, Usage(*data.get("usage", ())))

    def _edited(self, entry: Entry, data: dict[str, Any]) -> Iterator[Event]:
        if "refused" in data:
            return
        self._versions += 1
        changes = tuple(
            GraphChange(change, StepId(step), tuple(StepId(one) for one in inputs))
            for change, step, inputs in data["changes"]
        )
        yield GraphEdited(entry.run, entry.at, self._versions, changes)

    def _resumed(self, entry: Entry, data: dict[str, Any]) -> Iterator[Event]:
        self._attempts.clear()
        self.end = None
        yield RunResumed(entry.run, entry.at, data["wall"], tuple(data.get("again", ())))

    def _over(self, entry: Entry, data: dict[str, Any]) -> Iterator[Event]:
        self.end = entry
        yield RunEnded(entry.run, entry.at, data["status"], data.get("error"))


def _at(row: Entry | NoteRow) -> float:
    return row.at


_ENTRIES: Final[dict[str, Callable[[Retelling, Entry, dict[str, Any]], Iterator[Event]]]] = {
    "called": Retelling._called,
    "begun": Retelling._begin,
    "sent": Retelling._sent,
    "retried": Retelling._retried,
    "ended": Retelling._ended,
    "edited": Retelling._edited,
    "resumed": Retelling._resumed,
    "over": Retelling._over,
}
