"""Joins of some of many, and edges that are disabled: the scheduler core, driven by plain calls."""

from __future__ import annotations

from itertools import permutations

import pytest

from agentrt.errors import GraphError
from agentrt.graph.analysis import live_view, steps_to_execution
from agentrt.graph.machine import InvalidTransition, Machine, Node
from agentrt.types import StepId
from tests.graph.test_machine import Bench, statuses


def join(bench: Bench, need: int, *inputs: Node, name: str = "join", lane: str = "") -> Node:
    """A node that needs only so many of its inputs, in the graph."""
    node = Node(StepId(name), name, "join", inputs=inputs, need=need, lane=lane)
    bench.machine.add(node, bench.now)
    bench.machine.validate()
    return node


def test_any_starts_with_the_first_of_its_inputs() -> None:
    """A node that needs one input starts with the first that is done; the later ones change nothing."""
    bench = Bench()
    a, b, c = (bench.add(name) for name in "abc")
    first = join(bench, 1, a, b, c)
    assert bench.tell("finish", b) == [("start", "join")]
    assert first.inputs == (b,), "it did not come after the others"
    assert bench.tell("finish", a) == []
    assert bench.tell("fail", c, ValueError()) == []
    assert bench.tell("finish", first) == []


def test_n_of_starts_with_the_last_that_it_needs() -> None:
    """Two of three: whatever the order, it starts with the second that is done and takes both in that order."""
    for one, two, three in permutations("abc"):
        bench = Bench()
        nodes = {name: bench.add(name) for name in "abc"}
        some = join(bench, 2, *nodes.values())
        assert bench.tell("finish", nodes[one]) == []
        assert bench.tell("finish", nodes[two]) == [("start", "join")]
        assert bench.tell("finish", nodes[three]) == []
        assert some.inputs == (nodes[one], nodes[two])


def test_inputs_that_are_done_already_count() -> None:
    """A node added behind enough done inputs starts at once, with those that were done first."""
    bench = Bench()
    a, b, c = (bench.add(name) for name in "abc")
    bench.tell("finish", c)
    bench.tell("finish", a)
    assert join(bench, 1, a, b, c, name="one").inputs == (c,)
    assert join(bench, 2, a, b, c, name="two").inputs == (c, a)
    three = join(bench, 3, a, b, c, name="three")
    assert three.status == "pending"
    assert bench.tell("finish", b) == [("start", "three")]


def test_it_is_skipped_when_too_few_can_still_be_done() -> None:
    """Two of three survive one failure; the second skips them, and the first failure is to blame."""
    bench = Bench()
    a, b, c = (bench.add(name) for name in "abc")
    some = join(bench, 2, a, b, c)
    after = bench.add("after", some)
    assert bench.tell("fail", b, ValueError("first")) == []
    assert bench.tell("cancelled", a) == [("drop", "join"), ("drop", "after")]
    assert (some.because, after.because) == (b, b)
    assert bench.tell("finish", c) == []


def test_too_few_inputs_from_the_start_skip_it_at_once() -> None:
    """A node added when too few of its inputs can be done is skipped, with the first failure to blame."""
    bench = Bench()
    a, b, c = (bench.add(name) for name in "abc")
    bench.tell("fail", c, ValueError())
    bench.tell("fail", a, ValueError())
    some = join(bench, 2, a, b, c)
    assert (some.status, some.because) == ("skipped", c)
    assert join(bench, 1, a, b, c, name="any").status == "pending"


def test_a_late_input_does_not_end_a_delay() -> None:
    """A node between two attempts is not woken by an input it did not wait for."""
    bench = Bench()
    a, b, c = (bench.add(name) for name in "abc")
    some = join(bench, 1, a, b, c)
    bench.tell("finish", a)
    bench.tell("suspend", some)
    assert bench.tell("finish", b) == []
    assert bench.tell("fail", c, ValueError()) == []
    assert some.status == "pending"
    assert bench.tell("resume", some) == [("start", "join")]
    assert (some.inputs, some.attempt) == ((a,), 2)


