"""How the status of a step changes, and who gets a place: the part of the scheduler core below its edges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush
from typing import Final, Literal, NamedTuple

from agentrt.errors import GraphError
from agentrt.graph.node import InvalidTransition, Node
from agentrt.types import FINISHED, StepId, StepStatus

_ALLOWED: Final[Mapping[StepStatus, frozenset[StepStatus]]] = {
    "pending": frozenset({"ready", "running", "skipped", "cancelled"}),
    "ready": frozenset({"running", "cancelled"}),
    "running": frozenset({"done", "failed", "cancelled", "skipped", "pending"}),
    "done": frozenset(),
    "failed": frozenset(),
    "skipped": frozenset(),
    "cancelled": frozenset(),
}


class Instruction(NamedTuple):
    """What the driver has to do now.

    ``start``: run the node. ``stop``: end its run, then report ``cancelled``. ``drop``: it ended without having run,
    its status says how and ``because`` which failure or cancellation is to blame, if any.
    """

    verb: Literal["start", "stop", "drop"]
    node: Node


class Lane:
    """The places of one executor. ``queue`` is ordered by priority, then by age."""

    __slots__ = ("busy", "limit", "queue")

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.busy = 0
        self.queue: list[tuple[int, int, Node]] = []

    @property
    def free(self) -> bool:
        """Whether one more node may run."""
        return self.limit is None or self.busy < self.limit

    def leave(self, node: Node) -> None:
        """Take a ready node out of the queue."""
        self.queue = [place for place in self.queue if place[2] is not node]
        heapify(self.queue)


class Transitions:
    """The nodes of one run, the status of each, and the places of the lanes."""

    def __init__(self, limits: Mapping[str, int | None]) -> None:
        self.nodes: dict[StepId, Node] = {}
        self.unfinished = 0
        self._added = 0
        self._lanes = {name: Lane(limit) for name, limit in limits.items()}

    def limit(self, lane: str, places: int | None) -> None:
        """Name a lane that was not known when the machine was made; a known lane stays as it is."""
        self._lanes.setdefault(lane, Lane(places))

    def _admit(self, node: Node, now: float) -> None:
        if node.id in self.nodes:
            raise GraphError(f"step {node.id!r} is in the graph already; every step needs an id of its own")
        for before in node.inputs:
            if self.nodes.get(before.id) is not before and before.status not in FINISHED:  # else it was forgotten
                raise GraphError(f"step {node.id!r} depends on {before.id!r}, which is not in this graph")
        self._added += 1
        node.sequence = self._added
        node.added = now
        node.history.append(("pending", now))
        self.nodes[node.id] = node
        self.unfinished += 1

    def _move(self, node: Node, status: StepStatus, now: float) -> None:
        if status not in _ALLOWED[node.status]:
            raise InvalidTransition(f"cannot become {status} at {now:.3f} s: {node.story}")
        node.status = status
        node.history.append((status, now))

    def _ready(self, node: Node, now: float, out: list[Instruction]) -> None:
        lane = self._lanes.get(node.lane)
        if lane is None or lane.free:
            self._start(node, lane, now, out)
        else:
            self._wait(node, lane, now)

    def _wait(self, node: Node, lane: Lane, now: float) -> None:
        self._move(node, "ready", now)
        heappush(lane.queue, (-node.priority, node.sequence, node))

    def _ready_together(self, nodes: Iterable[Node], lanes: Iterable[str], now: float, out: list[Instruction]) -> None:
        """Several nodes are ready, and places of some lanes are free: whose turn it is decides, in the queue too."""
        touched = dict.fromkeys(lanes)
        for node in nodes:
            lane = self._lanes.get(node.lane)
            if lane is None:
                self._start(node, None, now, out)
            else:
                self._wait(node, lane, now)
                touched[node.lane] = None
        for name in touched:
            self._serve(name, now, out)

    def _start(self, node: Node, lane: Lane | None, now: float, out: list[Instruction]) -> None:
        self._move(node, "running", now)
        node.attempt += 1
        if node.started is None:
            node.started = now
            if node.need is not None:
                node.inputs = first_done(node)
        if lane is not None:
            lane.busy += 1
            node.holds = True
        out.append(Instruction("start", node))

    def _vacate(self, node: Node, now: float, out: list[Instruction]) -> None:
        if not node.holds:
            return
        node.holds = False
        self._lanes[node.lane].busy -= 1
        self._serve(node.lane, now, out)

    def _serve(self, name: str, now: float, out: list[Instruction]) -> None:
        lane = self._lanes.get(name)
        while lane is not None and lane.queue and lane.free:
            head = heappop(lane.queue)[2]
            if head.status == "ready":  # a cancelled node stays in the queue until its turn
                self._start(head, lane, now, out)

    def _end(self, node: Node, status: StepStatus, now: float) -> None:
        self._move(node, status, now)
        node.ended = now
        self.unfinished -= 1

    def _back(self, node: Node, now: float) -> str:
        """As if a node had never been told to start; gives the lane in which a place is free now."""
        node.status, node.started = "pending", None
        node.attempt -= 1
        node.history.append(("pending", now))
        if node.holds:
            node.holds = False
            self._lanes[node.lane].busy -= 1
        return node.lane

    def _leave_queue(self, node: Node, now: float) -> None:
        if node.status == "ready":
            self._lanes[node.lane].leave(node)
            node.status = "pending"  # only here: for a driver's event it would be an impossible step
            node.history.append(("pending", now))


def first_done(node: Node) -> tuple[Node, ...]:
    """As many of its inputs as it needs, in the order in which they were done."""
    done = [before for before in node.inputs if before.status == "done"]
    return tuple(sorted(done, key=_ended)[: node.need])


def to_blame(node: Node) -> Node | None:
    """The first failure or cancellation that reached the node through its inputs."""
    lost = [before for before in node.inputs if before.status in FINISHED and before.culprit is not None]
    return min(lost, key=_ended).culprit if lost else None


def _ended(node: Node) -> float:
    return node.ended or 0.0


def turn(node: Node) -> tuple[int, int]:
    """Who comes first when places are short: the highest priority, then the oldest."""
    return -node.priority, node.sequence
