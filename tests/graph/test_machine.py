"""The scheduler core, driven by plain calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agentrt.errors import GraphError
from agentrt.graph.machine import Instruction, InvalidTransition, Machine, Node
from agentrt.types import FINISHED, StepId, StepStatus

Event = Callable[[Machine, Node], list[Instruction]]


class Bench:
    """A machine with a clock that ticks by one second at every event, and what it answered last."""

    def __init__(self, **limits: int | None) -> None:
        self.machine = Machine(limits)
        self._ticks = count(1)

    @property
    def now(self) -> float:
        """The next instant."""
        return float(next(self._ticks))

    def add(self, name: str, *inputs: Node, lane: str = "", priority: int = 0) -> Node:
        """A node in the graph."""
        node = Node(StepId(name), name, "python", inputs=inputs, lane=lane, priority=priority)
        self.machine.add(node, self.now)
        self.machine.validate()
        return node

    def tell(self, event: str, node: Node, *more: Any) -> list[tuple[str, str]]:
        """Report an event, check all invariants, and give the instructions as (verb, id)."""
        out = getattr(self.machine, event)(node, *more, self.now)
        self.machine.validate()
        return [(verb, who.id) for verb, who in out]


def statuses(*nodes: Node) -> list[StepStatus]:
    return [node.status for node in nodes]


def test_a_node_without_inputs_starts_at_once() -> None:
    """Adding a node whose inputs are all there answers ``start`` and notes the times."""
    machine = Machine()
    node = Node(StepId("a#1"), "a", "tool")
    assert machine.add(node, 1.5) == [Instruction("start", node)]
    assert (node.status, node.added, node.started, node.ended, node.attempt) == ("running", 1.5, 1.5, None, 1)
    assert machine.finish(node, 2.5) == []
    assert (node.status, node.ended, machine.unfinished) == ("done", 2.5, 0)
    assert node.history == [("pending", 1.5), ("running", 1.5), ("done", 2.5)]


def test_a_node_waits_for_all_its_inputs() -> None:
    """A join starts with the last of its inputs and not before, whatever their order; a doubled input counts once."""
    bench = Bench()
    a, b, c = (bench.add(name) for name in "abc")
    join = bench.add("join", a, b, b, c)
    assert bench.tell("finish", c) == []
    assert bench.tell("finish", b) == []
    assert bench.tell("finish", a) == [("start", "join")]
    assert join.status == "running"
    late = bench.add("late", a, c)
    assert late.status == "running", "inputs that are done already are not waited for"


def test_a_lane_holds_its_limit_and_other_lanes_do_not_care() -> None:
    """At most ``limit`` nodes of a lane run at once; each end gives the place to the next; other lanes run freely."""
    bench = Bench(gpu=2, cpu=None)
    nodes = [bench.add(f"g{number}", lane="gpu") for number in range(5)]
    free = [bench.add("c", lane="cpu"), bench.add("x", lane="never named")]
    assert statuses(*nodes) == ["running", "running", "ready", "ready", "ready"]
    assert statuses(*free) == ["running", "running"]
    assert bench.tell("finish", nodes[1]) == [("start", "g2")]
    assert bench.tell("fail", nodes[0], ValueError()) == [("start", "g3")]
    assert bench.tell("cancelled", nodes[2]) == [("start", "g4")]


def test_a_lane_named_later_is_limited_from_then_on() -> None:
    """``limit`` names a new lane; a known lane stays as it is."""
    bench = Bench(gpu=1)
    bench.machine.limit("web", 1)
    bench.machine.limit("gpu", 9)
    nodes = [bench.add(f"{lane}{number}", lane=lane) for lane in ("web", "gpu") for number in range(2)]
    assert statuses(*nodes) == ["running", "ready", "running", "ready"]


def test_places_go_by_priority_then_by_age() -> None:
    """A free place goes to the highest priority, among equals to the one that was added first."""
    bench = Bench(gpu=1)
    holder = bench.add("holder", lane="gpu")
    gate = bench.add("gate")
    old_but_late = bench.add("old", gate, lane="gpu")
    for name, priority in (("low", -1), ("first", 0), ("second", 0), ("high", 5)):
        bench.add(name, lane="gpu", priority=priority)
    bench.tell("finish", gate)
    assert old_but_late.status == "ready"
    order, running = [], holder
    while (out := bench.tell("finish", running)) != []:
        [(_, name)] = out
        order.append(name)
        running = bench.machine.nodes[StepId(name)]
    assert order == ["high", "old", "first", "second", "low"]


def test_what_a_node_makes_ready_competes_for_the_place_it_leaves() -> None:
    """A dependent of high priority takes the place of its input, before an older node of low priority."""
    bench = Bench(gpu=1)
    first = bench.add("first", lane="gpu")
    bench.add("waiting", lane="gpu", priority=0)
    bench.add("next", first, lane="gpu", priority=1)
    assert bench.tell("finish", first) == [("start", "next")]


def test_a_released_node_gives_its_place_and_takes_none_back() -> None:
    """A node that waits for its own children holds no place, and ends without freeing another."""
    bench = Bench(gpu=1)
    parent, child, third = (bench.add(name, lane="gpu") for name in ("parent", "child", "third"))
    assert bench.tell("release", parent) == [("start", "child")]
    assert bench.tell("release", parent) == []
    assert statuses(parent, child, third) == ["running", "running", "ready"]
    assert bench.tell("finish", parent) == []
    assert bench.tell("finish", child) == [("start", "third")]


def test_a_suspended_node_holds_no_place_and_queues_again() -> None:
    """Waiting out a delay frees the place; the next attempt takes one as soon as there is one, first come first."""
    bench = Bench(gpu=1)
    a, b, c = (bench.add(name, lane="gpu") for name in "abc")
    assert bench.tell("suspend", a) == [("start", "b")]
    assert a.status == "pending"
    assert bench.tell("resume", a) == []
    assert statuses(a, b, c) == ["ready", "running", "ready"]
    assert bench.tell("finish", b) == [("start", "a")]
    assert (a.attempt, a.started) == (2, 1.0)
    assert "(attempt 2)" in a.story
    assert bench.tell("finish", a) == [("start", "c")]


def test_a_suspended_node_keeps_its_dependents_waiting() -> None:
    """What depends on a suspended node neither starts nor is skipped until the node has ended."""
    bench = Bench()
    a = bench.add("a")
    b = bench.add("b", a)
    bench.tell("suspend", a)
    late = bench.add("late", a)
    assert statuses(b, late) == ["pending", "pending"]
    assert bench.tell("resume", a) == [("start", "a")]
    assert bench.tell("finish", a) == [("start", "b"), ("start", "late")]


@pytest.mark.parametrize(("event", "status"), [("fail", "failed"), ("cancelled", "cancelled")])
def test_what_depends_on_a_fall_is_skipped_and_nothing_else(event: str, status: StepStatus) -> None:
    """Skipping follows data edges to any depth, names the culprit, and leaves unrelated nodes alone."""
    bench = Bench()
    a, other = bench.add("a"), bench.add("other")
    b = bench.add("b", a)
    c = bench.add("c", other, b)
    error = [ValueError("no")] if event == "fail" else []
    assert bench.tell(event, a, *error) == [("drop", "b"), ("drop", "c")]
    assert statuses(a, b, c, other) == [status, "skipped", "skipped", "running"]
    assert b.because is a
    assert c.because is a
    assert a.error is (error[0] if error else None)
    assert b.started is None
    assert bench.tell("finish", other) == [], "a skipped node does not start when its other input is done"
    late = bench.add("late", b)
    assert (late.status, late.because) == ("skipped", a)
    assert bench.machine.unfinished == 0


def test_an_input_that_fell_skips_a_node_that_waits_for_others_too() -> None:
    """A node added after one of its inputs fell is skipped at once, though another input still runs."""
    bench = Bench()
    a, b = bench.add("a"), bench.add("b")
    bench.tell("cancelled", b)
    node = bench.add("node", a, b)
    assert (node.status, node.because) == ("skipped", b)
    assert bench.tell("finish", a) == []


def test_drops_come_before_the_starts_they_make_room_for() -> None:
    """When a failure frees a place, those who will never run are told before the next one starts."""
    bench = Bench(gpu=1)
    a = bench.add("a", lane="gpu")
    bench.add("next", lane="gpu")
    bench.add("b", a, lane="gpu")
    assert bench.tell("fail", a, ValueError()) == [("drop", "b"), ("start", "next")]


class TestCancel:
    """Cancelling a node in each state of its life."""

    def test_pending(self) -> None:
        """A node that waits for inputs is dropped, and what depends on it is skipped."""
        bench = Bench()
        a = bench.add("a")
        b = bench.add("b", a)
        c = bench.add("c", b)
        assert bench.tell("cancel", b) == [("drop", "b"), ("drop", "c")]
        assert statuses(a, b, c) == ["running", "cancelled", "skipped"]
        assert c.because is b
        assert bench.tell("finish", a) == []

    def test_ready(self) -> None:
        """A node that waits for a place is dropped, and the place passes it by."""
        bench = Bench(gpu=1)
        a, b, _c = (bench.add(name, lane="gpu") for name in "abc")
        assert bench.tell("cancel", b) == [("drop", "b")]
        assert bench.tell("finish", a) == [("start", "c")]

    def test_running(self) -> None:
        """A running node is to be stopped; its state changes when that is reported."""
        bench = Bench(gpu=1)
        a, _b = (bench.add(name, lane="gpu") for name in "ab")
        assert bench.tell("cancel", a) == [("stop", "a")]
        assert a.status == "running"
        assert bench.tell("cancelled", a) == [("start", "b")]

    def test_running_that_finishes_all_the_same(self) -> None:
        """A node that was told to stop and gave its result first is done."""
        bench = Bench()
        a = bench.add("a")
        bench.tell("cancel", a)
        bench.tell("finish", a)
        assert a.status == "done"

    def test_suspended(self) -> None:
        """A node between two attempts is dropped, and its delay may end without harm."""
        bench = Bench(gpu=1)
        a = bench.add("a", lane="gpu")
        bench.tell("suspend", a)
        assert bench.tell("cancel", a) == [("drop", "a")]
        with pytest.raises(InvalidTransition):
            bench.machine.resume(a, 9.0)

    @pytest.mark.parametrize("how", ["finish", "fail", "cancelled", "skip"])
    def test_finished(self, how: str) -> None:
        """Nothing happens to a node that has ended."""
        bench = Bench()
        a = bench.add("a")
        b = bench.add("b", a)
        bench.tell("fail" if how == "skip" else how, a, *([ValueError()] if how in {"fail", "skip"} else []))
        target = b if how == "skip" else a
        before = target.status
        assert bench.tell("cancel", target) == []
        assert target.status == before


EVENTS: dict[str, Event] = {
    "finish": lambda machine, node: machine.finish(node, 9.0),
    "fail": lambda machine, node: machine.fail(node, ValueError("late"), 9.0),
    "cancelled": lambda machine, node: machine.cancelled(node, 9.0),
    "suspend": lambda machine, node: machine.suspend(node, 9.0),
}


def in_state(status: StepStatus) -> tuple[Bench, Node]:
    """A machine with a node in that state."""
    bench = Bench(gpu=1)
    first = bench.add("first", lane="gpu")
    node = bench.add("node", first, lane="gpu")
    if status == "ready":
        bench.add("holder", lane="gpu", priority=1)
    bench.tell("fail" if status == "skipped" else "finish", first, *([ValueError()] if status == "skipped" else []))
    ends = {"done": ("finish",), "failed": ("fail", ValueError("first")), "cancelled": ("cancelled",)}
    if status in ends:
        event, *more = ends[status]
        bench.tell(str(event), node, *more)
    return bench, node


@pytest.mark.parametrize("status", ["ready", "done", "failed", "skipped", "cancelled"])
@pytest.mark.parametrize("event", ["finish", "fail", "suspend"])
def test_impossible_events_are_refused_with_the_story(status: StepStatus, event: str) -> None:
    """An event that cannot have happened raises with the node's whole life, and changes nothing."""
    bench, node = in_state(status)
    assert node.status == status
    history, error = list(node.history), node.error
    with pytest.raises(InvalidTransition) as caught:
        EVENTS[event](bench.machine, node)
    assert "node (python) after first: pending at " in str(caught.value)
    assert f"{status} at" in str(caught.value)
    assert (node.status, node.history, node.error) == (status, history, error)
    bench.machine.validate()