def test_it_queues_for_a_place_as_others_do() -> None:
    """With its inputs there it waits for a place, and what happens to the other inputs meanwhile is nothing to it."""
    bench = Bench(gpu=1)
    a, b = bench.add("a"), bench.add("b")
    holder = bench.add("holder", lane="gpu")
    some = join(bench, 1, a, b, lane="gpu")
    bench.tell("finish", a)
    bench.tell("cancelled", b)
    assert some.status == "ready"
    assert bench.tell("finish", holder) == [("start", "join")]


@pytest.mark.parametrize(("need", "inputs", "said"), [(0, "ab", "1 to 2"), (3, "ab", "1 to 2"), (1, "aa", "twice")])
def test_a_need_that_cannot_be_met_is_refused(need: int, inputs: str, said: str) -> None:
    """Needing none, more than there are, or one input counted twice is refused by name; the graph stays as it was."""
    bench = Bench()
    nodes = {name: bench.add(name) for name in "ab"}
    with pytest.raises(GraphError, match=rf"'join' needs {need} of .*{said}"):
        join(bench, need, *(nodes[name] for name in inputs))
    assert list(bench.machine.nodes) == ["a", "b"]
    bench.machine.validate()


def test_what_is_declined_disables_its_edges() -> None:
    """A node of which every edge is disabled is skipped, to any depth, and nobody is to blame."""
    bench = Bench()
    a = bench.add("a")
    b = bench.add("b", a)
    c = bench.add("c", b)
    assert bench.tell("decline", a) == [("drop", "b"), ("drop", "c")]
    assert statuses(a, b, c) == ["skipped", "skipped", "skipped"]
    assert all(node.unwanted and node.because is None for node in (a, b, c))
    assert bench.add("late", b).unwanted


def test_one_enabled_edge_is_enough() -> None:
    """Disabled edges count as absent: a node with one that is enabled runs, whichever comes first."""
    for first, second in permutations(("decline", "finish")):
        bench = Bench()
        a, b = bench.add("a"), bench.add("b")
        both = bench.add("both", a, b)
        after = bench.add("after", both)
        assert bench.tell(first, a) == []
        assert bench.tell(second, b) == [("start", "both")]
        assert bench.tell("finish", both) == [("start", "after")]
        assert after.status == "running"
        assert bench.add("late", a, b).status == "running"


def test_a_node_that_cannot_do_without_is_skipped_at_once() -> None:
    """When the driver says that a node can spare nothing, one disabled edge skips it, before the others are known."""
    asked: list[str] = []

    def spares(node: Node) -> bool:
        asked.append(node.id)
        return node.id != "strict"

    bench = Bench()
    bench.machine = Machine({}, spares)
    a, b = bench.add("a"), bench.add("b")
    strict, lenient = bench.add("strict", a, b), bench.add("lenient", a, b)
    assert bench.tell("decline", a) == [("drop", "strict")]
    assert (strict.unwanted, lenient.status) == (True, "pending")
    assert asked == ["strict", "lenient"]
    assert bench.tell("finish", b) == [("start", "lenient")]


def test_a_failure_skips_also_where_another_edge_is_disabled() -> None:
    """A failed input is no disabled edge: what takes it is skipped, with the failure to blame."""
    for first, second in permutations(("decline", "fail")):
        bench = Bench()
        a, b, c = (bench.add(name) for name in "abc")
        node = bench.add("node", a, b, c)
        for event, who in ((first, a), (second, b)):
            bench.tell(event, who, *([ValueError()] if event == "fail" else []))
        failed = a if first == "fail" else b
        assert (node.status, node.because, node.unwanted) == ("skipped", failed, False)
        late = bench.add("late", a, b)
        assert (late.status, late.because) == ("skipped", failed)


