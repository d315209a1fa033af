"""What is shown of runs: values without their tags, errors by what caused them, steps by how they stand."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agentrt.errors import RunFailed, UpstreamFailed
from agentrt.store.codec import encode, show
from agentrt.store.readable import readable
from agentrt.store.recording import Recording
from agentrt.store.rows import Entry, EntryKind, OwnerRow, RunRow, StoredStatus
from agentrt.store.telling import entry_json, hashes_of, in_words
from agentrt.store.views import error_of, graph_of, status_of, steps_of
from agentrt.types import RunId, StepId

RUN = RunId("run")
OWNER = OwnerRow("me", "here/boot/1", 1, 0.0, 0.0)


class Colour(enum.Enum):
    """An enum."""

    RED = 1


@dataclass(frozen=True)
class Point:
    """A dataclass."""

    x: int
    tags: tuple[str, ...] = ()


class Size(BaseModel, extra="allow"):
    """A pydantic model that takes more than it names."""

    width: int
    at: Point | None = None


class Opaque:
    """Nothing that a journal can hold."""


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ({"a": (1, 2.5, None, True)}, {"a": [1, 2.5, None, True]}),
        ({2, 1}, [1, 2]),
        (deque([1], 3), [1]),
        (OrderedDict(a=(1,)), {"a": [1]}),
        ({1: "a", (2, 3): "b"}, {"1": "a", "[2, 3]": "b"}),
        ({"$": "tuple", "v": [1]}, {"$": "tuple", "v": [1]}),
        (Point(1, ("a",)), {"x": 1, "tags": ["a"]}),
        (Size(width=1, at=Point(2), more="m"), {"width": 1, "at": {"x": 2, "tags": []}, "more": "m"}),
        (Colour.RED, "RED"),
        (date(2026, 2, 3), "2026-02-03"),
        (Path("/x"), "/x"),
        (b"\xff", "/w=="),
        (KeyError("k"), "KeyError: 'k'"),
        (ValueError(), "ValueError"),
    ],
    ids=repr,
)
def test_values_are_shown_without_tags(value: object, seen: object) -> None:
    """Whatever a journal holds becomes plain JSON that a person reads."""
    assert readable(json.loads(encode(value))) == seen


def test_what_is_no_data_is_shown_by_its_type() -> None:
    """Arguments that are only there to be compared are shown as what they are called."""
    assert readable(json.loads(show([Opaque()]))) == [f"<{__name__}:Opaque>"]


def row(status: StoredStatus = "running", error: str | None = None) -> RunRow:
    """A run."""
    return RunRow(RUN, "report", "report.py:report", "[[],{}]", status, 0.0, 1.0, error, None, None)


def recorded(
    *said: tuple[EntryKind, str, Any], status: StoredStatus = "running", bodies: dict[str, str] | None = None
) -> Recording:
    """A run that these entries tell."""
    entries = [
        Entry(RUN, seq, seq, float(seq), kind, StepId(step), 0, "" if data is None else json.dumps(data))
        for seq, (kind, step, data) in enumerate(said, start=1)
    ]
    return Recording(row(status, "failed" if status == "failed" else None), entries, bodies or {})


@pytest.mark.parametrize(
    ("stored", "error", "owner", "shown"),
    [
        ("running", None, OWNER, "running"),
        ("running", None, None, "interrupted"),
        ("failed", "it failed", None, "failed"),
        ("failed", "it failed", OWNER, "running"),
        ("failed", None, None, "interrupted"),
        ("waiting", "it waits", None, "waiting"),
        ("done", None, None, "done"),
    ],
)
def test_a_run_stands_as_its_process_does(
    stored: StoredStatus, error: str | None, owner: OwnerRow | None, shown: str
) -> None:
    """A living process means running whatever was written before; a fork that has not gone on has not failed."""
    assert status_of(row(stored, error), owner) == shown


def test_steps_follow_the_step_that_called_them() -> None:
    """The order is that of a tree, though the calls came in another; unfinished steps stand as their run does."""
    run = recorded(
        ("called", "a#1", {"kind": "agent"}),
        ("begun", "a#1", None),
        ("called", "b#1", {"kind": "tool", "in": ["a#1"]}),
        ("called", "a#1/c#1", {"kind": "llm"}),
        ("begun", "a#1/c#1", {"attempt": 2}),
        ("ended", "a#1/c#1", {"status": "done", "value": 1, "usage": [5, 3, 2]}),
        ("called", "a#1/q#1", {"kind": "question"}),
        ("asked", "a#1/q#1", {"question": {"text": "Really?"}}),
    )
    steps = steps_of(run, OWNER)
    assert [(step.id, step.depth, step.status) for step in steps] == [
        ("a#1", 0, "running"),
        ("a#1/c#1", 1, "done"),
        ("a#1/q#1", 1, "waiting"),
        ("b#1", 0, "pending"),
    ]
    inner = steps[1]
    assert (inner.name, inner.parent, inner.attempts, inner.seconds) == ("c", "a#1", 2, 1.0)
    assert (inner.usage.prompt, inner.usage.cached, inner.usage.completion) == (5, 3, 2)
    assert [step.status for step in steps_of(run, None)] == ["interrupted", "done", "waiting", "pending"]


def failed(error: BaseException) -> dict[str, Any] | None:
    """What is shown of a run that this error ended."""
    over = RunFailed("it failed")
    over.__cause__ = error
    data = {"status": "failed", "value": json.loads(encode(over)), "error": "it failed", "step": "b#1"}
    return error_of(recorded(("over", "", data), status="failed"), None)


def test_an_error_is_told_by_what_started_it() -> None:
    """Groups of one, and steps that never started because of another, lead to the error that is to blame."""
    first = ValueError("first")
    first.__agentrt_step__ = "a#1"  # type: ignore[attr-defined]
    first.add_note("a#1: failed")
    skipped = UpstreamFailed("b never started")
    skipped.__cause__ = first
    told = {"type": "ValueError", "message": "it failed", "step": "a#1", "story": ["a#1: failed"]}
    assert failed(first) == failed(skipped) == failed(ExceptionGroup("one", [skipped])) == told


def test_errors_that_stand_for_several_are_told_as_they_are() -> None:
    """A group of two is no single error; its step is the one that the run's end names."""
    told = failed(ExceptionGroup("two", [ValueError("a"), ValueError("b")]))
    assert told is not None
    assert (told["type"], told["step"], told["story"]) == ("ExceptionGroup", "b#1", [])