@pytest.mark.parametrize("status", ["done", "failed", "skipped", "cancelled"])
def test_a_final_state_never_changes(status: StepStatus) -> None:
    """No event moves a node out of a final state."""
    bench, node = in_state(status)
    for event in EVENTS.values():
        with pytest.raises(InvalidTransition):
            event(bench.machine, node)
    with pytest.raises(InvalidTransition):
        bench.machine.resume(node, 9.0)
    assert node.status == status


def test_the_story_names_the_place_in_the_source() -> None:
    """A story says what the node is, where it was called, and what happened when."""
    node = Node(StepId("a#1"), "a", "tool", place=("report.py", 12))
    assert node.story == "a#1 (tool, report.py:12): never added"
    Machine().add(node, 0.25)
    assert node.story == "a#1 (tool, report.py:12): pending at 0.250 s, running at 0.250 s"


def test_an_id_cannot_be_taken_twice() -> None:
    """A second node of the same id is refused by name, and the graph stays as it was."""
    bench = Bench()
    bench.add("a#1")
    with pytest.raises(GraphError, match=r"'a#1' is in the graph already"):
        bench.add("a#1")
    assert bench.machine.unfinished == 1
    bench.machine.validate()


def test_inputs_must_be_in_the_graph() -> None:
    """A node that depends on one of another graph, or on itself, is refused; so no cycle can be made."""
    bench = Bench()
    bench.add("a")
    foreign = Bench().add("a")
    with pytest.raises(GraphError, match=r"'b' depends on 'a', which is not in this graph"):
        bench.add("b", foreign)
    own = Node(StepId("c"), "c", "python")
    own.inputs = (own,)
    with pytest.raises(GraphError, match=r"'c' depends on 'c'"):
        bench.machine.add(own, 1.0)
    assert list(bench.machine.nodes) == ["a"]
    bench.machine.validate()


