"""Edits of a running graph: the scheduler core, driven by plain calls."""

from __future__ import annotations

from typing import Any

import pytest

from agentrt.errors import EditRefused, GraphError
from agentrt.graph.edits import Change, Drop, Insert, Replace, Rewire, Split
from agentrt.graph.machine import Machine, Node
from agentrt.types import StepId
from tests.graph.test_machine import Bench, statuses


def new(name: str, *inputs: Node, **more: Any) -> Node:
    """A node that is in no graph yet."""
    return Node(StepId(name), name, "python", inputs=inputs, **more)


def edit(bench: Bench, *changes: Change) -> list[tuple[str, str]]:
    """Apply an edit, check all invariants, and give the instructions as (verb, id)."""
    out = bench.machine.edit(changes, bench.now)
    bench.machine.validate()
    return [(verb, node.id) for verb, node in out]


def refused(bench: Bench, *changes: Change) -> tuple[str, ...]:
    """The reasons against an edit, which has changed nothing."""
    before = picture(bench.machine)
    with pytest.raises(EditRefused) as caught:
        edit(bench, *changes)
    assert picture(bench.machine) == before
    assert all(reason in str(caught.value) for reason in caught.value.reasons)
    return caught.value.reasons


def picture(machine: Machine) -> list[object]:
    """Everything in a machine that an edit could change."""
    names = ("id", "status", "inputs", "waiting", "spare", "attempt", "because")
    nodes = [
        (*(getattr(node, name) for name in names), list(node.history), list(node.dependents))
        for node in machine.nodes.values()
    ]
    queues = [(lane.busy, list(lane.queue)) for lane in machine._lanes.values()]
    return [*nodes, queues, machine.version, machine.unfinished]


def test_inserted_nodes_wait_for_their_inputs_as_others_do() -> None:
    """New nodes may need old ones and each other, in any order; those that can start do."""
    bench = Bench()
    a = bench.add("a")
    b = new("b", a)
    c = new("c", b)
    free = new("free")
    assert edit(bench, Insert(c), Insert(b), Insert(free)) == [("start", "free")]
    assert bench.tell("finish", a) == [("start", "b")]
    assert bench.tell("finish", b) == [("start", "c")]


def test_a_dropped_node_is_skipped_with_nobody_to_blame() -> None:
    """A node that waits is dropped with what depends on it; what it depended on goes on."""
    bench = Bench()
    a = bench.add("a")
    b = bench.add("b", a)
    c = bench.add("c", b)
    assert edit(bench, Drop(b), Drop(c)) == [("drop", "b"), ("drop", "c")]
    assert (b.unwanted, c.unwanted) == (True, True)
    assert bench.tell("finish", a) == []
    assert bench.machine.unfinished == 0


def test_a_dropped_ready_node_leaves_the_queue() -> None:
    """The place that a dropped node waited for goes to the next one."""
    bench = Bench(gpu=1)
    a, b, _c = (bench.add(name, lane="gpu") for name in "abc")
    assert edit(bench, Drop(b)) == [("drop", "b")]
    assert len(bench.machine._lanes["gpu"].queue) == 1
    assert bench.tell("finish", a) == [("start", "c")]


def test_what_needs_a_dropped_node_is_named() -> None:
    """A drop that leaves a step without its input is refused, by the names of both, unless that one is rewired."""
    bench = Bench()
    a, other = bench.add("a"), bench.add("other")
    b = bench.add("b", a)
    c = bench.add("c", b)
    assert refused(bench, Drop(b)) == ("step 'c' needs 'b', which is dropped; rewire it, or drop it too",)
    assert refused(bench, Drop(b), Insert(new("d", b))) == (
        "step 'c' needs 'b', which is dropped; rewire it, or drop it too",
        "step 'd' needs 'b', which is dropped; rewire it, or drop it too",
    )
    assert edit(bench, Drop(b), Rewire(c, (other,))) == [("drop", "b")]
    assert bench.tell("finish", other) == [("start", "c")]


def test_a_rewired_node_waits_for_its_new_inputs_only() -> None:
    """The old input no longer starts it, the new one does; a node that needs nothing any more starts at once."""
    bench = Bench()
    a, b = bench.add("a"), bench.add("b")
    c, d = bench.add("c", a), bench.add("d", a)
    assert edit(bench, Rewire(c, (b, b)), Rewire(d, ())) == [("start", "d")]
    assert c.inputs == (b,)
    assert bench.tell("finish", a) == []
    assert bench.tell("finish", b) == [("start", "c")]


