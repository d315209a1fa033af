from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.errors import GraphError
from agentrt.graph.analysis import (
    GraphView,
    ViewNode,
    critical_path,
    find_cycle,
    levels,
    live_view,
    steps_to_execution,
    topological,
)
from agentrt.graph.machine import Machine, Node
from agentrt.types import StepId

INFINITE = float("inf")


def test_join_of_all_takes_the_largest():
    """A node that needs all of its inputs is one step behind the furthest of them."""
    view = {
        "a": ViewNode(state="running"),
        "b": ViewNode(("a",)),
        "c": ViewNode(("b",)),
        "join": ViewNode(("a", "c")),
    }
    assert steps_to_execution(view) == {"a": 0, "b": 1, "c": 2, "join": 3}


def test_join_of_any_takes_the_smallest():
    """A node that needs any one of its inputs is one step behind the nearest of them."""
    view = {"a": ViewNode(state="running"), "b": ViewNode(("a",)), "first": ViewNode(("b", "a"), any_of=True)}
    assert steps_to_execution(view)["first"] == 1


def test_finished_inputs_do_not_count():
    """Only what is not finished stands between a node and its start; with nothing left it is about to run."""
    view = {"a": ViewNode(state="finished"), "b": ViewNode(("a",)), "c": ViewNode(("a", "b"))}
    assert steps_to_execution(view) == {"b": 0, "c": 1}


def test_any_with_a_finished_input_is_about_to_run():
    """A node that needs one input, and has one, waits for no other."""
    view = {"a": ViewNode(state="finished"), "b": ViewNode(state="running"), "c": ViewNode(("a", "b"), any_of=True)}
    assert steps_to_execution(view)["c"] == 0


def test_what_takes_no_time_adds_nothing():
    """A join or branch between two steps does not put them further apart."""
    view = {"a": ViewNode(state="running"), "join": ViewNode(("a",), weight=0), "b": ViewNode(("join",))}
    assert steps_to_execution(view) == {"a": 0, "join": 1, "b": 1}


def test_loop_by_the_shortest_way():
    """The next round of a loop is reached through its back edge, when nothing else gets there sooner."""
    view = {
        "head": ViewNode(back=("tail",), weight=0),
        "body": ViewNode(("head",)),
        "tail": ViewNode(("body",), state="running"),
        "after": ViewNode(("tail",)),
    }
    assert steps_to_execution(view) == {"tail": 0, "head": 1, "body": 1, "after": 1}


def test_never_reached_is_missing():
    """A node that waits for a loop nobody will enter is not in the answer."""
    view = {"head": ViewNode(("gone",), back=("tail",)), "tail": ViewNode(("head",)), "gone": ViewNode(("head",))}
    assert steps_to_execution(view) == {}


@st.composite
def views(draw: st.DrawFn) -> GraphView:
    """Graphs whose forward edges point from smaller numbers to larger ones, with back edges the other way."""
    size = draw(st.integers(1, 12))
    view = {}
    for node in range(size):
        before = draw(st.lists(st.integers(0, node - 1), max_size=3, unique=True)) if node else []
        back = draw(st.lists(st.integers(node, size - 1), max_size=2, unique=True))
        view[str(node)] = ViewNode(
            tuple(map(str, before)),
            tuple(map(str, back)) if draw(st.booleans()) else (),
            draw(st.booleans()),
            draw(st.integers(0, 1)),
            draw(st.sampled_from(["finished", "running", "open", "open", "open"])),
        )
    return view


def by_repetition(view: GraphView) -> dict[str, float]:
    """The definition taken literally, over and over until nothing changes."""
    found = {name: INFINITE for name, node in view.items() if node.state != "finished"}
    for _ in range(3 * len(view) + 3):
        found = {name: _value(view, view[name], found) for name in found}
    return {name: value for name, value in found.items() if value < INFINITE}


def _value(view: GraphView, node: ViewNode, found: dict[str, float]) -> float:
    if node.state == "running":
        return 0
    before = [found[one] + view[one].weight for one in node.before if one in found]
    back = [found[one] + view[one].weight for one in node.back if one in found]
    if node.any_of:
        has_one = len(before) < len(node.before)
        forward = 0 if has_one or (not before and not back) else min(before, default=INFINITE)
    else:
        only_back = not node.before and back
        forward = max(before, default=INFINITE if only_back else 0)
    return min([forward, *back])