def long_chain(bench: Bench, length: int) -> list[Node]:
    """Nodes one after the other, without a check in between."""
    nodes: list[Node] = []
    for number in range(length):
        node = Node(StepId(f"n{number}"), "n", "python", inputs=tuple(nodes[-1:]))
        bench.machine.add(node, 0.0)
        nodes.append(node)
    return nodes


def test_a_long_chain_is_skipped_without_recursion() -> None:
    """A failure at the head of 50,000 nodes drops all the others, in order."""
    bench = Bench()
    nodes = long_chain(bench, 50_000)
    assert len(nodes) > 10 * sys.getrecursionlimit()
    out = bench.machine.fail(nodes[0], ValueError(), 1.0)
    assert [node for _, node in out] == nodes[1:]
    assert {node.because for node in nodes[1:]} == {nodes[0]}
    bench.machine.validate()


def test_validate_finds_what_is_wrong() -> None:
    """``validate`` can fail: for a wrong count of inputs, a lost place, and a lost node."""
    bench = Bench(gpu=1)
    a = bench.add("a", lane="gpu")
    b = bench.add("b", a)
    b.waiting = 0
    with pytest.raises(InvalidTransition, match="waits for 0 inputs, 1 are open"):
        bench.machine.validate()
    b.waiting, b.status = 1, "running"
    with pytest.raises(InvalidTransition, match="1 inputs are open"):
        bench.machine.validate()
    b.status, a.holds = "pending", False
    with pytest.raises(InvalidTransition, match=r"lane 'gpu': 0 hold a place, 1 of 1 counted"):
        bench.machine.validate()
    a.holds, bench.machine.unfinished = True, 1
    with pytest.raises(InvalidTransition, match="1 nodes counted as unfinished"):
        bench.machine.validate()