def test_a_rewired_ready_node_waits_again() -> None:
    """A node that queued for a place leaves the queue when it has to wait, and may come back to it."""
    bench = Bench(gpu=1)
    holder, other = bench.add("holder", lane="gpu"), bench.add("other")
    node = bench.add("node", lane="gpu")
    after = bench.add("after", lane="gpu")
    assert edit(bench, Rewire(node, (other,))) == []
    assert node.status == "pending"
    assert bench.tell("finish", other) == []
    assert edit(bench, Rewire(after, (other,))) == []
    assert statuses(node, after) == ["ready", "ready"]
    assert bench.tell("finish", holder) == [("start", "node")], "it is the older one still"


def test_places_go_to_the_highest_priority_of_an_edit() -> None:
    """Nodes that can start after one edit compete for places by priority, not by the order of the changes."""
    bench = Bench(gpu=1)
    low, high = new("low", lane="gpu"), new("high", lane="gpu", priority=1)
    assert edit(bench, Insert(low), Insert(high)) == [("start", "high")]


def test_a_split_node_takes_its_parts() -> None:
    """New nodes come before the node, which takes them instead of its own inputs; what takes it does not notice."""
    bench = Bench()
    a, keep = bench.add("a"), bench.add("keep")
    whole = bench.add("whole", a)
    after = bench.add("after", whole)
    parts = (new("left", a), new("right"))
    assert edit(bench, Split(whole, parts, (keep,))) == [("start", "right")]
    assert whole.inputs == (*parts, keep)
    bench.tell("finish", a)
    for node in parts:
        bench.tell("finish", node)
    assert bench.tell("finish", keep) == [("start", "whole")]
    assert bench.tell("finish", whole) == [("start", "after")]
    assert after.status == "running"


def test_replacing_leaves_the_edges_alone() -> None:
    """What a step works on may change as long as it has not started; the graph only counts one version more."""
    bench = Bench()
    a = bench.add("a")
    b = bench.add("b", a)
    assert edit(bench, Replace(b)) == []
    assert (b.inputs, b.status, bench.machine.version) == ((a,), "pending", 1)


def test_every_edit_makes_a_version_and_a_refused_one_none() -> None:
    """Versions count the edits that were applied."""
    bench = Bench()
    a = bench.add("a")
    edit(bench, Insert(new("b", a)))
    refused(bench, Drop(a))
    edit(bench, Insert(new("c", a)))
    assert bench.machine.version == 2


@pytest.mark.parametrize("event", ["", "finish", "fail", "cancelled", "suspend", "decline"])
@pytest.mark.parametrize("kind", [Drop, lambda node: Rewire(node, ()), lambda node: Split(node, ()), Replace])
def test_what_has_started_stays_as_it_is(event: str, kind: Any) -> None:
    """A step that runs, waits for another attempt or has ended is not changed by any edit."""
    bench = Bench()
    a = bench.add("a")
    if event:
        bench.tell(event, a, *([ValueError()] if event == "fail" else []))
    assert refused(bench, kind(a)) == (f"step 'a' has started ({a.status}); only steps that have not can be changed",)


def test_all_reasons_are_told_together() -> None:
    """An edit with several faults names each of them once, and nothing of it is applied."""
    bench = Bench()
    a = bench.add("a")
    b = bench.add("b", a)
    foreign = Bench().add("foreign")
    assert refused(
        bench, Drop(a), Drop(a), Insert(new("b")), Insert(foreign), Rewire(b, (foreign, new("lost"))), Drop(new("gone"))
    ) == (
        "step 'b' is in a graph already; every step needs an id of its own",
        "step 'foreign' is in a graph already; every step needs an id of its own",
        "step 'a' has started (running); only steps that have not can be changed",
        "step 'gone' is not in this graph",
        "step 'foreign' has started (running); only steps that have not can be changed",
        "step 'b' would wait for 'lost', which is not in this graph",
    )
    assert refused(bench, Insert(new("x")), Insert(new("x"))) == (
        "step 'x' is in a graph already; every step needs an id of its own",
    )
    assert refused(bench, Drop(b), Rewire(b, ())) == ("step 'b' is dropped, and changed by the same edit",)


def test_a_cycle_is_refused_by_name() -> None:
    """An edit after which steps would wait for each other names the way round, through old nodes and new ones."""
    bench = Bench()
    a = bench.add("a")
    b = bench.add("b", a)
    c = bench.add("c", b)
    [reason] = refused(bench, Rewire(b, (a, c)))
    assert reason.startswith("a cycle: ")
    assert {"b", "c"} == set(reason.removeprefix("a cycle: ").partition(";")[0].split(" before "))
    x = new("x", c)
    [reason] = refused(bench, Insert(x), Rewire(b, (x,)))
    assert "x" in reason
    [reason] = refused(bench, Rewire(c, (c,)))
    assert reason.startswith("a cycle: c before c")
    one, two = new("one"), new("two")
    one.inputs, two.inputs = (two,), (one,)
    assert refused(bench, Insert(one), Insert(two))[0].startswith("a cycle: ")