@settings(max_examples=400, deadline=None)
@given(views())
def test_agrees_with_the_definition(view: GraphView):
    """The search gives what the definition gives when it is applied until nothing changes."""
    assert steps_to_execution(view) == by_repetition(view)


def test_long_chain():
    """A chain of 20,000 steps is no trouble."""
    view = {"0": ViewNode(state="running")} | {str(n): ViewNode((str(n - 1),)) for n in range(1, 20_000)}
    assert steps_to_execution(view)["19999"] == 19_999


# -- runs ----------------------------------------------------------------------------------------------------


def node(name: str, *inputs: Node, after: tuple[Node, ...] = (), parent: Node | None = None, kind="python") -> Node:
    return Node(StepId(name), name.partition("#")[0], kind, inputs=inputs, after=after, parent=parent)


def test_live_view():
    """Steps to execution of a run follow what the machine knows."""
    machine = Machine()
    a, b = node("a"), node("b")
    join = node("join", a, b, kind="join")
    c = node("c", join)
    for one in (a, b, join, c):
        machine.add(one, 0.0)
    assert steps_to_execution(live_view(machine.nodes.values())) == {"a": 0, "b": 0, "join": 1, "c": 1}
    machine.finish(a, 1.0)
    machine.finish(b, 1.0)
    machine.finish(join, 1.0)
    assert steps_to_execution(live_view(machine.nodes.values())) == {"c": 0}


def ran(one: Node, started: float, ended: float) -> Node:
    one.started, one.ended = started, ended
    return one


def test_critical_path():
    """The longest chain counts data and control edges, and names its steps in order."""
    a, b = ran(node("a"), 0, 1), ran(node("b"), 0, 3)
    c = ran(node("c", a, after=(b,)), 3, 4)
    d = ran(node("d", a), 1, 3.5)
    assert critical_path([a, b, c, d]) == (("b", "c"), 4.0)


def test_critical_path_counts_a_holder_as_a_whole():
    """What runs inside an agent is not counted beside it, and joins are not named."""
    agent = ran(node("agent", kind="agent"), 0, 5)
    turn = ran(node("agent/turn", parent=agent), 0, 5)
    join = node("join", agent, kind="join")
    end = ran(node("end", join), 5, 6)
    assert critical_path([agent, turn, join, end]) == (("agent", "end"), 6.0)


def test_critical_path_of_nothing():
    """A run without steps has an empty path of no length."""
    assert critical_path([]) == ((), 0.0)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_critical_path_is_the_longest_of_all(data: st.DataObject):
    """No chain of steps is longer than the critical path, and it is a chain itself."""
    nodes: list[Node] = []
    for number in range(data.draw(st.integers(1, 8))):
        before = data.draw(st.lists(st.sampled_from(nodes), max_size=3, unique=True)) if nodes else []
        cut = data.draw(st.integers(0, len(before)))
        one = node(str(number), *before[:cut], after=tuple(before[cut:]))
        nodes.append(ran(one, 0, data.draw(st.integers(0, 5))))

    def longest(one: Node) -> float:
        return (one.ended or 0) + max((longest(other) for other in (*one.inputs, *one.after)), default=0)

    found = critical_path(nodes)
    by_id = {one.id: one for one in nodes}
    assert found.seconds == max(map(longest, nodes))
    assert sum(by_id[step].ended or 0 for step in found.steps) == found.seconds
    for first, second in pairwise(found.steps):
        assert by_id[first] in (*by_id[second].inputs, *by_id[second].after)


def test_cycle_is_named_with_its_places():
    """A cycle is refused by naming each of its steps and where it was made."""
    before = {StepId("a"): [StepId("c")], StepId("b"): [StepId("a")], StepId("c"): [StepId("b")], StepId("d"): []}
    with pytest.raises(GraphError, match=r"a cycle: .*a \(p\.py:3\).* before .*"):
        find_cycle(before, {StepId("a"): "p.py:3"})
    with pytest.raises(GraphError, match="a cycle"):
        topological(before)


def test_no_cycle():
    """A graph without a cycle is put in order."""
    before = {StepId("b"): [StepId("a"), StepId("elsewhere")], StepId("a"): []}
    find_cycle(before)
    assert topological(before) == ["a", "b"]


def test_levels():
    """A node's level is the length of the longest chain before it."""
    before = {"a": [], "b": ["a"], "c": ["a", "b"], "d": ["c"]}
    assert levels(before) == {"a": 0, "b": 1, "c": 2, "d": 3}