@dataclass
class Expected:
    """What the brute-force model knows of a node."""

    inputs: list[str]
    lane: str
    priority: int
    status: str = "pending"
    suspended: bool = False
    holds: bool = False


@dataclass
class Model:
    """The rules of the machine, said once more in the plainest way: after each event, look at every node again."""

    limits: dict[str, int | None]
    nodes: dict[str, Expected] = field(default_factory=dict)

    def settle(self) -> list[tuple[str, str]]:
        """Skip, make ready and start until nothing changes; gives the drops, then the starts."""
        drops = self._skip()
        for node in self.nodes.values():
            if node.status == "pending" and not node.suspended and self._all_done(node):
                node.status = "ready"
        return [("drop", name) for name in drops] + [("start", name) for name in self._start()]

    def _all_done(self, node: Expected) -> bool:
        return all(self.nodes[name].status == "done" for name in node.inputs)

    def _skip(self) -> list[str]:
        drops = []
        for name, node in self.nodes.items():  # inputs come before what depends on them
            fallen = {"failed", "cancelled", "skipped"} & {self.nodes[before].status for before in node.inputs}
            if node.status == "pending" and fallen:
                node.status = "skipped"
                drops.append(name)
        return drops

    def _start(self) -> list[str]:
        started = []
        order = {name: index for index, name in enumerate(self.nodes)}
        ready = [name for name, node in self.nodes.items() if node.status == "ready"]
        for name in sorted(ready, key=lambda name: (-self.nodes[name].priority, order[name])):
            node = self.nodes[name]
            limit = self.limits.get(node.lane)
            if limit is None or sum(one.holds and one.lane == node.lane for one in self.nodes.values()) < limit:
                node.status, node.holds = "running", True
                started.append(name)
        return started