def test_a_join_of_branches_goes_on_with_the_one_that_was_taken() -> None:
    """Of two branches one is declined: the join needs one, and has it when the other is done."""
    bench = Bench()
    yes, no = bench.add("yes"), bench.add("no")
    kept, sent_back = bench.add("kept", yes), bench.add("sent back", no)
    either = join(bench, 1, kept, sent_back)
    assert bench.tell("decline", no) == [("drop", "sent back")]
    bench.tell("finish", yes)
    assert bench.tell("finish", kept) == [("start", "join")]
    assert either.inputs == (kept,)


def test_a_join_of_branches_none_of_which_was_taken_is_not_wanted() -> None:
    """When every branch is declined, nobody is to blame for the join; one failed branch is, if it is among them."""
    bench = Bench()
    a, b, c, d = (bench.add(name) for name in "abcd")
    unwanted, blamed = join(bench, 1, a, b, name="unwanted"), join(bench, 2, c, d, a, name="blamed")
    bench.tell("fail", c, ValueError())
    bench.tell("decline", a)
    assert (blamed.status, blamed.because) == ("skipped", c)
    bench.tell("decline", b)
    assert unwanted.unwanted


def test_what_a_decline_makes_ready_competes_for_the_place_it_leaves() -> None:
    """A dependent that can run without the declined node takes its place, before an older one of low priority."""
    bench = Bench(gpu=1)
    done, gate = bench.add("done"), bench.add("gate", lane="gpu")
    bench.tell("finish", done)
    bench.add("waiting", lane="gpu")
    bench.add("next", gate, done, lane="gpu", priority=1)
    assert bench.tell("decline", gate) == [("start", "next")]


def test_only_what_runs_can_decline() -> None:
    """Whether it is wanted is found out by running: any other node that declines is refused with its story."""
    bench = Bench(gpu=1)
    running, ready = bench.add("running", lane="gpu"), bench.add("ready", lane="gpu")
    pending = bench.add("pending", running)
    for node in (ready, pending):
        with pytest.raises(InvalidTransition, match=rf"cannot decline.*{node.id}"):
            bench.machine.decline(node, 9.0)
    bench.tell("decline", running)
    with pytest.raises(InvalidTransition, match=r"cannot decline.*running"):
        bench.machine.decline(running, 9.0)


def test_validate_finds_what_is_wrong_with_a_join() -> None:
    """``validate`` can fail: for a join that took too many inputs, and for one that miscounts what it can spare."""
    bench = Bench()
    a, b = bench.add("a"), bench.add("b")
    some = join(bench, 1, a, b)
    some.spare = 0
    with pytest.raises(InvalidTransition, match="can spare 0 inputs, 1 in truth"):
        bench.machine.validate()
    some.spare = 1
    bench.tell("finish", a)
    bench.tell("finish", b)
    some.inputs = (a, b)
    with pytest.raises(InvalidTransition, match="has 2 of 2 inputs, needs 1"):
        bench.machine.validate()


def test_steps_to_execution_follow_what_a_join_needs() -> None:
    """A join stands behind the n-th nearest of its inputs; those that are done count for it, lost ones do not."""

    def steps(bench: Bench, node: Node) -> int | None:
        return steps_to_execution(live_view(bench.machine.nodes.values())).get(node.id)

    bench = Bench()
    near = bench.add("near")
    chain = [bench.add("far")]
    for number in range(3):
        chain.append(bench.add(f"far{number}", chain[-1]))
    one = join(bench, 1, near, chain[-1], name="one")
    two = join(bench, 2, near, chain[1], chain[-1], name="two")
    three = join(bench, 3, near, chain[1], chain[-1], name="three")
    assert [steps(bench, node) for node in (one, two, three)] == [1, 2, 4]
    bench.tell("finish", near)
    assert [steps(bench, node) for node in (one, two, three)] == [0, 2, 4]
    bench.tell("cancel", chain[1])
    assert [steps(bench, node) for node in (one, two, three)] == [0, None, None]
