"""Each kind of line of a journal, as the events that it tells. Pure."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

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
from agentrt.store.retelling import Retelling
from agentrt.store.rows import Entry, EntryKind, NoteKind, NoteRow
from agentrt.types import SessionId, StepId, Usage
from tests.store.stored import A, entry, row

S = StepId("s#1")
HINT = {"subject": ["session", "aaa/1"], "steps": 2}
STATE = {"pool": 100}

ENTRIES: dict[EntryKind, list[tuple[Any, list[Event]]]] = {
    "called": [
        ({}, [StepAdded(A, 1.0, S, "s", "python", None, (), ())]),
        (
            {"kind": "llm", "in": ["a#1"], "after": ["b#1"]},
            [StepAdded(A, 1.0, S, "s", "llm", None, (StepId("a#1"),), (StepId("b#1"),))],
        ),
    ],
    "begun": [({}, [StepStarted(A, 1.0, S, 1)]), ({"attempt": 3}, [StepStarted(A, 1.0, S, 3)])],
    "sent": [
        ({"model": "m"}, [TurnSent(A, 1.0, S, "m", "", None)]),
        ({"model": "m", "agent": "x", "session": "aaa/1"}, [TurnSent(A, 1.0, S, "m", "x", SessionId("aaa/1"))]),
    ],
    "asked": [({"question": {"text": "well?"}}, [])],
    "answered": [({"by": "me"}, [])],
    "text": [("handed on", [])],
    "retried": [
        (
            {"error": "no", "delay": 2.0, "began": 0.5},
            [StepStarted(A, 0.5, S, 1), StepRetried(A, 1.0, S, 1, "no", 2.0)],
        )
    ],
    "ended": [
        (
            {"status": "done", "began": 0.5, "usage": [5, 3, 2]},
            [StepStarted(A, 0.5, S, 1), StepEnded(A, 1.0, S, "done", None, Usage(5, 3, 2))],
        ),
        (
            {"status": "failed", "error": "E: no"},
            [StepStarted(A, 1.0, S, 1), StepEnded(A, 1.0, S, "failed", "E: no", Usage())],
        ),
        ({"status": "skipped", "because": "a#1"}, [StepEnded(A, 1.0, S, "skipped", "because of a#1", Usage())]),
        ({"status": "cancelled"}, [StepEnded(A, 1.0, S, "cancelled", None, Usage())]),
    ],
    "edited": [
        (
            {"changes": [["rewire", "s#1", ["a#1"]]]},
            [GraphEdited(A, 1.0, 1, (GraphChange("rewire", S, (StepId("a#1"),)),))],
        ),
        ({"refused": ["s#1 has begun"]}, []),
    ],
    "resumed": [({"wall": 9.0, "again": ["s#1"]}, [RunResumed(A, 1.0, 9.0, (S,))])],
    "over": [({"status": "failed", "error": "E: no"}, [RunEnded(A, 1.0, "failed", "E: no")])],
}
NOTES: dict[NoteKind, tuple[Any, list[Event]]] = {
    "text": ("some words", [StepText(A, 1.0, S, "some words")]),
    "phase": ("decode", [TurnMoved(A, 1.0, S, "decode")]),
    "runs": ([[0.5, "s#1", 2]], [StepStarted(A, 0.5, S, 2)]),
    "hints": ({"model": "m", "hints": [HINT]}, [HintsSent(A, 1.0, "m", (HINT,))]),
    "kv": ({"model": "m", "state": STATE}, [KvSampled(A, 1.0, "m", STATE)]),
}


def retold(*rows: Entry | NoteRow, bodies: dict[str, str] | None = None) -> list[Event]:
    """The events of these rows, without the run's beginning."""
    retelling = Retelling(row(A), (bodies or {}).__getitem__)
    entries = [one for one in rows if isinstance(one, Entry)]
    notes = [one for one in rows if isinstance(one, NoteRow)]
    start, *events = retelling.tell(entries, notes)
    assert isinstance(start, RunStarted)
    return events


def line(kind: EntryKind, data: Any, seq: int = 8) -> Entry:
    """An entry about the step; ``seq`` is its time in eighths of a second too."""
    return entry(A, seq, kind, S, json.dumps(data) if data != {} else "")


def test_every_kind_of_row_is_among_these() -> None:
    """A kind that is new has to be told, or left out on purpose."""
    assert set(ENTRIES) == set(get_args(EntryKind))
    assert set(NOTES) == set(get_args(NoteKind))


@pytest.mark.parametrize(
    ("kind", "data", "events"),
    [(kind, data, events) for kind, cases in ENTRIES.items() for data, events in cases],
)
def test_an_entry_tells_its_events(kind: EntryKind, data: Any, events: list[Event]) -> None:
    """What an entry says is told as observers were told it, starts that only ends tell of included."""
    assert retold(line(kind, data)) == events


@pytest.mark.parametrize("kind", NOTES)
def test_a_note_tells_its_event(kind: NoteKind) -> None:
    """What a note says is told as observers were told it."""
    data, events = NOTES[kind]
    assert retold(NoteRow(A, 1.0, kind, S, json.dumps(data))) == events


def test_a_start_is_told_once() -> None:
    """A note that names a step that runs, its retry and its end do not start it again; a further attempt does."""
    runs = NoteRow(A, 0.25, "runs", StepId(""), json.dumps([[0.125, "s#1", 1]]))
    failed = line("retried", {"error": "no", "delay": 0.0, "began": 0.125}, 4)
    again = NoteRow(A, 0.75, "runs", StepId(""), json.dumps([[0.625, "s#1", 2]]))
    ended = line("ended", {"status": "done", "began": 0.125}, 8)
    starts = [one for one in retold(runs, failed, again, ended) if isinstance(one, StepStarted)]
    assert starts == [StepStarted(A, 0.125, S, 1), StepStarted(A, 0.625, S, 2)]


def test_steps_that_many_come_after_stand_behind_one_join() -> None:
    """What is named is one node, told before the first step that comes after it, and after the join that it gathers."""
    bodies = {"g" * 32: '["a#1","a#2"]', "h" * 32: f'["join-{"g" * 32}","a#3"]'}
    calls = [entry(A, n, "called", f"b#{n}", f'{{"after":["join-{"h" * 32}"]}}') for n in (1, 2)]
    first, join, *steps = [one for one in retold(*calls, bodies=bodies) if isinstance(one, StepAdded)]
    assert (first.kind, first.inputs) == ("join", (StepId("a#1"), StepId("a#2")))
    assert (join.kind, join.inputs) == ("join", (first.step, StepId("a#3")))
    assert [one.after for one in steps] == [(join.step,), (join.step,)]


def test_joins_of_before_that_name_all_again_stand_behind_each_other() -> None:
    """Before joins had names, one that grew listed all steps behind it each time: it is told with few edges too."""
    grown = [[f"a#{step}" for step in range(1, steps + 1)] for steps in (20, 24, 28)]
    bodies = {str(len(steps)): json.dumps(steps) for steps in grown}
    calls = [entry(A, n, "called", f"b#{n}", f'{{"afterbody":"{hash_}"}}') for n, hash_ in enumerate(bodies, 1)]
    joins = [one for one in retold(*calls, bodies=bodies) if isinstance(one, StepAdded) and one.kind == "join"]
    assert [len(one.inputs) for one in joins] == [20, 5, 5]
    assert [one.inputs[0] for one in joins[1:]] == [one.step for one in joins[:2]]
