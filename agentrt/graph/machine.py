"""The scheduler core: a pure state machine. Events go in as method calls, instructions come out.

It knows nothing of asyncio, clocks or executors: whoever drives it says what happened and at what time, and carries
out what it answers. The life of a node::

    pending --> ready --> running --> done | failed | cancelled
       |          |          |
       |          |          +--> pending        (suspended: waits out a delay, holds no place)
       |          +--> cancelled
       +--> skipped | cancelled

A node is *ready* when every input is done, and runs as soon as its lane has a free place; lanes without a limit always
have one. When a node fails or is cancelled, what depends on it is skipped, and nothing else is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from typing import Final, Literal, NamedTuple

from agentrt.errors import GraphError
from agentrt.types import FINISHED, Place, SessionId, StepId, StepKind, StepStatus, Usage

_ALLOWED: Final[Mapping[StepStatus, frozenset[StepStatus]]] = {
    "pending": frozenset({"ready", "running", "skipped", "cancelled"}),
    "ready": frozenset({"running", "cancelled"}),
    "running": frozenset({"done", "failed", "cancelled", "pending"}),
    "done": frozenset(),
    "failed": frozenset(),
    "skipped": frozenset(),
    "cancelled": frozenset(),
}

NO_USAGE: Final = Usage()
"""What every node has used at first; one object for all, as most steps never use tokens."""


class InvalidTransition(RuntimeError):
    """The driver reported something that cannot have happened; the message is the node's whole story."""


class Node:
    """One step of a run. Everybody may read it; only its ``Machine`` writes status, times and the counters.

    ``inputs`` are data edges: the node waits for them. ``after`` are control edges: steps the program had already
    awaited when it made this one, so they are done and nothing waits for them. Times are the driver's seconds.
    ``session`` is the context that it is a turn of, or whose turn asked for it; ``word`` the program that it runs. Both
    are the driver's to write.
    """

    __slots__ = (
        "added",
        "after",
        "attempt",
        "because",
        "dependents",
        "ended",
        "error",
        "history",
        "holds",
        "id",
        "inputs",
        "kind",
        "lane",
        "name",
        "parent",
        "place",
        "priority",
        "sequence",
        "session",
        "started",
        "status",
        "usage",
        "waiting",
        "word",
    )

    def __init__(
        self,
        id: StepId,  # noqa: A002 - the field's name
        name: str,
        kind: StepKind,
        *,
        inputs: tuple[Node, ...] = (),
        after: tuple[Node, ...] = (),
        parent: Node | None = None,
        lane: str = "",
        priority: int = 0,
        place: tuple[str, int] | None = None,
    ) -> None:
        self.id = id
        self.name = name
        self.kind = kind
        self.inputs = inputs
        self.after = after
        self.parent = parent
        self.lane = lane
        self.priority = priority
        self.place = place
        self.status: StepStatus = "pending"
        self.history: list[tuple[StepStatus, float]] = []
        self.dependents: list[Node] = []
        self.waiting = 0
        self.holds = False
        self.sequence = 0
        self.attempt = 0
        self.added = 0.0
        self.started: float | None = None
        self.ended: float | None = None
        self.error: BaseException | None = None
        self.because: Node | None = None
        self.usage = NO_USAGE
        self.session: SessionId | None = None
        self.word = ""

    def __repr__(self) -> str:
        return f"<Node {self.id} {self.kind} {self.status}>"

    @property
    def finished(self) -> bool:
        """Whether the status can never change again."""
        return self.status in FINISHED

    @property
    def story(self) -> str:
        """What happened to the node so far, in one line."""
        where = f", {Place(*self.place)}" if self.place else ""
        steps = ", ".join(f"{status} at {at:.3f} s" for status, at in self.history)
        waited = f" after {', '.join(node.id for node in self.inputs)}" if self.inputs else ""
        attempts = f" (attempt {self.attempt})" if self.attempt > 1 else ""
        return f"{self.id} ({self.kind}{where}){waited}: {steps or 'never added'}{attempts}"


class Instruction(NamedTuple):
    """What the driver has to do now.

    ``start``: run the node. ``stop``: end its run, then report ``cancelled``. ``drop``: it ended without having run,
    its status says how and ``because`` which failure or cancellation is to blame.
    """

    verb: Literal["start", "stop", "drop"]
    node: Node


class _Lane:
    """The places of one executor. ``queue`` is ordered by priority, then by age."""

    __slots__ = ("busy", "limit", "queue")

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.busy = 0
        self.queue: list[tuple[int, int, Node]] = []

    @property
    def free(self) -> bool:
        return self.limit is None or self.busy < self.limit


