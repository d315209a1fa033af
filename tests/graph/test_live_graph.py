"""Random edits against random execution: whatever happens in whatever order, the graph stays sound.

The judge knows the rules of the machine in their plainest form, without counters, queues or dependents: after each
event it looks at every node again. It says which nodes may be skipped and which must start, and whether an edit may be
applied.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agentrt.errors import EditRefused
from agentrt.graph.edits import Change, Drop, Insert, Replace, Rewire, Split
from agentrt.graph.machine import Instruction, Machine, Node
from agentrt.types import FINISHED, StepId

LANES = ("small", "wide", "open", "unnamed")
LOST = ("failed", "cancelled", "skipped")


@dataclass
class Expected:
    """What the judge knows of a node."""

    name: str
    inputs: list[str]
    need: int | None
    lane: str
    priority: int
    parent: str | None
    status: str = "pending"
    because: str | None = None
    suspended: bool = False
    holds: bool = False
    starts: int = 0
    ended: int = 0

    @property
    def unstarted(self) -> bool:
        return self.starts == 0 and self.status in ("pending", "ready")


class Judge:
    """The rules, said once more."""

    def __init__(self, limits: dict[str, int | None], strict: set[str]) -> None:
        self.limits = limits
        self.strict = strict
        self.nodes: dict[str, Expected] = {}
        self.ends = 0

    # -- what has to happen ----------------------------------------------------------------------------------

    def end(self, name: str, status: str) -> None:
        node = self.nodes[name]
        self.ends += 1
        node.status, node.holds, node.ended = status, False, self.ends

    def inputs(self, node: Expected, *statuses: str) -> list[Expected]:
        return [self.nodes[name] for name in node.inputs if self.nodes[name].status in statuses]

    def culprit(self, node: Expected) -> str | None:
        return node.name if node.status in ("failed", "cancelled") else node.because

    def verdicts(self, node: Expected) -> set[str | None]:
        """Who may be to blame if the node is skipped now, ``None`` among them for nobody; empty when it may not be."""
        if node.status != "pending" or node.starts:
            return set()
        lost = self.inputs(node, *LOST)
        blamed = {self.culprit(one) for one in lost} - {None}
        if node.need is not None:
            if len(node.inputs) - len(lost) >= node.need:
                return set()
            return cast("set[str | None]", blamed) or {None}
        unwanted = [one for one in lost if self.culprit(one) is None]
        if unwanted and (node.name in self.strict or len(unwanted) == len(node.inputs)):
            return {*blamed, None}
        return cast("set[str | None]", blamed)

    def can_start(self, node: Expected) -> bool:
        if node.status != "pending" or node.suspended:
            return False
        if node.need is not None:
            return bool(node.starts) or len(self.inputs(node, "done")) >= node.need
        return not self.inputs(node, "pending", "ready", "running")

    def settle(self, drops: list[Node]) -> list[str]:
        """Check that each of these skips is due, and that no other is; gives the nodes that start now."""
        for node in drops:
            because = node.because.id if node.because else None
            expected = self.nodes[node.id]
            assert because in self.verdicts(expected), f"{node.id} is skipped because of {because}"
            expected.because = because
            self.end(node.id, "skipped")
        left = [name for name, node in self.nodes.items() if self.verdicts(node)]
        assert not left, f"not skipped: {left}"
        for node in self.nodes.values():
            if self.can_start(node):
                node.status = "ready"
        return self.start()

    def trim(self, node: Expected) -> None:
        """A join lets go of the inputs that it did not wait for."""
        if node.need is not None and not node.starts:
            done = sorted(self.inputs(node, "done"), key=lambda one: one.ended)
            node.inputs = [one.name for one in done[: node.need]]

    def start(self) -> list[str]:
        started = []
        age = {name: index for index, name in enumerate(self.nodes)}
        ready = [node for node in self.nodes.values() if node.status == "ready"]
        for node in sorted(ready, key=lambda one: (-one.priority, age[one.name])):
            limit = self.limits.get(node.lane)
            if limit is None or sum(one.holds and one.lane == node.lane for one in self.nodes.values()) < limit:
                self.trim(node)
                node.status, node.holds, node.starts = "running", True, node.starts + 1
                started.append(node.name)
        return started

    # -- what an edit may do ---------------------------------------------------------------------------------

    def back(self, name: str) -> None:
        """As if the node had not been told to start."""
        node = self.nodes[name]
        node.status, node.holds, node.starts = "pending", False, node.starts - 1

    def refuses(self, changes: list[Change], idle: set[str]) -> bool:
        inserted, dropped, inputs, replaced = after_all(changes)
        if any(name in self.nodes for name in inserted) or len(set(inserted)) < len(inserted):
            return True
        changed = (set(inputs) | dropped | replaced) - set(inserted)
        if any(not self.nodes[name].unstarted for name in changed - idle) or dropped & (set(inputs) | replaced):
            return True
        new = {node.id: node for node in (one for change in changes for one in nodes_of(change))}
        known = {
            **{name: node.need for name, node in self.nodes.items()},
            **{name: new[name].need for name in inserted},
        }
        final = self.waits() | inputs
        return (
            any(self.bad_input(name, one) for name, some in inputs.items() for one in some if one not in inserted)
            or any(set(some) & dropped for name, some in final.items() if name not in dropped)
            or any(self.starved(known[name], some, inserted) for name, some in inputs.items())
            or self.resting_parent(inserted, new, idle)
            or self.cyclic(final, {name: new[name].parent for name in inserted})
        )

    def waits(self) -> dict[str, list[str]]:
        """What the nodes that have not started wait for."""
        return {name: list(node.inputs) for name, node in self.nodes.items() if node.unstarted}

    def bad_input(self, name: str, before: str) -> bool:
        had = self.nodes[name].inputs if name in self.nodes else []
        return self.nodes[before].status in LOST and before not in had

    def starved(self, need: int | None, inputs: list[str], inserted: list[str]) -> bool:
        can = [one for one in inputs if one in inserted or self.nodes[one].status not in LOST]
        return need is not None and len(can) < need

    def resting_parent(self, inserted: list[str], new: dict[StepId, Node], idle: set[str]) -> bool:
        parents = [parent.id for name in inserted if (parent := new[StepId(name)].parent) is not None]
        return any(self.nodes[name].status != "running" or name in idle for name in parents)

    def cyclic(self, final: dict[str, list[str]], parents: dict[str, Node | None]) -> bool:
        """Steps wait for their inputs, and what holds steps waits for those."""
        waits = {name: set(some) for name, some in final.items()}
        for name, node in self.nodes.items():
            if node.parent is not None and node.status not in FINISHED:
                waits.setdefault(node.parent, set()).add(name)
        for name, parent in parents.items():
            if parent is not None:
                waits.setdefault(parent.id, set()).add(name)
        try:
            TopologicalSorter(waits).prepare()
        except CycleError:
            return True
        return False

    def apply(self, changes: list[Change]) -> None:
        inserted, dropped, inputs, _ = after_all(changes)
        new = {node.id: node for change in changes for node in nodes_of(change)}
        for name in inserted:
            node = new[StepId(name)]
            parent = node.parent.id if node.parent else None
            self.nodes[name] = Expected(name, [], node.need, node.lane, node.priority, parent)
        for name, some in inputs.items():
            self.nodes[name].inputs = list(some)
            self.nodes[name].status = "pending"
        for name in dropped:
            self.end(name, "skipped")

    def cut(self, changed: set[str]) -> None:
        """What ended before it could start no longer comes behind what was changed."""
        waits = self.waits()
        for _ in waits:
            changed = changed | {name for name, some in waits.items() if set(some) & changed}
        for node in self.nodes.values():
            if node.status in FINISHED:
                node.inputs = [
                    name for name in node.inputs if name not in changed or self.nodes[name].status in FINISHED
                ]


def nodes_of(change: Change) -> tuple[Node, ...]:
    """The nodes that a change brings."""
    if isinstance(change, Insert):
        return (change.node,)
    return change.parts if isinstance(change, Split) else ()


def after_all(changes: list[Change]) -> tuple[list[str], set[str], dict[str, list[str]], set[str]]:
    """Ids of the nodes that come and of those that go, what changes its inputs, and what is replaced."""
    inserted: list[str] = []
    dropped: set[str] = set()
    replaced: set[str] = set()
    inputs: dict[str, list[str]] = {}
    for change in changes:
        for node in nodes_of(change):
            inserted.append(node.id)
            inputs[node.id] = list(dict.fromkeys(one.id for one in node.inputs))
        match change:
            case Drop(node):
                dropped.add(node.id)
            case Replace(node):
                replaced.add(node.id)
            case Rewire(node, some):
                inputs[node.id] = list(dict.fromkeys(one.id for one in some))
            case Split(node, parts, keeps):
                inputs[node.id] = list(dict.fromkeys(one.id for one in (*parts, *keeps)))
    return inserted, dropped, inputs, replaced


class LiveGraph(RuleBasedStateMachine):
    """Random graphs, lives and edits: the machine and the judge agree after every event."""

    @initialize(small=st.sampled_from([1, 2]))
    def begin(self, small: int) -> None:
        self.strict: set[str] = set()
        self.judge = Judge({"small": small, "wide": 4, "open": None}, self.strict)
        self.machine = Machine(self.judge.limits, lambda node: node.id not in self.strict)
        self.time = 0.0
        self.count = 0
        self.started: Counter[str] = Counter()
        self.suspensions: Counter[str] = Counter()

    # -- drawing ---------------------------------------------------------------------------------------------

    def _now(self) -> float:
        self.time += 1.0
        return self.time

    def _names(self, *statuses: str) -> list[str]:
        return [name for name, node in self.judge.nodes.items() if node.status in statuses]

    def _one(self, data: st.DataObject, names: list[str]) -> Node:
        return self.machine.nodes[StepId(data.draw(st.sampled_from(names)))]

    def _can_end(self) -> list[str]:
        """What runs and holds no step that has not ended: the driver waits for those."""
        holders = {node.parent for node in self.judge.nodes.values() if node.status not in FINISHED}
        return [name for name in self._names("running") if name not in holders]

    def _node(self, data: st.DataObject, known: list[Node], name: str | None = None) -> Node:
        """A new node with some of these as inputs."""
        if name is None:
            name = f"n{self.count}"
            self.count += 1
        inputs = data.draw(st.lists(st.sampled_from(known), max_size=4, unique=True)) if known else []
        need = data.draw(st.none() | st.integers(1, len(inputs))) if inputs else None
        running = self._names("running")
        parent = data.draw(st.none() | st.sampled_from(running)) if running else None
        if data.draw(st.integers(0, 3)) == 0 and name not in self.judge.nodes:  # else it is a twin, to be refused
            self.strict.add(name)
        return Node(
            StepId(name),
            name,
            "python",
            inputs=tuple(inputs),
            need=need,
            lane=data.draw(st.sampled_from(LANES)),
            priority=data.draw(st.integers(-1, 1)),
            parent=self.machine.nodes[StepId(parent)] if parent else None,
        )

    def _known(self, *, useful: bool) -> list[Node]:
        """Nodes to take as inputs; only those that have a value or may have one, if they have to be useful."""
        return [node for node in self.machine.nodes.values() if not useful or node.status not in LOST]

    # -- judging ---------------------------------------------------------------------------------------------

    def _agree(self, answered: list[Instruction], *, first: Node | None = None) -> None:
        """The instructions are the ones that are due; ``first`` is one that is dropped for a reason of its own."""
        assert all(verb in ("start", "drop") for verb, _ in answered)
        drops = [node for verb, node in answered if verb == "drop" and node is not first]
        starts = [str(node.id) for verb, node in answered if verb == "start"]
        due = self.judge.settle(drops)
        assert sorted(starts) == sorted(due), f"{starts} start, {due} should"
        self.started.update(starts)

    @rule(data=st.data())
    def add(self, data: st.DataObject) -> None:
        node = self._node(data, self._known(useful=False))
        if self.judge.cyclic({**self.judge.waits(), node.id: [one.id for one in node.inputs]}, {node.id: node.parent}):
            node.parent = None  # a program cannot call a step inside another one and have it wait for that
        parent = node.parent.id if node.parent else None
        self.judge.nodes[node.id] = Expected(
            node.id, [one.id for one in node.inputs], node.need, node.lane, node.priority, parent
        )
        self._agree(self.machine.add(node, self._now()))

    @precondition(lambda self: self._can_end())
    @rule(data=st.data(), how=st.sampled_from(["finish", "finish", "finish", "fail", "cancelled", "decline"]))
    def end(self, data: st.DataObject, how: str) -> None:
        self._end(self._one(data, self._can_end()), how)

    def _end(self, node: Node, how: str) -> None:
        more: tuple[Any, ...] = (ValueError(),) if how == "fail" else ()
        answered = getattr(self.machine, how)(node, *more, self._now())
        self.judge.end(node.id, {"finish": "done", "fail": "failed", "decline": "skipped"}.get(how, how))
        self._agree(answered)

    @precondition(lambda self: self._names("pending", "ready"))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        node = self._one(data, self._names("pending", "ready"))
        answered = self.machine.cancel(node, self._now())
        self.judge.end(node.id, "cancelled")
        self._agree(answered, first=node)

    @precondition(lambda self: self._can_end())
    @rule(data=st.data())
    def suspend(self, data: st.DataObject) -> None:
        node = self._one(data, self._can_end())
        answered = self.machine.suspend(node, self._now())
        expected = self.judge.nodes[node.id]
        expected.status, expected.suspended, expected.holds = "pending", True, False
        self.suspensions[node.id] += 1
        self._agree(answered)

    def _suspended(self) -> list[str]:
        return [name for name, node in self.judge.nodes.items() if node.suspended and node.status == "pending"]

    @precondition(lambda self: self._suspended())
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        self._resume(self._one(data, self._suspended()))

    def _resume(self, node: Node) -> None:
        self.judge.nodes[node.id].suspended = False
        self._agree(self.machine.resume(node, self._now()))

    @precondition(lambda self: self._names("running"))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self._release(self._one(data, self._names("running")))

    def _release(self, node: Node) -> None:
        self.judge.nodes[node.id].holds = False
        self._agree(self.machine.release(node, self._now()))

    # -- edits -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.judge.nodes)
    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        """Mostly sensible changes, some that cannot be made: a started node, a lost input, an id twice."""
        careful = data.draw(st.integers(0, 4)) > 0
        first_time = [name for name in self._can_end() if self._may_be_idle(self.judge.nodes[name])]
        idle = set(data.draw(st.lists(st.sampled_from(first_time), max_size=2)) if first_time else ())
        changes: list[Change] = []
        fresh: list[Node] = []
        for _ in range(data.draw(st.integers(1, 4))):
            changes += self._changes(data, careful, fresh, idle)
        self._judge_edit(changes, idle)

    def _may_be_idle(self, node: Expected) -> bool:
        return node.starts == 1 and node.need is None

    def _changes(self, data: st.DataObject, careful: bool, fresh: list[Node], idle: set[str]) -> list[Change]:
        unstarted = [name for name, node in self.judge.nodes.items() if node.unstarted or name in idle]
        names = unstarted if careful else list(self.judge.nodes)
        known = [*self._known(useful=careful), *fresh]
        kind = data.draw(st.sampled_from(["insert", "drop", "rewire", "split", "replace"] if names else ["insert"]))
        if kind == "insert":
            taken = None if careful or data.draw(st.booleans()) else data.draw(st.sampled_from(list(self.judge.nodes)))
            fresh.append(self._node(data, known, taken))
            return [Insert(fresh[-1])]
        node = self._one(data, names)
        if kind == "drop":
            return self._dropped(data, node, known) if careful else [Drop(node)]
        if kind == "replace":
            return [Replace(node)]
        inputs = tuple(data.draw(st.lists(st.sampled_from(known), max_size=4)))
        if kind == "rewire":
            return [Rewire(node, inputs)]
        parts = tuple(self._node(data, known) for _ in range(data.draw(st.integers(1, 3))))
        fresh.extend(parts)
        return [Split(node, parts, inputs[:1])]

    def _dropped(self, data: st.DataObject, node: Node, known: list[Node]) -> list[Change]:
        """The node goes, and what takes it goes too or takes another."""
        changes: list[Change] = []
        for after in dict.fromkeys([node, *node.dependents]):
            if after is node or data.draw(st.booleans()):
                changes.append(Drop(after))
            else:
                others = [one for one in after.inputs if one is not node]
                changes.append(Rewire(after, (*others, *data.draw(st.lists(st.sampled_from(known), max_size=1)))))
        return changes

    def _judge_edit(self, changes: list[Change], idle: set[str]) -> None:
        """``idle`` nodes were told to start, and the driver holds them back."""
        refuse = self.judge.refuses(changes, idle)
        held = {self.machine.nodes[StepId(name)] for name in idle}
        _, dropped, inputs, _ = after_all(changes)
        back = [name for name in idle if name in dropped or name in inputs]
        before, version = self._picture(), self.machine.version
        started = {
            node: self._traces(node)
            for node in self.machine.nodes.values()  # but what waits for a place once more, which it may get now
            if node.attempt and node.id not in back and node.status != "ready"
        }
        if refuse:
            with pytest.raises(EditRefused):
                self.machine.edit(changes, self._now(), held)
            assert self._picture() == before, "a refused edit changes nothing"
            return
        answered = self.machine.edit(changes, self._now(), held)
        assert self.machine.version == version + 1
        assert {node: self._traces(node) for node in started} == started, "what has started is not touched"
        for name in back:
            self.judge.back(name)
            self.started[name] -= 1
        self.judge.apply(changes)
        out = [one for one in answered if not (one.verb == "drop" and one.node.id in dropped)]
        assert {one.node.id for one in answered if one not in out} == dropped
        self._agree(out)
        self.judge.cut(set(inputs))

    def _traces(self, node: Node) -> tuple[object, ...]:
        return node.status, node.inputs, node.attempt, node.started, node.ended, node.because, tuple(node.history)

    def _picture(self) -> object:
        nodes = [
            (node, self._traces(node), node.waiting, node.spare, tuple(node.dependents))
            for node in self.machine.nodes.values()
        ]
        lanes = [(lane.busy, list(lane.queue)) for lane in self.machine._lanes.values()]
        return nodes, lanes, self.machine.unfinished, self.machine.version

    # -- what always holds -----------------------------------------------------------------------------------

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "machine"):
            return
        self.machine.validate()
        nodes = self.machine.nodes
        assert {name: node.status for name, node in nodes.items()} == {
            name: node.status for name, node in self.judge.nodes.items()
        }
        for name, node in nodes.items():
            assert {one.id for one in node.inputs} == set(self.judge.nodes[name].inputs), node.story
            assert node.attempt == self.started[name], "every start was told, none twice"
            assert node.attempt <= 1 + self.suspensions[name], f"no step runs twice: {node.story}"
            assert (node.ended is not None) == (node.status in FINISHED), node.story

    def teardown(self) -> None:
        """No step is lost: when everything that runs is finished, all have ended."""
        if not hasattr(self, "machine") or sys.exc_info()[0] is not None:  # it failed before; that is what counts
            return
        while self.machine.unfinished:
            for name in self._suspended():
                self._resume(self.machine.nodes[StepId(name)])
            for name in self._names("running"):
                self._release(self.machine.nodes[StepId(name)])  # what holds others may need them to have its place
            left = self._can_end()
            assert left, f"stuck: {[node for node in self.machine.nodes.values() if not node.finished]}"
            self._end(self.machine.nodes[StepId(left[0])], "finish")
            self.agrees()


SETTINGS = settings(stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))


def test_random_edits_against_random_execution() -> None:
    """Acyclic, started steps untouched, no step lost, none run twice; a refused edit changes nothing."""
    run_state_machine_as_test(LiveGraph, settings=settings(SETTINGS, max_examples=300))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_thousand_random_sequences() -> None:
    """The same over 10,000 sequences."""
    run_state_machine_as_test(LiveGraph, settings=settings(SETTINGS, max_examples=10_000))
