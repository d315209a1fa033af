"""Questions about step graphs: how far a step is from running, the longest chain, cycles, levels.

*Steps to execution* (KVFlow, arXiv 2507.07400): how many steps have to end before a node can start, along the way that
gets there soonest. 0 for a node that runs or could start now; for a node that needs all of its inputs, the largest of
theirs plus one; for one that needs any of them, the smallest plus one, for one that needs ``n`` the ``n``-th smallest;
loops by the shortest way round. Inputs that are done do not count, and joins, branches and loop heads, which take no
time, add nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from agentrt.errors import GraphError
from agentrt.types import FINISHED, StepId, StepKind, StepStatus

State: TypeAlias = Literal["finished", "running", "open"]
"""finished: no longer in the way of anything; running; open: neither."""


class LiveNode(Protocol):
    """What this module needs to know of a step of a run; ``agentrt.graph.machine.Node`` has it."""

    @property
    def id(self) -> StepId:
        """The step's id."""

    @property
    def name(self) -> str:
        """The step's name."""

    @property
    def kind(self) -> StepKind:
        """The step's kind."""

    @property
    def status(self) -> StepStatus:
        """Where it is in its life."""

    @property
    def inputs(self) -> Sequence[LiveNode]:
        """Its data edges."""

    @property
    def need(self) -> int | None:
        """How many of its inputs it needs, ``None`` for all of them."""

    @property
    def after(self) -> Sequence[LiveNode]:
        """Its control edges."""

    @property
    def parent(self) -> LiveNode | None:
        """The step it runs inside of."""

    @property
    def started(self) -> float | None:
        """When it started, in seconds."""

    @property
    def ended(self) -> float | None:
        """When it ended, in seconds."""


@dataclass(frozen=True, slots=True)
class ViewNode:
    """One node as the analysis sees it.

    ``before`` are the nodes it waits for: every one, with ``any_of`` the first, with ``need`` so many of those that are
    not finished. ``back`` are other ways in, the ends of a loop's rounds. ``weight`` is what passing it adds: 1 for a
    step, 0 for what takes no time.
    """

    before: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    any_of: bool = False
    weight: int = 1
    state: State = "open"
    need: int | None = None


GraphView: TypeAlias = Mapping[str, ViewNode]
"""A graph to ask ``steps_to_execution`` of.

Forward edges (``before``) form no cycle; ids that are missing are finished.
"""


def steps_to_execution(view: GraphView) -> dict[str, int]:
    """Steps to execution of every node that still can run; a node that is missing in the answer never will (again).

    Nodes are settled in the order of their values, each edge is looked at once: O(nodes + edges).
    """
    search = _Search(view)
    while search.queue:
        node, value = search.queue.popleft()
        if node not in search.settled:
            search.settle(node, value)
    return search.settled


class _Search:
    """Dijkstra's algorithm with two kinds of nodes: some settle at their first input, others at their last.

    ``after`` holds who waits for a node, and whether it is one of several ways in. ``missing`` counts inputs that are
    not settled, ``due`` is the largest value of those that are, one step on.
    """

    __slots__ = ("after", "due", "missing", "queue", "settled", "view")

    def __init__(self, view: GraphView) -> None:
        self.view = view
        self.settled: dict[str, int] = {}
        self.queue: deque[tuple[str, int]] = deque()
        self.after: dict[str, list[tuple[str, bool]]] = {}
        self.missing: dict[str, int] = {}
        self.due: dict[str, int] = {}
        for name, node in view.items():
            if node.state != "finished":
                self._enter(name, node)

    def _enter(self, name: str, node: ViewNode) -> None:
        back = [one for one in node.back if self._open(one)]
        before = [one for one in node.before if self._open(one)]
        satisfied = not before or node.need == 0 or (node.any_of and len(before) < len(node.before))
        if node.state == "running" or (satisfied and not (back and not node.before)):
            self.queue.append((name, 0))
            return
        self.missing[name] = len(before) if node.need is None else node.need
        self.due[name] = 0
        for one in before:
            self.after.setdefault(one, []).append((name, node.any_of))
        for one in back:
            self.after.setdefault(one, []).append((name, True))

    def _open(self, name: str) -> bool:
        node = self.view.get(name)
        return node is not None and node.state != "finished"

    def settle(self, name: str, value: int) -> None:
        """The node's value is final: tell those behind it. Values in the queue differ by one at most."""
        self.settled[name] = value
        behind = value + self.view[name].weight
        for after, alternative in self.after.get(name, ()):
            if alternative:
                self._offer(after, behind, value)
                continue
            self.missing[after] -= 1
            self.due[after] = max(self.due[after], behind)
            if not self.missing[after]:
                self._offer(after, self.due[after], value)

    def _offer(self, name: str, value: int, now: int) -> None:
        if value > now:
            self.queue.append((name, value))
        else:
            self.queue.appendleft((name, value))