class Machine:
    """The step graph of one run and the state of every node in it.

    ``limits`` says how many nodes of a lane run at once; a lane that is not named has no limit. Each method takes the
    present time in seconds and returns the instructions that follow, in the order in which to carry them out.
    """

    def __init__(self, limits: Mapping[str, int | None] | None = None) -> None:
        self.nodes: dict[StepId, Node] = {}
        self.unfinished = 0
        self._lanes = {name: _Lane(limit) for name, limit in (limits or {}).items()}

    def limit(self, lane: str, places: int | None) -> None:
        """Name a lane that was not known when the machine was made; a known lane stays as it is."""
        self._lanes.setdefault(lane, _Lane(places))

    def add(self, node: Node, now: float) -> list[Instruction]:
        """Put a new node into the graph. Raises ``GraphError`` for a known id or an input that is not in the graph."""
        self._admit(node, now)
        for before in node.inputs:
            if before.status in FINISHED:
                if before.status != "done":
                    return self._skip([(node, before.because or before)], now)
            else:
                before.dependents.append(node)
                node.waiting += 1
        out: list[Instruction] = []
        if node.waiting == 0:
            self._ready(node, now, out)
        return out

    def finish(self, node: Node, now: float) -> list[Instruction]:
        """The node ran and gave its result."""
        out: list[Instruction] = []
        self._end(node, "done", now)
        for after in node.dependents:
            after.waiting -= 1
            if after.waiting == 0 and after.status == "pending":
                self._ready(after, now, out)
        self._vacate(node, now, out)  # only now: those it made ready compete for its place
        return out

    def fail(self, node: Node, error: BaseException, now: float) -> list[Instruction]:
        """The node ran and failed for good; what depends on it is skipped."""
        out = self._fall(node, "failed", now)
        node.error = error
        return out

    def cancelled(self, node: Node, now: float) -> list[Instruction]:
        """The node's run was ended, after a ``stop`` or by itself."""
        return self._fall(node, "cancelled", now)

    def cancel(self, node: Node, now: float) -> list[Instruction]:
        """Somebody wants the node gone. Nothing happens when it is finished already."""
        if node.status in FINISHED:
            return []
        if node.status == "running":
            return [Instruction("stop", node)]
        return [Instruction("drop", node), *self._fall(node, "cancelled", now)]

    def release(self, node: Node, now: float) -> list[Instruction]:
        """The running node now waits for nodes of its own, so it gives its place in the lane to others."""
        out: list[Instruction] = []
        self._vacate(node, now, out)
        return out

    def suspend(self, node: Node, now: float) -> list[Instruction]:
        """The running node has to wait out a delay before its next attempt; it holds no place meanwhile."""
        out: list[Instruction] = []
        self._move(node, "pending", now)
        node.waiting = 1
        self._vacate(node, now, out)
        return out

    def resume(self, node: Node, now: float) -> list[Instruction]:
        """The delay of a suspended node is over."""
        out: list[Instruction] = []
        node.waiting = 0
        self._ready(node, now, out)
        return out

    def validate(self) -> None:
        """Check every invariant; for tests. Raises ``InvalidTransition`` with the story of the first bad node."""
        for node in self.nodes.values():
            waiting = sum(1 for before in node.inputs if not before.finished)
            suspended = node.status == "pending" and node.attempt > 0
            if node.status == "pending" and not suspended and node.waiting != waiting:
                raise InvalidTransition(f"waits for {node.waiting} inputs, {waiting} are open: {node.story}")
            if node.status in {"ready", "running", "done"} and waiting:
                raise InvalidTransition(f"{waiting} inputs are open: {node.story}")
        for name, lane in self._lanes.items():
            held = sum(node.holds for node in self.nodes.values() if node.lane == name)
            if held != lane.busy or (lane.limit is not None and lane.busy > lane.limit):
                raise InvalidTransition(f"lane {name!r}: {held} hold a place, {lane.busy} of {lane.limit} counted")
        if self.unfinished != sum(not node.finished for node in self.nodes.values()):
            raise InvalidTransition(f"{self.unfinished} nodes counted as unfinished")

    def _admit(self, node: Node, now: float) -> None:
        if node.id in self.nodes:
            raise GraphError(f"step {node.id!r} is in the graph already; every step needs an id of its own")
        for before in node.inputs:
            if self.nodes.get(before.id) is not before:
                raise GraphError(f"step {node.id!r} depends on {before.id!r}, which is not in this graph")
        node.sequence = len(self.nodes)
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
            self._move(node, "ready", now)
            heappush(lane.queue, (-node.priority, node.sequence, node))

    def _start(self, node: Node, lane: _Lane | None, now: float, out: list[Instruction]) -> None:
        self._move(node, "running", now)
        node.attempt += 1
        if node.started is None:
            node.started = now
        if lane is not None:
            lane.busy += 1
            node.holds = True
        out.append(Instruction("start", node))

    def _vacate(self, node: Node, now: float, out: list[Instruction]) -> None:
        if not node.holds:
            return
        node.holds = False
        lane = self._lanes[node.lane]
        lane.busy -= 1
        while lane.queue and lane.free:
            head = heappop(lane.queue)[2]
            if head.status == "ready":  # a cancelled node stays in the queue until its turn
                self._start(head, lane, now, out)

    def _end(self, node: Node, status: StepStatus, now: float) -> None:
        self._move(node, status, now)
        node.ended = now
        self.unfinished -= 1

    def _fall(self, node: Node, status: StepStatus, now: float) -> list[Instruction]:
        out: list[Instruction] = []
        self._end(node, status, now)
        self._vacate(node, now, out)
        return self._skip(((after, node) for after in node.dependents), now) + out

    def _skip(self, falling: Iterable[tuple[Node, Node]], now: float) -> list[Instruction]:
        """Skip the given nodes and all that depend on them; a loop, so that a long chain needs no deep stack."""
        out: list[Instruction] = []
        queue = list(falling)
        for node, because in queue:
            if node.status == "pending":
                node.because = because
                self._end(node, "skipped", now)
                out.append(Instruction("drop", node))
                queue.extend((after, because) for after in node.dependents)
        return out