def test_large_texts_are_put_in_their_places() -> None:
    """Entries name their large texts by hash, with nothing else fetched; shown, they hold them."""
    entry = Entry(RUN, 1, 1, 0.0, "ended", StepId("a#1"), 0, '{"status":"done","body":"hash"}')
    assert hashes_of(entry) == ["hash"]
    assert entry_json(entry, {"hash": '["text"]'}.__getitem__)["data"] == {"status": "done", "value": ["text"]}


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (
            "called",
            {"kind": "tool", "args": [["a"], {"n": 1}], "in": ["x#1"]},
            'called as tool step ("a", n=1), takes x#1',
        ),
        ("called", {}, "called as python step ()"),
        (
            "called",
            {"kind": "agent", "args": [[{"$": "shown", "v": "1 messages 0f"}, {"$": "tuple", "v": ["Go on", 3]}], {}]},
            'called as agent step ("Go on", 3)',
        ),
        ("called", {"kind": "agent"}, "called as agent step ()"),
        ("called", {"kind": "llm", "in": ["x#1"], "args": [["1 messages 0f"], {}]}, "called as llm step, takes x#1"),
        (
            "ended",
            {"status": "done", "value": {"more": [{"role": "user"}, {"role": "assistant"}], "value": "yes"}},
            "done: yes",
        ),
        (
            "ended",
            {
                "status": "done",
                "value": {"said": [{"tool_calls": [{"name": "see", "arguments": "{}"}]}], "value": None},
            },
            "done: calls see {}",
        ),
        ("begun", None, "begun"),
        ("begun", {"attempt": 2}, "begun, attempt 2"),
        ("asked", {"question": {"text": "Really?"}}, "asks: Really?"),
        ("answered", {"by": "ann"}, "answered by ann"),
        ("answered", {"problem": "no number"}, "answered, but: no number"),
        ("text", "some", "says: some"),
        ("retried", {"error": "E: x", "delay": 0.5}, "failed, again in 0.5 s: E: x"),
        ("ended", {"status": "done", "value": None}, "done"),
        ("ended", {"status": "done", "value": {"$": "tuple", "v": [1]}}, "done: [1]"),
        ("ended", {"status": "done", "unstorable": "a lock"}, "done: a lock, which cannot be kept"),
        ("ended", {"status": "skipped", "because": "x#1"}, "skipped because of x#1"),
        ("resumed", {"wall": 0.0, "owner": "me"}, "resumed 1970-01-01T00:00:00+00:00"),
        ("over", {"status": "failed", "error": "E: x"}, "run failed: E: x"),
    ],
)
def test_entries_in_words(kind: EntryKind, data: object, words: str) -> None:
    """Each kind of entry has a line of its own."""
    step = "" if kind in ("resumed", "over") else "a#1"
    entry = Entry(RUN, 1, 1, 0.0, kind, StepId(step), 0, "" if data is None else json.dumps(data))
    assert in_words(entry, {}.__getitem__) == f"{step} {words}".strip()


def test_many_edges_are_gathered_by_a_node() -> None:
    """Steps that take the same many steps share a node for them, as the entries share the text."""
    layer = [f"a#{number}" for number in range(1, 101)]
    called: list[tuple[EntryKind, str, Any]] = [("called", name, {}) for name in layer]
    called += [("called", f"b#{number}", {"inbody": "0123456789"}) for number in (1, 2)]
    called.append(("called", "c#1", {"after": ["b#1", "b#2"]}))
    graph = graph_of(recorded(*called, bodies={"0123456789": json.dumps(layer)}))
    assert graph["nodes"] == [*layer, "b#1", "b#2", "c#1", "join-0123456789"]
    assert len(graph["edges"]) == 104
    assert [edge for edge in graph["edges"] if edge[0] not in layer] == [
        ["join-0123456789", "b#1"],
        ["join-0123456789", "b#2"],
        ["b#1", "c#1"],
        ["b#2", "c#1"],
    ]
