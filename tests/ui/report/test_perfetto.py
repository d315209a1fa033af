"""Traces for Perfetto: by the rules of the format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentrt.events import Event, RunEnded
from agentrt.types import RunId
from agentrt.ui.report.perfetto import trace_of
from tests.ui.report.conftest import HOSTILE, HOSTILE_NAME, a_lot, by_time, ran, report_of

RUN = RunId("run")


def trace(events: list[Event], **given: Any) -> list[dict[str, Any]]:
    """The records of a trace, read back."""
    whole = json.loads("".join(trace_of(report_of(events, **given))))
    assert whole["displayTimeUnit"] == "ms"
    records: list[dict[str, Any]] = whole["traceEvents"]
    return records


def of(records: list[dict[str, Any]], *phases: str) -> list[dict[str, Any]]:
    """The records of these kinds."""
    return [record for record in records if record["ph"] in phases]


def check(records: list[dict[str, Any]]) -> None:
    """What a reader of the format relies on."""
    tracks = {record["tid"] for record in of(records, "M") if record["name"] == "thread_name"}
    for record in records:
        assert record["pid"] == 1
        assert isinstance(record["name"], str)
        if record["ph"] != "M":
            assert type(record["ts"]) is int
            assert record["ts"] >= 0
        if record["ph"] in "Xsf" or record.get("s") == "t":
            assert record["tid"] in tracks
    for record in of(records, "C"):
        assert record["args"]
        assert all(type(value) in (int, float) for value in record["args"].values())
    for track in tracks:
        check_nesting([record for record in of(records, "X") if record["tid"] == track])
    check_flows(records)


def check_nesting(slices: list[dict[str, Any]]) -> None:
    """Slices of one track are inside each other or apart."""
    around: list[int] = []
    for one in sorted(slices, key=lambda record: (record["ts"], -record["dur"])):
        assert type(one["dur"]) is int
        assert one["dur"] >= 0
        end = one["ts"] + one["dur"]
        while around and around[-1] <= one["ts"]:
            around.pop()
        assert not around or end <= around[-1], one
        around.append(end)


def check_flows(records: list[dict[str, Any]]) -> None:
    """Each arrow has one beginning and one end, in this order, and both are on slices."""
    starts = {record["id"]: record for record in of(records, "s")}
    ends = {record["id"]: record for record in of(records, "f")}
    assert starts.keys() == ends.keys()
    assert len(of(records, "s", "f")) == 2 * len(starts)
    for id_, start in starts.items():
        assert start["ts"] <= ends[id_]["ts"]
        for end in (start, ends[id_]):
            assert any(
                one["tid"] == end["tid"] and one["ts"] <= end["ts"] <= one["ts"] + one["dur"]
                for one in of(records, "X")
            )


@pytest.mark.parametrize("seed", range(12))
def test_every_trace_follows_the_rules(seed: int) -> None:
    """Times are whole microseconds, slices of a track nest, arrows match, tracks are named, whatever has run."""
    check(trace(a_lot(seed)))


def test_what_overlaps_is_on_tracks_of_its_own() -> None:
    """Steps of a name that ran side by side have a track each, those that followed each other share one."""
    records = trace([*ran("a#1", 0, 2), *ran("a#2", 1, 3), *ran("a#3", 2, 4)])
    names = {record["tid"]: record["args"]["name"] for record in of(records, "M") if record["name"] == "thread_name"}
    where = {record["name"]: names[record["tid"]] for record in of(records, "X") if record["cat"] == "python"}
    assert where == {"a#1": "python a", "a#2": "python a (2)", "a#3": "python a"}


def test_a_turn_has_its_phases_inside() -> None:
    """The turns of a session are on its track, each with the stretches of its time inside."""
    records = trace(a_lot(3))
    named = [record for record in of(records, "M") if record["name"] == "thread_name"]
    tracks = {record["args"]["name"].partition(" (")[0] for record in named}
    assert {"writer · s1", "writer · s2", "tool tool"} <= tracks
    assert {"queued", "prefill", "decode"} <= {record["name"] for record in of(records, "X")}


def test_counters_tell_how_many_run() -> None:
    """The counter of running steps goes up and down with them, and ends at nothing."""
    records = trace(
        [*ran("a#1", 0, 2), *ran("a#2", 1, 2), *ran("hold#1", 0, 3, kind="agent"), RunEnded(RUN, 3.0, "done", None)]
    )
    counts = [(record["ts"], record["args"]["steps"]) for record in of(records, "C")]
    assert counts == [(0, 1), (1_000_000, 2), (2_000_000, 0)]


def test_a_gathered_value_is_one_arrow() -> None:
    """Of many steps behind a join the one that came last has the arrow."""
    events = [*ran("a#1", 0, 1), *ran("a#2", 0, 2), *ran("all", 0, 0, kind="join", inputs=("a#1", "a#2"))]
    records = trace(by_time([*events, *ran("b#1", 2, 3, inputs=("all",))]))
    (arrow,) = of(records, "s")
    slices = {record["name"]: record["tid"] for record in of(records, "X")}
    assert arrow["tid"] == slices["a#2"]


def test_moments_are_instants() -> None:
    """A retry stands on the track of its step."""
    records = trace(a_lot(1))
    retries = [record for record in of(records, "i") if record["name"] == "retry"]
    assert retries
    assert all("boom" in record["args"]["what"] for record in retries)
    assert [record for record in of(records, "i") if record["name"] == "question"]


def test_no_text_breaks_it() -> None:
    """Names and errors may hold anything: it stays JSON, in UTF-8, and one line cannot become two records."""
    events = ran(f"{HOSTILE_NAME}#1", 0, 1, error=HOSTILE, status="failed")
    text = "".join(trace_of(report_of(events, program=HOSTILE)))
    text.encode()
    records = json.loads(text)["traceEvents"]
    check(records)
    assert not any(ord(char) < 32 for record in records for char in record["name"])


def test_a_run_that_goes_on_ends_now() -> None:
    """What still runs is a slice until the moment of the export."""
    records = trace(ran("a#1", 1, 2)[:2], live=True, wall=5.0)
    (slice_,) = [record for record in of(records, "X") if record["cat"] == "python"]
    assert (slice_["ts"], slice_["dur"]) == (1_000_000, 4_000_000)


def test_a_run_without_steps() -> None:
    """Nothing but the process."""
    assert [record["ph"] for record in trace([])] == ["M"]