def test_a_step_cannot_wait_for_what_waits_for_it_to_end() -> None:
    """A step that holds others ends after them: what it holds cannot be made to wait for it, however far round."""
    bench = Bench()
    agent = bench.add("agent")
    gate = bench.add("gate")
    inside = new("inside", gate, parent=agent)
    bench.machine.add(inside, bench.now)
    behind = bench.add("behind", agent)
    [reason] = refused(bench, Rewire(inside, (behind,)))
    assert {"agent", "behind", "inside"} <= set(reason.replace(";", " ").split())
    [reason] = refused(bench, Insert(new("also", behind, parent=agent)))
    assert "also" in reason
    assert edit(bench, Insert(new("fine", inside, parent=agent))) == []


def test_nothing_is_inserted_into_a_step_that_has_ended() -> None:
    """A step whose parent has ended would be waited for by nobody."""
    bench = Bench()
    agent = bench.add("agent")
    bench.tell("finish", agent)
    reasons = refused(bench, Insert(new("late", parent=agent)))
    assert reasons == ("step 'late' would be a part of 'agent', which does not run",)


@pytest.mark.parametrize("event", ["fail", "cancelled", "decline"])
def test_no_step_is_made_to_wait_for_one_without_a_value(event: str) -> None:
    """An input that failed, was cancelled or was not wanted helps nobody; one that the step had before stays."""
    bench = Bench()
    gone, a, b = (bench.add(name) for name in ("gone", "a", "b"))
    any_of = Node(StepId("any"), "any", "join", inputs=(gone, a), need=1)
    bench.machine.add(any_of, bench.now)
    later = bench.add("later", a)
    bench.tell(event, gone, *([ValueError()] if event == "fail" else []))
    reasons = refused(bench, Insert(new("x", gone)), Rewire(later, (a, gone)))
    assert reasons == tuple(
        f"step {name!r} would wait for 'gone', which gave no value ({gone.status})" for name in ("x", "later")
    )
    assert edit(bench, Rewire(any_of, (gone, b))) == []
    assert bench.tell("finish", b) == [("start", "any")]


def test_a_join_keeps_what_it_needs() -> None:
    """A node that needs two inputs is not left with one, nor with two of which only one can be done."""
    bench = Bench()
    a, b, c = (bench.add(name) for name in "abc")
    two = Node(StepId("two"), "two", "join", inputs=(a, b, c), need=2)
    bench.machine.add(two, bench.now)
    assert refused(bench, Rewire(two, (a,))) == ("step 'two' needs 2 of 1 inputs; expected 1 to 1",)
    bench.tell("fail", a, ValueError())
    reasons = refused(bench, Rewire(two, (a, b)))
    assert reasons == ("step 'two' needs 2 of its inputs, and only 1 can still have a value",)
    bench.tell("finish", b)
    assert edit(bench, Rewire(two, (b, c))) == []
    assert bench.tell("finish", c) == [("start", "two")]


def test_a_node_left_with_disabled_edges_alone_is_skipped() -> None:
    """Taking away the only edge that could still be enabled skips the node and what is behind it."""
    bench = Bench()
    gate, a = bench.add("gate"), bench.add("a")
    node = bench.add("node", gate, a)
    after = bench.add("after", node)
    bench.tell("decline", gate)
    assert edit(bench, Rewire(node, (gate,))) == [("drop", "node"), ("drop", "after")]
    assert (node.unwanted, after.unwanted) == (True, True)


def test_idle_nodes_count_as_not_started() -> None:
    """What was told to start, and is held back by the driver, may be changed: its place goes to others meanwhile."""
    bench = Bench(gpu=1)
    other, gate = bench.add("other"), bench.add("gate")
    held, gone = bench.add("held", other), bench.add("gone", lane="gpu")
    bench.add("waiting", lane="gpu")
    bench.tell("finish", other)
    assert statuses(held, gone) == ["running", "running"]
    with pytest.raises(EditRefused, match="'held' has started"):
        bench.machine.edit([Rewire(held, (gate,)), Drop(gone)], bench.now)
    out = bench.machine.edit([Rewire(held, (gate,)), Drop(gone)], bench.now, {held, gone})
    bench.machine.validate()
    assert [(verb, node.id) for verb, node in out] == [("drop", "gone"), ("start", "waiting")]
    assert (held.status, held.attempt, held.started) == ("pending", 0, None)
    assert bench.tell("finish", gate) == [("start", "held")]
    assert held.attempt == 1


def test_an_edit_is_a_graph_error() -> None:
    """Whoever handles impossible graphs handles refused edits too."""
    assert issubclass(EditRefused, GraphError)