class AgainstTheModel(RuleBasedStateMachine):
    """Random graphs and random lives: the machine agrees with the model after every event."""

    @initialize(small=st.sampled_from([1, 2, 3]))
    def begin(self, small: int) -> None:
        self.limits: dict[str, int | None] = {"small": small, "wide": 5, "open": None}
        self.machine = Machine(self.limits)
        self.model = Model(self.limits)
        self.time = 0.0

    def _pick(self, data: st.DataObject, *statuses: str) -> str:
        names = [name for name, node in self.model.nodes.items() if node.status in statuses]
        return data.draw(st.sampled_from(names))

    def _has(self, *statuses: str) -> bool:
        return any(node.status in statuses for node in self.model.nodes.values())

    def _agree(self, answered: list[Instruction], expected: list[tuple[str, str]]) -> None:
        assert sorted((verb, str(node.id)) for verb, node in answered) == sorted(expected)

    def _now(self) -> float:
        self.time += 1.0
        return self.time

    @rule(data=st.data(), lane=st.sampled_from(["small", "wide", "open", "unnamed"]), priority=st.integers(-1, 1))
    def add(self, data: st.DataObject, lane: str, priority: int) -> None:
        known = list(self.model.nodes)
        inputs = data.draw(st.lists(st.sampled_from(known), max_size=4)) if known else []
        name = f"n{len(known)}"
        before = tuple(self.machine.nodes[StepId(one)] for one in inputs)
        node = Node(StepId(name), name, "python", inputs=before, lane=lane, priority=priority)
        answered = self.machine.add(node, self._now())
        self.model.nodes[name] = Expected(inputs, lane, priority)
        self._agree(answered, self.model.settle())

    @precondition(lambda self: self._has("running"))
    @rule(data=st.data(), event=st.sampled_from(["finish", "fail", "cancelled"]))
    def end(self, data: st.DataObject, event: str) -> None:
        name = self._pick(data, "running")
        answered = EVENTS[event](self.machine, self.machine.nodes[StepId(name)])
        node = self.model.nodes[name]
        node.status, node.holds = {"finish": "done", "fail": "failed"}.get(event, event), False
        self._agree(answered, self.model.settle())

    @precondition(lambda self: bool(self.model.nodes))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(list(self.model.nodes)))
        node = self.model.nodes[name]
        answered = self.machine.cancel(self.machine.nodes[StepId(name)], self._now())
        if node.status == "running":
            assert answered == [Instruction("stop", self.machine.nodes[StepId(name)])]
        elif node.status in ("pending", "ready"):
            node.status = "cancelled"
            self._agree(answered, [("drop", name), *self.model.settle()])
        else:
            assert answered == []

    @precondition(lambda self: self._has("running"))
    @rule(data=st.data())
    def suspend(self, data: st.DataObject) -> None:
        name = self._pick(data, "running")
        node = self.model.nodes[name]
        answered = self.machine.suspend(self.machine.nodes[StepId(name)], self._now())
        node.status, node.suspended, node.holds = "pending", True, False
        self._agree(answered, self.model.settle())

    @precondition(lambda self: any(node.suspended and node.status == "pending" for node in self.model.nodes.values()))
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        waiting = [name for name, node in self.model.nodes.items() if node.suspended and node.status == "pending"]
        name = data.draw(st.sampled_from(waiting))
        answered = self.machine.resume(self.machine.nodes[StepId(name)], self._now())
        self.model.nodes[name].suspended = False
        self._agree(answered, self.model.settle())

    @precondition(lambda self: self._has("running"))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        name = self._pick(data, "running")
        answered = self.machine.release(self.machine.nodes[StepId(name)], self._now())
        self.model.nodes[name].holds = False
        self._agree(answered, self.model.settle())

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "machine"):
            return
        self.machine.validate()
        assert {name: node.status for name, node in self.machine.nodes.items()} == {
            name: node.status for name, node in self.model.nodes.items()
        }

    @invariant()
    def skipped_nodes_blame_an_ancestor(self) -> None:
        for node in getattr(self, "machine", Machine()).nodes.values():
            if node.status == "skipped":
                assert node.because is not None
                assert node.because.status in ("failed", "cancelled")
                assert node.because in ancestors(node)
            assert (node.ended is not None) == (node.status in FINISHED)


def ancestors(node: Node) -> set[Node]:
    """Every node it depends on, however far."""
    found, left = set(), list(node.inputs)
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left.extend(one.inputs)
    return found


TestAgainstTheModel = AgainstTheModel.TestCase
TestAgainstTheModel.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