def live_view(nodes: Iterable[LiveNode]) -> dict[str, ViewNode]:
    """The graph of a run as a view. A step that holds others counts as one: it ends when they have."""
    return {
        node.id: ViewNode(
            before=tuple(one.id for one in (*node.inputs, *node.after)),
            need=None if node.need is None else max(0, node.need - _done(node.inputs)),
            weight=0 if node.kind == "join" else 1,
            state=_state(node.status),
        )
        for node in nodes
    }


def _done(nodes: Iterable[LiveNode]) -> int:
    return sum(node.status == "done" for node in nodes)


def _state(status: StepStatus) -> State:
    if status in FINISHED:
        return "finished"
    return "running" if status == "running" else "open"


class CriticalPath(NamedTuple):
    """The chain of steps that took longest: why a run could not have been faster."""

    steps: tuple[StepId, ...]
    seconds: float


def critical_path(nodes: Iterable[LiveNode]) -> CriticalPath:
    """The longest chain over data and control edges, by the time its steps ran.

    A step that holds others counts as a whole, and they do not count beside it. Steps that never ran take no time.
    """
    found = {node.id: node for node in nodes}
    tops = {step: node for step, node in found.items() if node.parent is None or node.parent.id not in found}
    before = {step: [one.id for one in (*node.inputs, *node.after) if one.id in tops] for step, node in tops.items()}
    reached: dict[StepId, float] = {}
    via: dict[StepId, StepId | None] = {}
    for step in topological(before):
        via[step] = max(before[step], key=reached.__getitem__, default=None)
        reached[step] = _seconds(tops[step]) + (reached[last] if (last := via[step]) is not None else 0.0)
    end = max(reached, key=reached.__getitem__, default=None)
    seconds = reached[end] if end is not None else 0.0
    path = []
    while end is not None:
        path.append(end)
        end = via[end]
    return CriticalPath(tuple(step for step in reversed(path) if found[step].kind != "join"), seconds)


def _seconds(node: LiveNode) -> float:
    return 0.0 if node.started is None or node.ended is None else node.ended - node.started


def topological(before: Mapping[StepId, Sequence[StepId]]) -> list[StepId]:
    """The ids, each after those it comes after; ids that are no key do not count.

    Raises ``GraphError`` naming the cycle when there is one.
    """
    inputs = {step: {one for one in some if one in before} for step, some in before.items()}
    missing = {step: len(some) for step, some in inputs.items()}
    after: dict[StepId, list[StepId]] = {}
    for step, some in inputs.items():
        for one in some:
            after.setdefault(one, []).append(step)
    order = [step for step, count in missing.items() if not count]
    for step in order:
        for one in after.get(step, ()):
            missing[one] -= 1
            if not missing[one]:
                order.append(one)
    if len(order) < len(before):
        find_cycle(before)
    return order


def find_cycle(before: Mapping[StepId, Iterable[StepId]], places: Mapping[StepId, object] | None = None) -> None:
    """Raise ``GraphError`` that names a cycle, with the places of its steps where given; else do nothing."""
    import networkx as nx

    graph: Any = nx.DiGraph((one, step) for step, some in before.items() for one in some)
    try:
        cycle = [source for source, _ in nx.find_cycle(graph)]
    except nx.NetworkXNoCycle:
        return
    known = places or {}
    told = [f"{step} ({known[step]})" if step in known else str(step) for step in (*cycle, cycle[0])]
    raise GraphError(f"a cycle: {' before '.join(told)}; one of them has to be made without the other")


def levels(before: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many nodes stand before each one on its longest chain, from 0: equal levels may run side by side.

    Ids come in an order in which inputs stand first.
    """
    found: dict[str, int] = {}
    for step, some in before.items():
        found[step] = max((found[one] + 1 for one in some), default=0)
    return found
